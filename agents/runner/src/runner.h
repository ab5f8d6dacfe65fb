// What is timed, how, and by which clock: apart from ncnn, so that the protocol can be tested without a network.
#pragma once

#include <functional>

struct RunTimes {
    long long wall_ns;
    long long cpu_ns;  // of the whole process
};

// A loaded network with its input set.
class Runner {
public:
    virtual ~Runner() = default;

    // Infers `count` times in one timed loop; both clocks are read once before and once after it.
    virtual RunTimes run(long count) = 0;
};

struct Surroundings {
    std::function<double()> clock_s;     // monotonic, from any origin
    std::function<void(int)> progress;   // after each window of a warm-up (0) and each round (its number, from 1)
    std::function<void(double)> rest_s;  // lets so many seconds pass without work
};
