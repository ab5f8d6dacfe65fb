#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <time.h>

namespace {

constexpr size_t kWindowRunCount = 3;
constexpr double kWindowDurationS = 0.1;
constexpr size_t kSteadyWindowCount = 3;
constexpr size_t kFewestReadings = 3;
constexpr long kLoopCap = 10000;

double now_s() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

long long reading_ns(const RunTimes& run, const Plan& plan) { return plan.headline_is_cpu ? run.cpu_ns : run.wall_ns; }

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2.0;
}

double median_wall_ns(const std::vector<RunTimes>& runs) {
    std::vector<double> walls;
    for (const RunTimes& run : runs) walls.push_back(static_cast<double>(run.wall_ns));
    return median(std::move(walls));
}

struct WarmUp {
    std::vector<RunTimes> candidate, anchor;
    double duration_s;
    bool steady;
};

bool is_steady(const std::vector<double>& medians_ns, double tolerance) {
    if (medians_ns.size() <= kSteadyWindowCount) return false;
    for (size_t at = medians_ns.size() - kSteadyWindowCount; at < medians_ns.size(); at++)
        if (std::fabs(medians_ns[at] - medians_ns[at - 1]) > tolerance * medians_ns[at - 1]) return false;
    return true;
}

std::vector<RunTimes> window(Network& network, double cap_s) {
    const double start_s = now_s();
    std::vector<RunTimes> runs = {network.run(1)};
    while (now_s() < cap_s && (runs.size() < kWindowRunCount || now_s() - start_s < kWindowDurationS))
        runs.push_back(network.run(1));
    return runs;
}

WarmUp warm_up(Network& candidate, Network* anchor, const Plan& plan, const std::function<void(int)>& progress) {
    const double start_s = now_s();
    WarmUp warm{{}, {}, 0.0, false};
    std::vector<double> medians_ns;
    while ((!warm.steady && now_s() - start_s < plan.warmup_cap_s) || warm.candidate.empty()) {
        if (anchor != nullptr) warm.anchor.push_back(anchor->run(1));
        const std::vector<RunTimes> runs = window(candidate, start_s + plan.warmup_cap_s);
        warm.candidate.insert(warm.candidate.end(), runs.begin(), runs.end());
        medians_ns.push_back(median_wall_ns(runs));
        warm.steady = is_steady(medians_ns, plan.warmup_tolerance) && now_s() - start_s >= plan.warmup_min_s;
        progress(0);
    }
    warm.duration_s = now_s() - start_s;
    return warm;
}

long long clock_tick_ns(const std::vector<RunTimes>& runs, const Plan& plan) {
    if (runs.size() < kFewestReadings) return 0;
    long long tick_ns = 0;
    for (const RunTimes& run : runs) tick_ns = std::gcd(tick_ns, reading_ns(run, plan));
    return tick_ns;
}

// How many inferences one timed loop needs to last `tick_count` ticks of the headline's clock.
long loop_count(Network& network, const std::vector<RunTimes>& warm, long long tick_ns, const Plan& plan) {
    double sum_ns = 0.0;
    for (const RunTimes& run : warm) sum_ns += static_cast<double>(reading_ns(run, plan));
    const double mean_ns = sum_ns / static_cast<double>(warm.size());
    if (mean_ns > 0.0) {
        const double wanted = std::ceil(static_cast<double>(plan.tick_count * tick_ns) / mean_ns);
        return std::clamp(static_cast<long>(wanted), 1L, kLoopCap);
    }
    for (long count : {10L, 100L, 1000L})
        if (reading_ns(network.run(count), plan) > 0) return std::min(count * plan.tick_count, kLoopCap);
    return kLoopCap;
}

// One network under the clock: so many runs a round, all kept.
class Timed {
public:
    Timed(Network& network, const std::vector<RunTimes>& warm, long long tick_ns, const Plan& plan, double share)
        : network_(network), plan_(plan) {
        series.inner_count = loop_count(network, warm, tick_ns, plan);
        const double run_ns = median_wall_ns(warm) * static_cast<double>(series.inner_count);
        if (run_ns > 0.0) runs_a_round_ = std::max(1L, std::lround(plan.round_duration_s * 1e9 * share / run_ns));
    }

