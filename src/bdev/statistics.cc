#include "bdev/statistics.h"

namespace weft::bdev {

void Statistics::add(const Statistics& other) {
    for (size_t at = 0; at < op_count; ++at) {
        OpStatistics& ours = ops[at];
        const OpStatistics& theirs = other.ops[at];
        ours.operations += theirs.operations;
        ours.bytes += theirs.bytes;
        ours.latency_ns += theirs.latency_ns;
        ours.latency_ns_max = std::max(ours.latency_ns_max, theirs.latency_ns_max);
        ours.latency_ns_min = std::min(ours.latency_ns_min, theirs.latency_ns_min);
    }
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
