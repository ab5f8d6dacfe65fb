// Quantiles of samples with honest intervals: fleetnas_latency/statistics.py in this language.
// The vectors in tests/stand_ins/pages/golden_measurement.json hold both to the same answers.
#pragma once

#include <vector>

struct Estimate {
    double value, low, high;
    double level;  // what was asked for, or less where the samples were too few for it

    // Half the interval over the value; infinite for a value of zero.
    double relative_half_width() const;
};

using Samples = std::vector<double>;
using Rounds = std::vector<Samples>;

double median(Samples values);

double normal_quantile(double probability);

double student_quantile(double probability, double freedom);

// The quantile of ascending samples with its order-statistic interval. tick: their resolution, 0 where it does not
// matter; inflation: so many samples are worth one independent one.
Estimate estimate_sorted(const Samples& ordered, double quantile, double level, double tick, double inflation = 1.0);
