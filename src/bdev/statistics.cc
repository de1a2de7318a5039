#include "bdev/statistics.h"

namespace weft::bdev {

void OpStatistics::add(const OpStatistics& other) {
    operations += other.operations;
    bytes += other.bytes;
    latency_ns += other.latency_ns;
    latency_ns_max = std::max(latency_ns_max, other.latency_ns_max);
    latency_ns_min = std::min(latency_ns_min, other.latency_ns_min);
    latencies.add(other.latencies);
}

void Statistics::add(const Statistics& other) {
    for (size_t at = 0; at < op_count; ++at) ops[at].add(other.ops[at]);
    for (size_t at = 0; at < status_count; ++at) errors[at] += other.errors[at];
}

void Statistics::reset(ResetMode mode) {
    switch (mode) {
        case ResetMode::none: return;
        case ResetMode::all: *this = Statistics{}; return;
        case ResetMode::error: errors = {}; return;
        case ResetMode::maxmin:
            for (OpStatistics& figures : ops) {
                figures.latency_ns_max = 0;
                figures.latency_ns_min = OpStatistics::no_minimum;
            }
            return;
    }
}

}  // namespace weft::bdev
