#include "env/linux/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace weft::env {

namespace {

TimeNs to_ns(const timeval& time) {
    return static_cast<TimeNs>(time.tv_sec) * ns_per_s + static_cast<TimeNs>(time.tv_usec) * ns_per_us;
}

// Field 22 of /proc/self/stat, in clock ticks after boot; the name in field 2 may hold anything but ends with ')'.
double start_after_boot() {
    std::ifstream file("/proc/self/stat");
    std::string text;
    std::getline(file, text);
    size_t at = text.rfind(')');
    if (at == std::string::npos) return 0;
    for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
    if (at == std::string::npos) return 0;
    return std::strtod(text.c_str() + at, nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double boot_time() {
    std::ifstream file("/proc/stat");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
    }
    return 0;
}

}  // namespace

ProcessUsage process_usage() {
    ProcessUsage usage;
    rusage times{};
    if (getrusage(RUSAGE_SELF, &times) == 0) usage.cpu_ns = to_ns(times.ru_utime) + to_ns(times.ru_stime);
    static const double started_at = boot_time() + start_after_boot();
    usage.started_at = started_at;
    std::ifstream memory("/proc/self/statm");
    uint64_t total = 0;
    uint64_t resident = 0;
    if (memory >> total >> resident) {
        const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
        usage.virtual_bytes = total * page;
        usage.resident_bytes = resident * page;
    }
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
         at.increment(error)) {
        ++usage.open_descriptors;
    }
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.descriptors_max = limit.rlim_cur;
    return usage;
}

CpuUsage cpu_usage(size_t cpu) {
    CpuUsage usage;
    const std::string name = "cpu" + std::to_string(cpu);
    std::ifstream file("/proc/stat");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string first;
        uint64_t nice = 0;
        uint64_t idle = 0;
        uint64_t waiting = 0;
        if (!(words >> first) || first != name) continue;
        words >> usage.user >> nice >> usage.system >> idle >> waiting >> usage.interrupts;
        break;
    }
    std::error_code error;
    for (std::filesystem::directory_iterator at("/sys/devices/system/cpu/" + name, error), end; !error && at != end;
         at.increment(error)) {
        const std::string entry = at->path().filename().string();
        if (!entry.starts_with("node")) continue;
        usage.numa_node = static_cast<int>(std::strtol(entry.c_str() + 4, nullptr, 10));
        break;
    }
    return usage;
}

}  // namespace weft::env
