// What to measure, and how: read from the text file that the agent's driver puts beside the model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan.h"

struct NetworkFiles {
    std::string param;    // empty: there is no such network
    std::string weights;  // a .bin stream or a .weights list
};

struct Job {
    std::vector<NetworkFiles> candidates;      // several take turns
    NetworkFiles anchor;
    std::string input;                         // float32, channel by channel; a network takes as much of it as it needs
    std::string seed;                          // of the order in which several take turns
    std::map<std::string, std::string> files;  // names in a .weights list -> paths
    std::vector<int> cores;                    // empty: not pinned
    int thread_count = 1;
    unsigned limit_s = 600;                    // of the whole process
    std::string lock;                          // locked from loading on: two agents may share a device; empty: none
    Plan plan;
};

// Ends the process with a fault where the file is not there or cannot be understood.
Job read_job(const char* path);
