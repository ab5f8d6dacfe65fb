#include "statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

constexpr double kFineTick = 1e-4;
constexpr double kGroupingError = 0.09;

struct Ranks {
    double low, high;  // from 0
    double level;
};

// P(at most k successes) for k = 0 .. count.
Samples binomial_cdf(long count, double probability) {
    Samples logs(count + 1, 0.0);
    const double odds = std::log(probability / (1.0 - probability));
    for (long k = 0; k < count; k++)
        logs[k + 1] = logs[k] + std::log(static_cast<double>(count - k) / static_cast<double>(k + 1)) + odds;
    const double largest = *std::max_element(logs.begin(), logs.end());
    double sum = 0.0;
    for (double& one : logs) sum += one = std::exp(one - largest);
    double reached = 0.0;
    for (double& one : logs) one = reached += one / sum;
    return logs;
}

// Of the interval's ends: the number of samples below the true quantile is binomial.
Ranks interval_ranks(long count, double quantile, double level) {
    const Samples below = binomial_cdf(count, quantile);
    const double tail = (1.0 - level) / 2.0;
    const auto index = [&](auto found) { return static_cast<long>(found - below.begin()); };
    const long low = std::max(index(std::upper_bound(below.begin(), below.end(), tail)), 1L);
    const long high = std::min(index(std::lower_bound(below.begin(), below.end(), 1.0 - tail)) + 1, count);
    const double covered = below[high - 1] - below[low - 1];
    return {low - 1.0, high - 1.0, count > 1 ? std::min(level, std::max(covered, 0.0)) : 0.01};
}

// The sample of that rank, the equal ones among which it is being spread evenly over one tick.
double spread(const Samples& ordered, double rank, double tick) {
    const double sample = ordered[static_cast<size_t>(rank)];
    const auto first = std::lower_bound(ordered.begin(), ordered.end(), sample - tick / 2.0);
    const auto end = std::upper_bound(ordered.begin(), ordered.end(), sample + tick / 2.0);
    const auto before = static_cast<double>(first - ordered.begin());
    return sample + tick * ((rank + 0.5 - before) / static_cast<double>(end - first) - 0.5);
}

}  // namespace

double Estimate::relative_half_width() const {
    return value > 0.0 ? (high - low) / 2.0 / value : std::numeric_limits<double>::infinity();
}

double median(Samples values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2.0;
}

// By Newton's method on the normal distribution's integral.
double normal_quantile(double probability) {
    double z = 0.0;
    for (int step = 0; step < 60; step++) {
        const double density = std::exp(-z * z / 2.0) / std::sqrt(2.0 * std::acos(-1.0));
        const double move = (std::erfc(-z / std::sqrt(2.0)) / 2.0 - probability) / density;
        z -= std::clamp(move, -1.0, 1.0);
        if (std::fabs(move) < 1e-14) break;
    }
    return z;
}

// By the Cornish-Fisher series (Abramowitz and Stegun 26.7.5).
double student_quantile(double probability, double freedom) {
    const double z = normal_quantile(probability);
    const double terms[] = {
        z, (std::pow(z, 3) + z) / 4.0, (5.0 * std::pow(z, 5) + 16.0 * std::pow(z, 3) + 3.0 * z) / 96.0,
        (3.0 * std::pow(z, 7) + 19.0 * std::pow(z, 5) + 17.0 * std::pow(z, 3) - 15.0 * z) / 384.0};
    double sum = 0.0;
    for (int power = 0; power < 4; power++) sum += terms[power] / std::pow(freedom, power);
    return sum;
}

Estimate estimate_sorted(const Samples& ordered, double quantile, double level, double tick, double inflation) {
    const auto last = static_cast<double>(ordered.size() - 1);
    Ranks ranks = interval_ranks(static_cast<long>(ordered.size()), quantile, level);
    const double position = quantile * last, part = position - std::floor(position);
    if (inflation > 1.0) {
        const double stretch = std::sqrt(inflation);
        ranks.low = std::max(std::floor(position - (position - ranks.low) * stretch), 0.0);
        ranks.high = std::min(std::ceil(position + (ranks.high - position) * stretch), last);
    }
    const double low = ordered[static_cast<size_t>(ranks.low)], high = ordered[static_cast<size_t>(ranks.high)];
    if (tick < kFineTick * low) {
        const double first = ordered[static_cast<size_t>(position)];
        const double second = ordered[static_cast<size_t>(std::min(std::floor(position) + 1.0, last))];
        return {first + part * (second - first), low, high, ranks.level};
    }
    const double first = spread(ordered, std::floor(position), tick);
    const double second = spread(ordered, std::ceil(position), tick);
    const double slack = kGroupingError * tick;
    return {first + part * (second - first), spread(ordered, ranks.low, tick) - slack,
            spread(ordered, ranks.high, tick) + slack, ranks.level};
}
