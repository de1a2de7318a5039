// What a load came to, for people and for programs.
#pragma once

#include <string>

#include "app/cli/load/perf_queue.h"

namespace weft::cli {

struct PerfSummary {
    std::string workload;
    std::string target;    // "nqn… at 127.0.0.1:4420"
    PerfPlan plan;
    uint32_t connections = 0;
    uint32_t depth_granted = 0;  // what the controller's queues take; less than asked: the rest waits at the host
    size_t cores = 0;
    bool header_digest = false;
    bool data_digest = false;
    bool discard = false;
    uint32_t reauthentications = 0;
    double seconds = 0;      // measured
    double cpu_seconds = 0;  // user and system time of the process, in the measured time
    double busy_seconds = 0;  // of the client's reactors, in turns that found work
    PerfResults results;

    [[nodiscard]] uint64_t count() const { return results.reads.count() + results.writes.count(); }
    [[nodiscard]] double iops() const { return seconds > 0 ? static_cast<double>(count()) / seconds : 0; }
    [[nodiscard]] double bytes_per_second() const { return iops() * plan.unit_bytes; }
};

void print_summary(const PerfSummary& summary);
std::string summary_json(const PerfSummary& summary);

}  // namespace weft::cli
