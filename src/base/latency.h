// Latencies in bounded buckets: one increment an operation, the same bounds everywhere, so that they add up.
//
// Bounds are powers of two of nanoseconds, 1.024 µs to 8.6 s; what took longer is in the last bucket.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft {

struct LatencyBuckets {
    static constexpr size_t bound_count = 24;
    static constexpr unsigned first_bound_shift = 10;

    std::array<uint64_t, bound_count + 1> counts{};  // not cumulative

    // The upper bound of bucket `at`, which belongs to it; none for the last one.
    static constexpr uint64_t bound_ns(size_t at) { return uint64_t{1} << (first_bound_shift + at); }
    static constexpr size_t bucket_of(uint64_t latency_ns) {
        if (latency_ns == 0) return 0;
        const auto at = static_cast<size_t>(std::bit_width((latency_ns - 1) >> first_bound_shift));
        return std::min(at, bound_count);
    }

    void count(uint64_t latency_ns, uint64_t times) { counts[bucket_of(latency_ns)] += times; }
    void add(const LatencyBuckets& other) {
        for (size_t at = 0; at < counts.size(); ++at) counts[at] += other.counts[at];
    }
};

}  // namespace weft
