#include "rounds.h"

#include <algorithm>
#include <cmath>

#include "speeds.h"

namespace {

constexpr size_t kFewestBatches = 6;
constexpr size_t kMostBatches = 12;

// The variance ratio that independent runs exceed once in six times (Wilson and Hilferty).
double by_chance(double freedom) {
    const double spread = 2.0 / (9.0 * freedom);
    return std::pow(1.0 - spread + std::sqrt(spread), 3);
}

// How many runs are worth one independent run, 1 or more: the part of runs below `value` is compared between up to
// twelve batches of successive rounds.
double inflation(const Rounds& rounds, double value) {
    const size_t count = std::min(rounds.size(), kMostBatches);
    const size_t least = rounds.size() / count, longer = rounds.size() % count;
    Samples sizes, below;
    double all = 0.0, all_below = 0.0;
    for (size_t index = 0, next = 0; index < count; index++) {
        double size = 0.0, under = 0.0;
        for (const size_t end = next + least + (index < longer); next < end; next++) {
            size += static_cast<double>(rounds[next].size());
            for (double sample : rounds[next]) under += sample < value ? 1.0 : sample == value ? 0.5 : 0.0;
        }
        sizes.push_back(size);
        below.push_back(under);
        all += size;
        all_below += under;
    }
    const double share = all_below / all;
    if (count < kFewestBatches || share <= 0.0 || share >= 1.0) return 1.0;
    const auto freedom = static_cast<double>(count - 1);
    double squares = 0.0;
    for (size_t index = 0; index < count; index++)
        squares += sizes[index] * std::pow(below[index] / sizes[index] - share, 2);
    const double found = squares / freedom / (share * (1.0 - share));
    return found > by_chance(freedom) ? found : 1.0;
}

}  // namespace

Estimate estimate_rounds(const Rounds& rounds, double quantile, double level, double tick) {
    Samples ordered;
    for (const Samples& round : rounds) ordered.insert(ordered.end(), round.begin(), round.end());
    std::sort(ordered.begin(), ordered.end());
    const Estimate plain = estimate_sorted(ordered, quantile, level, tick);
    Estimate wide = plain;
    double factor = inflation(rounds, plain.value);
    if (factor > 1.0) {
        // The factor comes from so few batches that their number widens the interval once more.
        const auto freedom = static_cast<double>(std::min(rounds.size(), kMostBatches) - 1);
        const double tail = 0.5 + level / 2.0;
        factor *= std::pow(student_quantile(tail, freedom) / normal_quantile(tail), 2);
        wide = estimate_sorted(ordered, quantile, level, tick, factor);
    }
    const auto speeds = two_speeds(rounds, level);
    if (!speeds) return wide;
    const double low = speeds->quantile(rounds, quantile, speeds->low_share);
    const double high = speeds->quantile(rounds, quantile, speeds->high_share);
    const double value = plain.value;
    return {value, std::min(wide.low, value - std::hypot(value - std::min(low, value), value - plain.low)),
            std::max(wide.high, value + std::hypot(std::max(high, value) - value, plain.high - value)), plain.level};
}
