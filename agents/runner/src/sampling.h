// Warm-up and sampling: the rules of fleetnas_latency (warmup.py, sampling.py), on the device.
//
// The agent judges afterwards from the raw runs and decides by itself whether they converged, so that a rule that
// went wrong here costs time and never gives a wrong verdict.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "job.h"
#include "network.h"

struct Series {
    std::vector<RunTimes> runs;  // of the whole inner loop
    std::vector<int> rounds;
    long inner_count = 1;
};

struct Raw {
    Series candidate;
    Series anchor;
    long warmup_run_count = 0;
    double warmup_duration_s = 0.0;
    bool warmup_steady = false;
    double sampling_duration_s = 0.0;
    long long tick_ns = 0;
    std::string stop_reason;
};

// anchor may be null. progress(round) is called after each window of the warm-up and each round.
Raw measure(Network& candidate, Network* anchor, const Plan& plan, const std::function<void(int)>& progress);
