#include "warmup.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "statistics.h"

namespace {

constexpr size_t kWindowRunCount = 3;
constexpr double kWindowDurationS = 0.1;
constexpr size_t kSteadyWindowCount = 3;
constexpr size_t kFewestReadings = 3;
constexpr long kLoopCap = 10000;
constexpr double kRounding = 1e-9;

bool is_steady(const Samples& medians_ns, double tolerance) {
    if (medians_ns.size() <= kSteadyWindowCount) return false;
    for (size_t at = medians_ns.size() - kSteadyWindowCount; at < medians_ns.size(); at++)
        if (std::fabs(medians_ns[at] - medians_ns[at - 1]) > tolerance * medians_ns[at - 1]) return false;
    return true;
}

std::vector<RunTimes> window(Runner& network, double cap_s, const Surroundings& around) {
    const double start_s = around.clock_s();
    std::vector<RunTimes> runs = {network.run(1)};
    while (around.clock_s() < cap_s &&
           (runs.size() < kWindowRunCount || around.clock_s() - start_s < kWindowDurationS))
        runs.push_back(network.run(1));
    return runs;
}

}  // namespace

double median_wall_ns(const std::vector<RunTimes>& runs) {
    Samples walls;
    for (const RunTimes& run : runs) walls.push_back(static_cast<double>(run.wall_ns));
    return median(std::move(walls));
}

WarmUp warm_up(Runner& candidate, Runner* anchor, const Plan& plan, const Surroundings& around) {
    const double start_s = around.clock_s();
    WarmUp warm;
    Samples medians_ns;
    while ((!warm.steady && around.clock_s() - start_s < plan.warmup_cap_s) || warm.candidate.empty()) {
        if (anchor != nullptr) warm.anchor.push_back(anchor->run(1));
        const std::vector<RunTimes> runs = window(candidate, start_s + plan.warmup_cap_s, around);
        warm.candidate.insert(warm.candidate.end(), runs.begin(), runs.end());
        medians_ns.push_back(median_wall_ns(runs));
        warm.steady = is_steady(medians_ns, plan.warmup_tolerance) && around.clock_s() - start_s >= plan.warmup_min_s;
        around.progress(0);
    }
    warm.duration_s = around.clock_s() - start_s;
    return warm;
}

long long clock_tick_ns(const std::vector<RunTimes>& runs, const Plan& plan) {
    if (runs.size() < kFewestReadings) return 0;
    long long tick_ns = 0;
    for (const RunTimes& run : runs) tick_ns = std::gcd(tick_ns, plan.headline_is_cpu ? run.cpu_ns : run.wall_ns);
    return tick_ns;
}

long loop_count(Runner& network, const std::vector<RunTimes>& warm, long long tick_ns, const Plan& plan) {
    double sum_ns = 0.0;
    for (const RunTimes& run : warm) sum_ns += plan.reading_ns(run);
    const double mean_ns = sum_ns / static_cast<double>(warm.size());
    if (mean_ns > 0.0) {
        const double wanted = std::ceil(static_cast<double>(plan.tick_count * tick_ns) / mean_ns - kRounding);
        return std::clamp(static_cast<long>(wanted), 1L, kLoopCap);
    }
    for (long count : {10L, 100L, 1000L})
        if (plan.reading_ns(network.run(count)) > 0.0) return std::min(count * plan.tick_count, kLoopCap);
    return kLoopCap;
}
