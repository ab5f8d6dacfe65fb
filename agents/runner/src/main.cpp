// fleetnas-runner: measures a network beside an anchor on the device it runs on, or several that take turns.
//
//   fleetnas-runner --version                       one line of JSON
//   fleetnas-runner [--exit-with-stdin] JOB_FILE    lines on standard output:
//     started PID          before anything else
//     network NUMBER       which of the job's networks is being loaded and first run, from 1; 0: none, or the anchor
//     progress ROUND       a sign of life
//     result {...}         raw runs, output digest and what was seen around them; the agent judges
//     fault KIND MESSAGE   instead of a result; exit code 1
//
// The process ends by itself at the job's limit, when its output has no reader, and with --exit-with-stdin when
// its standard input ends: a link that breaks leaves nothing running on the device.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include "batch.h"
#include "facts.h"
#include "fault.h"
#include "job.h"
#include "network.h"

namespace {

using Facts = std::map<std::string, std::string>;

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (char one : text) {
        if (one == '"' || one == '\\') out += '\\';
        out += static_cast<unsigned char>(one) < ' ' ? ' ' : one;
    }
    return out + "\"";
}

void print_facts(const char* name, const Facts& facts) {
    printf(",\"%s\":{", name);
    const char* comma = "";
    for (const auto& [key, value] : facts) {
        printf("%s%s:%s", comma, quoted(key).c_str(), quoted(value).c_str());
        comma = ",";
    }
    printf("}");
}

template <typename Values, typename Print>
void print_list(const char* name, const Values& values, Print print) {
    printf(",\"%s\":[", name);
    const char* comma = "";
    for (const auto& value : values) {
        printf("%s", comma);
        print(value);
        comma = ",";
    }
    printf("]");
}

void print_series(const char* name, const Series& series) {
    printf(",\"%s\":{\"inner_count\":%ld", name, series.inner_count);
    print_list("wall_ns", series.runs, [](const RunTimes& run) { printf("%lld", run.wall_ns); });
    print_list("cpu_ns", series.runs, [](const RunTimes& run) { printf("%lld", run.cpu_ns); });
    print_list("rounds", series.rounds, [](int round) { printf("%d", round); });
    printf("}");
}

void print_timing(const Timing& timing) {
    printf("{\"stop_reason\":\"%s\",\"warmup_run_count\":%ld,\"warmup_duration_s\":%.6f,\"warmup_steady\":%s",
           timing.stop_reason.c_str(), timing.warmup_run_count, timing.warmup_duration_s,
           timing.warmup_steady ? "true" : "false");
    print_series("series", timing.series);
}

void print_result(const Batch& batch, const std::vector<std::vector<double>>& digests, const Facts& before,
                  const Facts& after) {
    printf("result {\"sampling_duration_s\":%.6f,\"tick_ns\":%lld,\"repeat_count\":%d",
           batch.raw.sampling_duration_s, batch.raw.tick_ns, batch.repeat_count);
    size_t next = 0;
    print_list("networks", batch.raw.candidates, [&](const Timing& timing) {
        print_timing(timing);
        // Numbers that are not finite are no JSON: as text, which the agent reads as well.
        print_list("digest", digests[next++], [](double part) { printf("\"%.17g\"", part); });
        printf("}");
    });
    print_list("looks", batch.looks, [](const Raw& look) {
        printf("{\"tick_ns\":%lld", look.tick_ns);
        print_series("series", look.candidates[0].series);
        printf("}");
    });
    print_facts("before", before);
    print_facts("after", after);
    print_series("anchor", batch.raw.anchor);
    printf("}\n");
    fflush(stdout);
}

double clock_s() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

void say(const char* word, int number) {
    printf("%s %d\n", word, number);
    fflush(stdout);
}

// With signs of life.
void rest_s(double duration_s) {
    for (const double end_s = clock_s() + duration_s; clock_s() < end_s; say("progress", 0)) sleep(1);
}

void* exit_with_stdin(void*) {
    char scrap[256];
    while (read(STDIN_FILENO, scrap, sizeof scrap) > 0) {}
    _exit(4);
}

// One measurement at a time on a device, whichever agent asks. The kernel frees the lock with the process.
void take_turn(const std::string& path) {
    if (path.empty()) return;
    const int file = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) fail("infrastructure", "the lock '" + path + "' cannot be opened");
    for (int waited_s = 0; flock(file, LOCK_EX | LOCK_NB) != 0; waited_s++) {
        if (waited_s == 60)
            fail("infrastructure", "another agent measures on this device, for 60 s now: a device should have one agent");
        say("progress", 0);
        sleep(1);
    }
}

int run(const char* job_path) {
    const Job job = read_job(job_path);
    alarm(job.limit_s);
    take_turn(job.lock);
    pin(job.cores);
    const Facts before = device_facts();
    std::vector<std::unique_ptr<Network>> networks;
    std::vector<Runner*> candidates;
    for (const NetworkFiles& files : job.candidates) {
        say("network", static_cast<int>(networks.size()) + 1);
        networks.push_back(std::make_unique<Network>(files, job));
        candidates.push_back(networks.back().get());
    }
    say("network", 0);
    const bool has_anchor = !job.anchor.param.empty() && job.plan.anchor_share > 0.0;
    const std::unique_ptr<Network> anchor(has_anchor ? new Network(job.anchor, job) : nullptr);
    const Surroundings around = {clock_s, [](int round) { say("progress", round); }, rest_s};
    Batch batch;
    if (candidates.size() == 1) batch.raw = measure(*candidates[0], anchor.get(), job.plan, around);
    else batch = measure_batch(candidates, anchor.get(), job.plan, job.seed, around);
    std::vector<std::vector<double>> digests;
    for (const auto& one : networks) digests.push_back(one->digest());
    print_result(batch, digests, before, device_facts());
    return 0;
}

}  // namespace

void fail(const char* kind, const std::string& message) {
    printf("fault %s %s\n", kind, message.c_str());
    fflush(stdout);
    _exit(1);
}

// ncnn is built for these without a look at the CPU; better a sentence than an illegal instruction.
static void check_cpu() {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        fail("infrastructure", "this CPU lacks AVX2 or FMA, which the x86_64 runner is built for");
#endif
}

int main(int argc, char** argv) {
    check_cpu();
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("{\"protocol\":3,\"ncnn\":\"%s\",\"target\":\"%s\"}\n", FLEETNAS_NCNN_VERSION, FLEETNAS_TARGET);
        return 0;
    }
    const bool watch = argc == 3 && strcmp(argv[1], "--exit-with-stdin") == 0;
    if (!watch && argc != 2) {
        fprintf(stderr, "usage: fleetnas-runner --version | [--exit-with-stdin] JOB_FILE\n");
        return 2;
    }
    printf("started %d\n", static_cast<int>(getpid()));
    fflush(stdout);
    pthread_t watcher;
    if (watch && pthread_create(&watcher, nullptr, exit_with_stdin, nullptr) != 0)
        fail("infrastructure", "no thread could be started");
    return run(argv[argc - 1]);
}
