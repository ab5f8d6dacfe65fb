// The fields of fleetnas_latency.plan.Plan that the sampling uses, under their names.
#pragma once

#include "runner.h"

struct Plan {
    bool headline_is_cpu = false;
    double quantile = 0.5;
    double level = 0.95;
    double relative_half_width = 0.01;
    long min_run_count = 30;
    long max_run_count = 20000;
    long min_round_count = 10;
    double min_duration_s = 1.0;
    double max_duration_s = 20.0;
    double warmup_min_s = 0.5;
    double warmup_cap_s = 5.0;
    double warmup_tolerance = 0.01;
    double anchor_share = 0.3;
    double round_duration_s = 0.1;
    long tick_count = 100;
    double drift_limit = 0.03;

    // What of a run is judged.
    double reading_ns(const RunTimes& run) const {
        return static_cast<double>(headline_is_cpu ? run.cpu_ns : run.wall_ns);
    }
};
