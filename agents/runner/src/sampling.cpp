#include "sampling.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr long kLooks = 20;

// Whether the interval is looked at: once in each twentieth more rounds, since every look may stop by luck.
bool is_due(long round_count) { return round_count % std::max(1L, round_count / kLooks) == 0; }

bool meets(const Plan& plan, const Estimate& found) {
    return found.level >= plan.level && found.relative_half_width() <= plan.relative_half_width;
}

}  // namespace

TimedSeries::TimedSeries(
    Runner& network, const std::vector<RunTimes>& warm, long long tick_ns, const Plan& plan, double share)
    : network_(network), plan_(plan), tick_(static_cast<double>(tick_ns)) {
    series.inner_count = loop_count(network, warm, tick_ns, plan);
    const double inference_ns = median_wall_ns(warm);
    // A clock that read 0 for one inference says nothing of the loop's length.
    if (inference_ns <= 0.0) return;
    // A network of a few microseconds would use up max_run_count in the first rounds, before there is anything to
    // see a drift in; its loops are made longer so that twice the fewest rounds fit below the cap.
    const double wanted_ns = plan.round_duration_s * 1e9 * share;
    const long most = std::max(1L, plan.max_run_count / (2 * plan.min_round_count));
    const double needed = std::ceil(wanted_ns / (inference_ns * static_cast<double>(most)));
    series.inner_count = std::max(series.inner_count, static_cast<long>(needed));
    // To the even one of two as near, as Python rounds.
    const double runs = std::nearbyint(wanted_ns / (inference_ns * static_cast<double>(series.inner_count)));
    runs_a_round_ = std::max(1L, static_cast<long>(runs));
}

void TimedSeries::run_round(int round) {
    // In a batch others may go on long after: the rounds stay comparable, the report stays small.
    const long count = run_count() < plan_.max_run_count ? runs_a_round_ : 1;
    const auto known = static_cast<std::ptrdiff_t>(ordered_.size());
    readings_.emplace_back();
    for (long index = 0; index < count; index++) {
        series.runs.push_back(network_.run(series.inner_count));
        series.rounds.push_back(round);
        readings_.back().push_back(plan_.reading_ns(series.runs.back()));
    }
    ordered_.insert(ordered_.end(), readings_.back().begin(), readings_.back().end());
    std::sort(ordered_.begin() + known, ordered_.end());
    std::inplace_merge(ordered_.begin(), ordered_.begin() + known, ordered_.end());
}

bool TimedSeries::is_narrow() const {
    return meets(plan_, estimate_sorted(ordered_, plan_.quantile, plan_.level, tick_)) && meets(plan_, estimate());
}

std::string stop_reason(const TimedSeries& timed, long round_count, double duration_s, const Plan& plan) {
    const long run_count = timed.run_count();
    const bool enough = run_count >= plan.min_run_count && round_count >= plan.min_round_count &&
                        duration_s >= plan.min_duration_s;
    const bool capped = duration_s >= plan.max_duration_s || run_count >= plan.max_run_count;
    if (enough && (capped || is_due(round_count)) && timed.is_narrow()) return "converged";
    if (duration_s >= plan.max_duration_s) return "duration_cap";
    return run_count >= plan.max_run_count ? "run_cap" : "";
}

Timing timing_of(TimedSeries&& timed, const WarmUp& warm, const std::string& reason) {
    return {std::move(timed.series), reason, static_cast<long>(warm.candidate.size()), warm.duration_s, warm.steady};
}

Raw measure(Runner& candidate, Runner* anchor, const Plan& plan, const Surroundings& around) {
    if (plan.anchor_share == 0.0) anchor = nullptr;
    const WarmUp warm = warm_up(candidate, anchor, plan, around);
    Raw raw;
    raw.tick_ns = clock_tick_ns(warm.candidate, plan);
    const double share = anchor != nullptr ? plan.anchor_share : 0.0;
    std::vector<TimedSeries> timed;
    timed.emplace_back(candidate, warm.candidate, raw.tick_ns, plan, 1.0 - share);
    if (anchor != nullptr) timed.emplace_back(*anchor, warm.anchor, raw.tick_ns, plan, share);
    const double start_s = around.clock_s();
    std::string reason;
    for (int round = 0; reason.empty(); round++) {
        // Alternating order: what a network does to the next one's caches and heat falls on both alike.
        for (size_t index = 0; index < timed.size(); index++)
            timed[round % 2 == 0 ? index : timed.size() - 1 - index].run_round(round);
        around.progress(round + 1);
        raw.sampling_duration_s = around.clock_s() - start_s;
        reason = stop_reason(timed[0], round + 1, raw.sampling_duration_s, plan);
    }
    raw.candidates.push_back(timing_of(std::move(timed[0]), warm, reason));
    if (anchor != nullptr) raw.anchor = std::move(timed[1].series);
    return raw;
}
