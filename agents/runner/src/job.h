// What to measure, and how: read from the text file that the agent's driver puts beside the model.
#pragma once

#include <map>
#include <string>
#include <vector>

// The fields of fleetnas_latency.plan.Plan that the sampling uses, under their names.
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
};

struct NetworkFiles {
    std::string param;    // empty: there is no such network
    std::string weights;  // a .bin stream or a .weights list
};

struct Job {
    NetworkFiles candidate;
    NetworkFiles anchor;
    std::string input;                         // float32, channel by channel
    std::map<std::string, std::string> files;  // names in a .weights list -> paths
    std::vector<int> cores;                    // empty: not pinned
    int thread_count = 1;
    unsigned limit_s = 600;                    // of the whole process
    std::string lock;                          // locked from loading on: two agents may share a device; empty: none
    Plan plan;
};

// Ends the process with a fault where the file is not there or cannot be understood.
Job read_job(const char* path);
