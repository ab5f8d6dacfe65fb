#include "speeds.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace {

constexpr size_t kFewestRounds = 6;
constexpr double kSmallestGap = 0.03;
constexpr double kGapDeviations = 4.0;
constexpr double kStayOffset = 0.4;

double sum(const Samples& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// Between the two groups whose means differ most for their sizes (Otsu).
double threshold_of(Samples values) {
    std::sort(values.begin(), values.end());
    const double total = sum(values);
    double best = -1.0, threshold = 0.0, below = 0.0;
    for (size_t count = 1; count < values.size(); count++) {
        below += values[count - 1];
        const auto others = static_cast<double>(values.size() - count), size = static_cast<double>(count);
        const double between = size * others * std::pow((total - below) / others - below / size, 2);
        if (between > best) {
            best = between;
            threshold = (values[count - 1] + values[count]) / 2.0;
        }
    }
    return threshold;
}

double squares(const Samples& part, double mean) {
    double found = 0.0;
    for (double one : part) found += (one - mean) * (one - mean);
    return found;
}

}  // namespace

std::optional<TwoSpeeds> two_speeds(const Rounds& rounds, double level) {
    if (rounds.size() < kFewestRounds) return std::nullopt;
    Samples logs, parts[2];
    for (const Samples& round : rounds) {
        const double middle = median(round);
        if (middle <= 0.0) return std::nullopt;
        logs.push_back(std::log(middle));
    }
    const double threshold = threshold_of(logs);
    TwoSpeeds found{{}, 0.0, 0.0};
    long change_count = 0;
    for (double one : logs) {
        const bool slow = one > threshold;
        change_count += !found.slow.empty() && found.slow.back() != slow;
        found.slow.push_back(slow);
        parts[slow].push_back(one);
    }
    if (parts[0].empty() || parts[1].empty()) return std::nullopt;
    const double sizes[] = {static_cast<double>(parts[0].size()), static_cast<double>(parts[1].size())};
    const double means[] = {sum(parts[0]) / sizes[0], sum(parts[1]) / sizes[1]};
    const double within = (squares(parts[0], means[0]) + squares(parts[1], means[1])) /
                          static_cast<double>(logs.size() - 2);
    if (means[1] - means[0] < std::max(std::log1p(kSmallestGap), kGapDeviations * std::sqrt(within)))
        return std::nullopt;
    const double stays = static_cast<double>(std::max(change_count, 1L)) / 2.0;
    const double scatter = std::max(1.0 - stays / sizes[0], 0.0) + std::max(1.0 - stays / sizes[1], 0.0);
    const double reach = normal_quantile(0.5 + level / 2.0) * std::sqrt(scatter / (stays - kStayOffset));
    const double low = sizes[1] / sizes[0] * std::exp(-reach), high = sizes[1] / sizes[0] * std::exp(reach);
    found.low_share = low / (1.0 + low);
    found.high_share = high / (1.0 + high);
    return found;
}

double TwoSpeeds::quantile(const Rounds& rounds, double quantile, double slow_share) const {
    std::vector<std::pair<double, bool>> runs;
    double counts[2] = {0.0, 0.0};
    for (size_t index = 0; index < rounds.size(); index++) {
        counts[slow[index]] += static_cast<double>(rounds[index].size());
        for (double run : rounds[index]) runs.emplace_back(run, slow[index]);
    }
    std::sort(runs.begin(), runs.end());
    const double weights[] = {(1.0 - slow_share) / counts[0], slow_share / counts[1]};
    double reached = 0.0, before_run = runs.front().first, before_middle = -1.0;
    for (const auto& [run, is_slow] : runs) {
        const double middle = reached + weights[is_slow] / 2.0;
        if (middle >= quantile)
            return before_middle < 0.0
                       ? run
                       : before_run + (quantile - before_middle) / (middle - before_middle) * (run - before_run);
        before_run = run;
        before_middle = middle;
        reached += weights[is_slow];
    }
    return before_run;
}
