// The native runner's protocol on clocks that are told beforehand: reads questions, writes a line of JSON for each.
//
//   measure TICK_MS PLAN CANDIDATE ANCHOR          what golden_measurement.json asks of every port
//   batch GROWTH SLOW_FROM_S PLAN COUNT NETWORK.. ANCHOR   on a device that slows down by GROWTH a second from then on
//   rounds QUANTILE LEVEL COUNT ROUND..
// PLAN: eleven numbers; a network or a round: how many numbers, and the numbers.

#include <cmath>
#include <iostream>
#include <memory>

#include "batch.h"

namespace {

struct Time {
    double tick_ms = 0.0, now_ms = 0.0, growth = 0.0, slow_from_ms = 0.0, rested_s = 0.0;

    double read_ms() const { return tick_ms > 0.0 ? std::floor(now_ms / tick_ms) * tick_ms : now_ms; }
    void pass_ms(double duration_ms) {
        const double slow_s = std::max(now_ms - slow_from_ms, 0.0) / 1e3;
        now_ms += duration_ms * (1.0 + growth * slow_s);
    }
};

// Takes as long as it is told, over and over.
class Told : public Runner {
public:
    Told(Samples durations_ms, Time& time) : durations_ms_(std::move(durations_ms)), time_(time) {}

    RunTimes run(long count) override {
        const double start_ms = time_.read_ms();
        for (long index = 0; index < count; index++) time_.pass_ms(durations_ms_[next_++ % durations_ms_.size()]);
        return {std::llround((time_.read_ms() - start_ms) * 1e6), 0};
    }

private:
    Samples durations_ms_;
    Time& time_;
    size_t next_ = 0;
};

Samples read_numbers() {
    size_t count = 0;
    std::cin >> count;
    Samples numbers(count);
    for (double& one : numbers) std::cin >> one;
    return numbers;
}

Plan read_plan() {
    Plan plan;
    std::cin >> plan.level >> plan.relative_half_width >> plan.min_run_count >> plan.max_run_count >>
        plan.min_round_count >> plan.min_duration_s >> plan.max_duration_s >> plan.warmup_min_s >> plan.warmup_cap_s >>
        plan.anchor_share >> plan.round_duration_s;
    return plan;
}

void print(const char* name, const Series& series) {
    std::cout << ",\"" << name << "\":{\"inner_count\":" << series.inner_count << ",\"wall_ns\":[";
    for (size_t index = 0; index < series.runs.size(); index++)
        std::cout << (index ? "," : "") << series.runs[index].wall_ns;
    std::cout << "],\"rounds\":[";
    for (size_t index = 0; index < series.rounds.size(); index++)
        std::cout << (index ? "," : "") << series.rounds[index];
    std::cout << "]}";
}

void print(const Raw& raw, const Surroundings& around) {
    std::cout << "\"tick_ns\":" << raw.tick_ns << ",\"sampling_duration_s\":" << raw.sampling_duration_s
              << ",\"now_s\":" << around.clock_s() << ",\"networks\":[";
    for (size_t index = 0; index < raw.candidates.size(); index++) {
        const Timing& one = raw.candidates[index];
        std::cout << (index ? "," : "") << "{\"stop_reason\":\"" << one.stop_reason
                  << "\",\"warmup_run_count\":" << one.warmup_run_count
                  << ",\"warmup_steady\":" << (one.warmup_steady ? "true" : "false");
        print("series", one.series);
        std::cout << "}";
    }
    std::cout << "]";
    print("anchor", raw.anchor);
}

Surroundings around(Time& time) {
    return {[&time] { return time.read_ms() / 1e3; }, [](int) {},
            [&time](double duration_s) { time.rested_s += duration_s, time.now_ms += duration_s * 1e3; }};
}

void answer_measure() {
    Time time;
    std::cin >> time.tick_ms;
    const Plan plan = read_plan();
    Told candidate(read_numbers(), time);
    const Samples told = read_numbers();
    const std::unique_ptr<Told> anchor(told.empty() ? nullptr : new Told(told, time));
    std::cout << "{";
    print(measure(candidate, anchor.get(), plan, around(time)), around(time));
    std::cout << "}\n";
}

void answer_batch() {
    Time time;
    size_t count = 0;
    std::cin >> time.growth >> time.slow_from_ms;
    time.slow_from_ms *= 1e3;
    const Plan plan = read_plan();
    std::cin >> count;
    std::vector<std::unique_ptr<Told>> networks;
    std::vector<Runner*> candidates;
    for (size_t index = 0; index < count; index++) {
        networks.push_back(std::make_unique<Told>(read_numbers(), time));
        candidates.push_back(networks.back().get());
    }
    Told anchor(read_numbers(), time);
    const Batch batch = measure_batch(candidates, &anchor, plan, "measurements/m", around(time));
    std::cout << "{\"repeat_count\":" << batch.repeat_count << ",\"look_count\":" << batch.looks.size()
              << ",\"rested_s\":" << time.rested_s << ",";
    print(batch.raw, around(time));
    std::cout << "}\n";
}

void answer_rounds() {
    double quantile = 0.0, level = 0.0;
    size_t count = 0;
    std::cin >> quantile >> level >> count;
    Rounds rounds(count);
    for (Samples& one : rounds) one = read_numbers();
    const Estimate found = estimate_rounds(rounds, quantile, level, 0.0);
    std::cout << "[" << found.value << "," << found.low << "," << found.high << "," << found.level << "]\n";
}

}  // namespace

int main() {
    std::cout.precision(17);
    for (std::string word; std::cin >> word;) {
        if (word == "measure") answer_measure();
        else if (word == "batch") answer_batch();
        else answer_rounds();
    }
}
