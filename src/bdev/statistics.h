// Counters of a channel, one writer each; summed over channels when asked for. See meter.h for who counts.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/latency.h"
#include "bdev/request.h"

namespace weft::bdev {

struct OpStatistics {
    static constexpr uint64_t no_minimum = UINT64_MAX;
    uint64_t operations = 0;
    uint64_t bytes = 0;
    uint64_t latency_ns = 0;                   // sum
    uint64_t latency_ns_max = 0;
    uint64_t latency_ns_min = no_minimum;      // until there is one
    LatencyBuckets latencies;

    // `times` operations took `latency` each.
    void took(env::TimeNs latency, uint64_t times) {
        latency_ns += latency * times;
        latency_ns_max = std::max(latency_ns_max, latency);
        latency_ns_min = std::min(latency_ns_min, latency);
        latencies.count(latency, times);
    }
    void add(const OpStatistics& other);
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

    void count_error(Status status) { ++errors[static_cast<size_t>(status)]; }
    void add(const Statistics& other);
    void reset(ResetMode mode);
};

}  // namespace weft::bdev
