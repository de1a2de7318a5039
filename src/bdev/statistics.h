// Counters of a channel, one writer each; summed over channels when asked for.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "bdev/request.h"

namespace weft::bdev {

struct OpStatistics {
    static constexpr uint64_t no_minimum = UINT64_MAX;
    uint64_t operations = 0;
    uint64_t bytes = 0;
    uint64_t latency_ns = 0;                   // sum
    uint64_t latency_ns_max = 0;
    uint64_t latency_ns_min = no_minimum;      // until there is one
};

// What a reset sets back, in the words of the field's clients.
enum class ResetMode : uint8_t {
    none,
    all,
    maxmin,  // the extremes of the latencies
    error,
};

struct Statistics {
    std::array<OpStatistics, op_count> ops{};
    std::array<uint64_t, status_count> errors{};  // by Status

    [[nodiscard]] const OpStatistics& of(Op op) const { return ops[static_cast<size_t>(op)]; }

    void count(Op op, uint64_t bytes, env::TimeNs latency, Status status) {
        if (status != Status::success) [[unlikely]] {
            ++errors[static_cast<size_t>(status)];
            return;
        }
        OpStatistics& figures = ops[static_cast<size_t>(op)];
        ++figures.operations;
        figures.bytes += bytes;
        figures.latency_ns += latency;
        figures.latency_ns_max = std::max(figures.latency_ns_max, latency);
        figures.latency_ns_min = std::min(figures.latency_ns_min, latency);
    }
    void add(const Statistics& other);
    void reset(ResetMode mode);
};

}  // namespace weft::bdev
