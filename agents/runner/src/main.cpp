// fleetnas-runner: measures one network beside an anchor on the device it runs on.
//
//   fleetnas-runner --version                       one line of JSON
//   fleetnas-runner [--exit-with-stdin] JOB_FILE    lines on standard output:
//     started PID          before anything else
//     progress ROUND       a sign of life
//     result {...}         raw runs, output digest and what was seen around them; the agent judges
//     fault KIND MESSAGE   instead of a result; exit code 1
//
// The process ends by itself at the job's limit, when its output has no reader, and with --exit-with-stdin when
// its standard input ends: a link that breaks leaves nothing running on the device.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include "facts.h"
#include "fault.h"
#include "job.h"
#include "network.h"
#include "sampling.h"

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

void print_result(const Raw& raw, const Network& candidate, const Facts& before, const Facts& after) {
    printf("result {\"stop_reason\":\"%s\",\"warmup_run_count\":%ld,\"warmup_duration_s\":%.6f,"
           "\"warmup_steady\":%s,\"sampling_duration_s\":%.6f,\"tick_ns\":%lld",
           raw.stop_reason.c_str(), raw.warmup_run_count, raw.warmup_duration_s,
           raw.warmup_steady ? "true" : "false", raw.sampling_duration_s, raw.tick_ns);
    // Numbers that are not finite are no JSON: as text, which the agent reads as well.
    print_list("digest", candidate.digest(), [](double part) { printf("\"%.17g\"", part); });
    print_facts("before", before);
    print_facts("after", after);
    print_series("candidate", raw.candidate);
    print_series("anchor", raw.anchor);
    printf("}\n");
    fflush(stdout);
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
        printf("progress 0\n");
        fflush(stdout);
        sleep(1);
    }
}

int run(const char* job_path) {
    const Job job = read_job(job_path);
    alarm(job.limit_s);
    take_turn(job.lock);
    pin(job.cores);
    const Facts before = device_facts();
    Network candidate(job.candidate, job);
    const bool has_anchor = !job.anchor.param.empty() && job.plan.anchor_share > 0.0;
    const std::unique_ptr<Network> anchor(has_anchor ? new Network(job.anchor, job) : nullptr);
    const Raw raw = measure(candidate, anchor.get(), job.plan, [](int round) {
        printf("progress %d\n", round);
        fflush(stdout);
    });
    print_result(raw, candidate, before, device_facts());
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
        printf("{\"protocol\":2,\"ncnn\":\"%s\",\"target\":\"%s\"}\n", FLEETNAS_NCNN_VERSION, FLEETNAS_TARGET);
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
