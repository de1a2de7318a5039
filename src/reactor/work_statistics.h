// What a thread's CPU did to data, counted where it is done: one writer, read on the same thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft {

enum class Work : uint8_t {
    copy,     // into or out of the memory of a device
    fill,     // zeroes
    compare,
    crc32c,   // data digests, made and checked
};
inline constexpr size_t work_count = 4;

struct WorkStatistics {
    struct Counter {
        uint64_t executed = 0;
        uint64_t bytes = 0;
    };
    std::array<Counter, work_count> of{};

    void count(Work work, uint64_t bytes) {
        Counter& counter = of[static_cast<size_t>(work)];
        ++counter.executed;
        counter.bytes += bytes;
    }
    void add(const WorkStatistics& other) {
        for (size_t at = 0; at < work_count; ++at) {
            of[at].executed += other.of[at].executed;
            of[at].bytes += other.of[at].bytes;
        }
    }
};

}  // namespace weft
