// Timing of a network beside an anchor until its headline is known well enough: fleetnas_latency/sampling.py.
//
// The agent judges afterwards from the raw runs and decides by itself whether they converged, so that a rule that
// went wrong here costs time and never gives a wrong verdict.
#pragma once

#include <string>
#include <vector>

#include "rounds.h"
#include "warmup.h"

struct Series {
    std::vector<RunTimes> runs;  // of the whole inner loop
    std::vector<int> rounds;
    long inner_count = 1;
};

// What was timed of one network.
struct Timing {
    Series series;
    std::string stop_reason;
    long warmup_run_count = 0;
    double warmup_duration_s = 0.0;
    bool warmup_steady = false;
};

// Networks that took turns, in the order they were given, and the anchor beside them.
struct Raw {
    std::vector<Timing> candidates;
    Series anchor;
    double sampling_duration_s = 0.0;
    long long tick_ns = 0;
};

// Times one network, so many runs a round, and keeps every run.
class TimedSeries {
public:
    TimedSeries(Runner& network, const std::vector<RunTimes>& warm, long long tick_ns, const Plan& plan, double share);

    void run_round(int round);

    long run_count() const { return static_cast<long>(series.runs.size()); }

    // The headline of the runs so far, nanoseconds of a whole inner loop.
    Estimate estimate() const { return estimate_rounds(readings_, plan_.quantile, plan_.level, tick_); }

    // Whether the headline's interval is narrow enough and reaches its level.
    bool is_narrow() const;

    Series series;

private:
    Runner& network_;
    const Plan& plan_;
    double tick_;
    long runs_a_round_ = 1;
    Samples ordered_;
    Rounds readings_;
};

// Why the sampling of one network may end after so many rounds and seconds; empty: it goes on.
std::string stop_reason(const TimedSeries& timed, long round_count, double duration_s, const Plan& plan);

Timing timing_of(TimedSeries&& timed, const WarmUp& warm, const std::string& reason);

// Warms up, then times candidate and anchor in alternating order round by round. anchor may be null.
Raw measure(Runner& candidate, Runner* anchor, const Plan& plan, const Surroundings& around);
