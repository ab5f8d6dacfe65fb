// When a network runs at its steady speed, and how finely its clock can tell: fleetnas_latency/warmup.py.
#pragma once

#include <vector>

#include "plan.h"

struct WarmUp {
    std::vector<RunTimes> candidate, anchor;
    double duration_s = 0.0;
    bool steady = false;
};

// anchor may be null.
WarmUp warm_up(Runner& candidate, Runner* anchor, const Plan& plan, const Surroundings& around);

// The largest step that every reading is a whole multiple of; 0 when it cannot be told.
long long clock_tick_ns(const std::vector<RunTimes>& runs, const Plan& plan);

// How many inferences one timed loop needs to last `tick_count` ticks of the headline's clock.
long loop_count(Runner& network, const std::vector<RunTimes>& warm, long long tick_ns, const Plan& plan);

double median_wall_ns(const std::vector<RunTimes>& runs);
