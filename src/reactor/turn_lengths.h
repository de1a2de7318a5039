// How long the turns of a reactor took that found work, in buckets of an eighth of a power of two: fine enough to see
// whether something made turns a fifth longer.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/latency.h"

namespace weft {

struct TurnLengths {
    static constexpr unsigned steps_shift = 3;
    static constexpr size_t steps = size_t{1} << steps_shift;
    static constexpr size_t bucket_count = 32 * steps;  // the last one: 14 s and more

    std::array<uint64_t, bucket_count> counts{};

    static constexpr size_t bucket_of(uint64_t ns) {
        if (ns < steps) return static_cast<size_t>(ns);
        const auto octave = static_cast<unsigned>(std::bit_width(ns)) - 1 - steps_shift;
        return std::min((size_t{octave} << steps_shift) + static_cast<size_t>(ns >> octave), bucket_count - 1);
    }
    // All turns of bucket `at` were shorter than this; none of those after it was.
    static constexpr uint64_t bound_ns(size_t at) {
        const size_t next = at + 1;
        if (next <= steps) return next;
        const size_t octave = (next >> steps_shift) - 1;
        return static_cast<uint64_t>(steps + (next & (steps - 1))) << octave;
    }

    void count(uint64_t ns) { ++counts[bucket_of(ns)]; }
    // In the bounds of everything else that is measured in time.
    [[nodiscard]] LatencyBuckets coarse() const {
        LatencyBuckets sums;
        for (size_t at = 0; at < bucket_count; ++at) {
            if (counts[at] > 0) sums.count(bound_ns(at) - 1, counts[at]);
        }
        return sums;
    }
};

}  // namespace weft
