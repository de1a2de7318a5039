// Copies into memory that nobody reads soon, with stores that go around the cache: the destination's lines are not
// read first and do not push others out. A 4 KiB block into cold memory costs about a third less than by memcpy.
//
// Chosen when the program runs, by what the CPU has: AVX-512, AVX2, else SSE2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace weft::bdev {

// One way to do it. Destinations are aligned to `streaming_unit_bytes` and sizes multiples of it.
struct StreamingStores {
    const char* name;
    void (*copy)(std::byte* to, const std::byte* from, size_t bytes);
    void (*zero)(std::byte* to, size_t bytes);
};
inline constexpr size_t streaming_unit_bytes = 64;

// Those that this CPU has, the best first.
std::span<const StreamingStores> streaming_stores();

// Any addresses and sizes; small pieces go through the cache. What it stored is seen by this thread at once and by
// others after streaming_fence(): whatever is stored later is seen later.
void streaming_copy(std::byte* to, const std::byte* from, size_t bytes);
void streaming_zero(std::byte* to, size_t bytes);
void streaming_fence();

}  // namespace weft::bdev