    void run_round(int round) {
        const auto known = static_cast<std::ptrdiff_t>(ordered_ns_.size());
        for (long index = 0; index < runs_a_round_; index++) {
            series.runs.push_back(network_.run(series.inner_count));
            series.rounds.push_back(round);
            ordered_ns_.push_back(static_cast<double>(reading_ns(series.runs.back(), plan_)));
        }
        std::sort(ordered_ns_.begin() + known, ordered_ns_.end());
        std::inplace_merge(ordered_ns_.begin(), ordered_ns_.begin() + known, ordered_ns_.end());
    }

    // Whether the headline's order-statistic interval is narrow enough and reaches its level: as _ranks in
    // fleetnas_latency/statistics.py, the count of samples below the quantile being binomial.
    bool is_narrow() const {
        const auto count = static_cast<long>(ordered_ns_.size());
        std::vector<double> below = binomial_cdf(count, plan_.quantile);
        const double tail = (1.0 - plan_.level) / 2.0;
        const auto index = [&](auto found) { return static_cast<long>(found - below.begin()); };
        const long low = std::max(index(std::upper_bound(below.begin(), below.end(), tail)), 1L);
        const long high = std::min(index(std::lower_bound(below.begin(), below.end(), 1.0 - tail)) + 1, count);
        const double position = plan_.quantile * static_cast<double>(count - 1);
        const auto at = static_cast<size_t>(position);
        const double next = ordered_ns_[std::min<size_t>(at + 1, ordered_ns_.size() - 1)];
        const double value = ordered_ns_[at] + (position - std::floor(position)) * (next - ordered_ns_[at]);
        const double half_width = (ordered_ns_[high - 1] - ordered_ns_[low - 1]) / 2.0;
        return below[high - 1] - below[low - 1] >= plan_.level && half_width <= plan_.relative_half_width * value;
    }

    Series series;

private:
    static std::vector<double> binomial_cdf(long count, double probability) {
        std::vector<double> logs(count + 1, 0.0);
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

    Network& network_;
    const Plan& plan_;
    long runs_a_round_ = 1;
    std::vector<double> ordered_ns_;
};

std::string stop_reason(const Timed& candidate, int round_count, double duration_s, const Plan& plan) {
    const auto run_count = static_cast<long>(candidate.series.runs.size());
    const bool enough = run_count >= plan.min_run_count && round_count >= plan.min_round_count &&
                        duration_s >= plan.min_duration_s;
    if (enough && candidate.is_narrow()) return "converged";
    if (duration_s >= plan.max_duration_s) return "duration_cap";
    return run_count >= plan.max_run_count ? "run_cap" : "";
}

}  // namespace

Raw measure(Network& candidate, Network* anchor, const Plan& plan, const std::function<void(int)>& progress) {
    const WarmUp warm = warm_up(candidate, anchor, plan, progress);
    Raw raw;
    raw.warmup_run_count = static_cast<long>(warm.candidate.size());
    raw.warmup_duration_s = warm.duration_s;
    raw.warmup_steady = warm.steady;
    raw.tick_ns = clock_tick_ns(warm.candidate, plan);
    const double share = anchor != nullptr ? plan.anchor_share : 0.0;
    std::vector<Timed> timed;
    timed.reserve(2);
    timed.emplace_back(candidate, warm.candidate, raw.tick_ns, plan, 1.0 - share);
    if (anchor != nullptr) timed.emplace_back(*anchor, warm.anchor, raw.tick_ns, plan, share);
    const double start_s = now_s();
    for (int round = 0; raw.stop_reason.empty(); round++) {
        // Alternating order: what a network does to the next one's caches and heat falls on both alike.
        for (size_t index = 0; index < timed.size(); index++)
            timed[round % 2 == 0 ? index : timed.size() - 1 - index].run_round(round);
        progress(round + 1);
        raw.sampling_duration_s = now_s() - start_s;
        raw.stop_reason = stop_reason(timed[0], round + 1, raw.sampling_duration_s, plan);
    }
    raw.candidate = std::move(timed[0].series);
    if (anchor != nullptr) raw.anchor = std::move(timed[1].series);
    return raw;
}
