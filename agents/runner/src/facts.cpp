#include "facts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "fault.h"

namespace {

constexpr int kMostZones = 64;
constexpr long kColdest = 1000, kHottest = 150000;  // millidegrees; zones beyond are not temperatures

std::string first_line(const std::string& path) {
    std::ifstream stream(path);
    std::string line;
    std::getline(stream, line);
    return line;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
    return text;
}

std::vector<int> allowed_cores() {
    cpu_set_t set;
    std::vector<int> cores;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &set)) cores.push_back(core);
    return cores;
}

std::string of_each_core(const std::vector<int>& cores, const std::string& name) {
    std::vector<std::string> found;
    for (int core : cores) {
        const std::string value = first_line("/sys/devices/system/cpu/cpu" + std::to_string(core) + "/cpufreq/" + name);
        if (!value.empty()) found.push_back(value);
    }
    if (!found.empty() && std::all_of(found.begin(), found.end(), [&](auto& one) { return one == found[0]; })) return found[0];
    return joined(found);
}

void add_temperatures(std::map<std::string, std::string>& facts) {
    long hottest = 0;
    std::vector<std::string> zones;
    for (int zone = 0; zone < kMostZones; zone++) {
        const std::string folder = "/sys/class/thermal/thermal_zone" + std::to_string(zone);
        const std::string kind = first_line(folder + "/type");
        if (kind.empty()) break;
        const long millidegrees = atol(first_line(folder + "/temp").c_str());
        if (millidegrees < kColdest || millidegrees > kHottest) continue;
        zones.push_back(kind + "=" + std::to_string(millidegrees));
        hottest = std::max(hottest, millidegrees);
    }
    if (zones.empty()) return;
    facts["temperature_millicelsius"] = std::to_string(hottest);
    facts["thermal_zones"] = joined(zones);
}

}  // namespace

void pin(const std::vector<int>& cores) {
    if (cores.empty()) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int core : cores) CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("infrastructure", std::string("the kernel refuses to pin to these cores (") + strerror(errno) + ")");
}

std::map<std::string, std::string> device_facts() {
    std::map<std::string, std::string> facts;
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    facts["context_switches_involuntary"] = std::to_string(usage.ru_nivcsw);
    facts["max_rss_kib"] = std::to_string(usage.ru_maxrss);
    utsname name;
    if (uname(&name) == 0) facts["platform"] = std::string(name.sysname) + "-" + name.release + "-" + name.machine;
    const std::string load = first_line("/proc/loadavg");
    facts["load"] = load.substr(0, load.rfind(' '));
    const std::vector<int> cores = allowed_cores();
    std::vector<std::string> names;
    for (int core : cores) names.push_back(std::to_string(core));
    facts["cores"] = joined(names);
    facts["governor"] = of_each_core(cores, "scaling_governor");
    facts["frequency_khz"] = of_each_core(cores, "scaling_cur_freq");
    add_temperatures(facts);
    for (auto at = facts.begin(); at != facts.end();) at = at->second.empty() ? facts.erase(at) : std::next(at);
    return facts;
}
