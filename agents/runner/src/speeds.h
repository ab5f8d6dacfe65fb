// A device that changes between two speeds: fleetnas_latency/speeds.py in this language.
#pragma once

#include <optional>
#include <vector>

#include "statistics.h"

struct TwoSpeeds {
    std::vector<bool> slow;        // of each round
    double low_share, high_share;  // interval of the part of the time that is slow

    // The quantile of the runs if the device had been slow for that share of the time.
    double quantile(const Rounds& rounds, double quantile, double slow_share) const;
};

// The two groups that the rounds fall into; nothing where they are one.
std::optional<TwoSpeeds> two_speeds(const Rounds& rounds, double level);
