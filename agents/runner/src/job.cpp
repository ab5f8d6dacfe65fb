#include "job.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "fault.h"

static double number(const std::string& key, const std::string& text) {
    char* end = nullptr;
    const double value = strtod(text.c_str(), &end);
    if (end == text.c_str() || *end != '\0') fail("infrastructure", "job: '" + key + " " + text + "' is no number");
    return value;
}

static bool set_plan(Plan& plan, const std::string& key, const std::string& text) {
    struct Real { const char* name; double Plan::*field; };
    struct Whole { const char* name; long Plan::*field; };
    static const Real reals[] = {
        {"quantile", &Plan::quantile}, {"level", &Plan::level},
        {"relative_half_width", &Plan::relative_half_width}, {"min_duration_s", &Plan::min_duration_s},
        {"max_duration_s", &Plan::max_duration_s}, {"warmup_min_s", &Plan::warmup_min_s},
        {"warmup_cap_s", &Plan::warmup_cap_s}, {"warmup_tolerance", &Plan::warmup_tolerance},
        {"anchor_share", &Plan::anchor_share}, {"round_duration_s", &Plan::round_duration_s},
        {"drift_limit", &Plan::drift_limit}};
    static const Whole wholes[] = {
        {"min_run_count", &Plan::min_run_count}, {"max_run_count", &Plan::max_run_count},
        {"min_round_count", &Plan::min_round_count}, {"tick_count", &Plan::tick_count}};
    for (const Real& one : reals)
        if (key == one.name) return plan.*one.field = number(key, text), true;
    for (const Whole& one : wholes)
        if (key == one.name) return plan.*one.field = static_cast<long>(number(key, text)), true;
    return false;
}

static std::vector<int> core_list(const std::string& text) {
    std::vector<int> cores;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) cores.push_back(static_cast<int>(number("cores", part)));
    return cores;
}

static void set_field(Job& job, const std::string& key, std::istringstream& rest) {
    std::string first, second;
    rest >> first >> second;
    if (key == "candidate") job.candidates.push_back({first, second});
    else if (key == "anchor") job.anchor = {first, second};
    else if (key == "input") job.input = first;
    else if (key == "file") job.files[first] = second;
    else if (key == "seed") job.seed = first;
    else if (key == "lock") job.lock = first;
    else if (key == "cores") job.cores = core_list(first);
    else if (key == "thread_count") job.thread_count = static_cast<int>(number(key, first));
    else if (key == "limit_s") job.limit_s = static_cast<unsigned>(number(key, first));
    else if (key == "series") job.plan.headline_is_cpu = first == "cpu";
    else if (!set_plan(job.plan, key, first)) fail("infrastructure", "job: there is no field '" + key + "'");
}

Job read_job(const char* path) {
    std::ifstream stream(path);
    std::string line;
    if (!std::getline(stream, line) || line != "fleetnas-job 3")
        fail("infrastructure", std::string("'") + path + "' is no job file of this runner's version");
    Job job;
    while (std::getline(stream, line)) {
        std::istringstream words(line);
        std::string key;
        if (words >> key) set_field(job, key, words);
    }
    if (job.candidates.empty() || job.input.empty())
        fail("infrastructure", std::string("'") + path + "' names no candidate or no input");
    return job;
}
