#include "batch.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace {

constexpr int kRepeatLimit = 3;
constexpr double kFirstRestS = 10.0;
constexpr double kLookMinS = 0.2;
constexpr double kLookMaxS = 1.5;

using Generator = std::mt19937_64;

Raw in_turns(
    const std::vector<Runner*>& candidates, Runner* anchor, const Plan& plan, Generator& generator,
    const Surroundings& around) {
    std::vector<WarmUp> warm;
    for (Runner* one : candidates) warm.push_back(warm_up(*one, anchor, plan, around));
    Raw raw;
    raw.tick_ns = clock_tick_ns(warm[0].candidate, plan);
    for (const WarmUp& one : warm) raw.tick_ns = std::min(raw.tick_ns, clock_tick_ns(one.candidate, plan));
    const size_t count = candidates.size();
    const double share = 1.0 / static_cast<double>(count + (anchor != nullptr));
    std::vector<TimedSeries> timed;
    for (size_t index = 0; index < count; index++)
        timed.emplace_back(*candidates[index], warm[index].candidate, raw.tick_ns, plan, share);
    if (anchor != nullptr) timed.emplace_back(*anchor, warm.back().anchor, raw.tick_ns, plan, share);
    std::vector<size_t> order(timed.size());
    for (size_t index = 0; index < order.size(); index++) order[index] = index;
    std::vector<std::string> reasons(count);
    const double start_s = around.clock_s();
    // Those that have a reason to stop go on until every other has one.
    for (int round = 0; std::count(reasons.begin(), reasons.end(), "") != 0; round++) {
        std::shuffle(order.begin(), order.end(), generator);
        for (size_t index : order) timed[index].run_round(round);
        around.progress(round + 1);
        raw.sampling_duration_s = around.clock_s() - start_s;
        const double each_s = raw.sampling_duration_s / static_cast<double>(count);
        for (size_t index = 0; index < count; index++)
            reasons[index] = stop_reason(timed[index], round + 1, each_s, plan);
    }
    for (size_t index = 0; index < count; index++)
        raw.candidates.push_back(timing_of(std::move(timed[index]), warm[index], reasons[index]));
    if (anchor != nullptr) raw.anchor = std::move(timed[count].series);
    return raw;
}

// The anchor's headline from a second or so, narrow enough to see a drift of the plan's limit.
Plan look_plan(Plan plan) {
    plan.relative_half_width = std::max(plan.relative_half_width, plan.drift_limit / 3.0);
    plan.min_duration_s = std::min(plan.min_duration_s, kLookMinS);
    plan.max_duration_s = std::min(plan.max_duration_s, kLookMaxS);
    plan.warmup_min_s = std::min(plan.warmup_min_s, kLookMinS);
    plan.warmup_cap_s = std::min(plan.warmup_cap_s, kLookMaxS);
    return plan;
}

// Of one inference.
Estimate headline(const Raw& look, const Plan& plan) {
    const Series& series = look.candidates[0].series;
    Rounds rounds(static_cast<size_t>(series.rounds.back()) + 1);
    const auto inner = static_cast<double>(series.inner_count);
    for (size_t index = 0; index < series.runs.size(); index++)
        rounds[series.rounds[index]].push_back(plan.reading_ns(series.runs[index]) / inner);
    return estimate_rounds(rounds, plan.quantile, plan.level, static_cast<double>(look.tick_ns) / inner);
}

// Whether the anchor changed its speed beyond the limit, and that is no matter of wide intervals.
bool drifted(const Raw& before, const Raw& after, const Plan& plan) {
    const Estimate first = headline(before, plan), last = headline(after, plan);
    const bool apart = first.high < last.low || last.high < first.low;
    return apart && std::fabs(last.value / first.value - 1.0) > plan.drift_limit;
}

}  // namespace

Batch measure_batch(
    const std::vector<Runner*>& candidates, Runner* anchor, const Plan& plan, const std::string& seed,
    const Surroundings& around) {
    std::seed_seq words(seed.begin(), seed.end());
    Generator generator(words);
    Batch batch;
    if (anchor == nullptr) {
        batch.raw = in_turns(candidates, nullptr, plan, generator, around);
        return batch;
    }
    const Plan quick = look_plan(plan);
    while (true) {
        batch.looks = {measure(*anchor, nullptr, quick, around)};
        batch.raw = in_turns(candidates, anchor, plan, generator, around);
        batch.looks.push_back(measure(*anchor, nullptr, quick, around));
        if (batch.repeat_count == kRepeatLimit || !drifted(batch.looks[0], batch.looks[1], plan)) return batch;
        around.rest_s(kFirstRestS * std::pow(2.0, batch.repeat_count));
        batch.repeat_count++;
    }
}
