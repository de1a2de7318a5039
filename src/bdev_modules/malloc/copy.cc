#include "bdev_modules/malloc/copy.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"

namespace weft::bdev {

namespace {

// Below this the two ends that are no whole lines, and a later miss, cost more than is saved.
constexpr size_t streaming_bytes_min = 256;

__attribute__((target("avx512f"))) void copy_avx512(std::byte* to, const std::byte* from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) {
        _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), _mm512_loadu_si512(from + at));
    }
}

__attribute__((target("avx512f"))) void zero_avx512(std::byte* to, size_t bytes) {
    const __m512i zero = _mm512_setzero_si512();
    for (size_t at = 0; at < bytes; at += 64) _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), zero);
}

__attribute__((target("avx2"))) void copy_avx2(std::byte* to, const std::byte* from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) {
        const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(from + at));
        const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(from + at + 32));
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at), low);
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at + 32), high);
    }
}

__attribute__((target("avx2"))) void zero_avx2(std::byte* to, size_t bytes) {
    const __m256i zero = _mm256_setzero_si256();
    for (size_t at = 0; at < bytes; at += 32) _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at), zero);
}

void copy_sse2(std::byte* to, const std::byte* from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) {
        std::array<__m128i, 4> line;
        for (size_t part = 0; part < line.size(); ++part) {
            line[part] = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from + at + 16 * part));
        }
        for (size_t part = 0; part < line.size(); ++part) {
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + at + 16 * part), line[part]);
        }
    }
}

void zero_sse2(std::byte* to, size_t bytes) {
    const __m128i zero = _mm_setzero_si128();
    for (size_t at = 0; at < bytes; at += 16) _mm_stream_si128(reinterpret_cast<__m128i*>(to + at), zero);
}

constexpr StreamingStores all_stores[] = {
    {"avx512", copy_avx512, zero_avx512},
    {"avx2", copy_avx2, zero_avx2},
    {"sse2", copy_sse2, zero_sse2},
};

// How much of [to, to + bytes) stands before its first whole line.
size_t bytes_to_line(const std::byte* to, size_t bytes) {
    const size_t past_line = reinterpret_cast<uintptr_t>(to) % streaming_unit_bytes;
    return std::min(bytes, (streaming_unit_bytes - past_line) % streaming_unit_bytes);
}

}  // namespace

std::span<const StreamingStores> streaming_stores() {
    static const size_t unusable = [] {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f")) return 0U;
        return __builtin_cpu_supports("avx2") ? 1U : 2U;
    }();
    return std::span(all_stores).subspan(unusable);
}

void streaming_copy(std::byte* to, const std::byte* from, size_t bytes) {
    static const StreamingStores& best = streaming_stores().front();
    if (bytes < streaming_bytes_min) {
        if (bytes > 0) std::memcpy(to, from, bytes);
        return;
    }
    const size_t before = bytes_to_line(to, bytes);
    const size_t lines = (bytes - before) / streaming_unit_bytes * streaming_unit_bytes;
    const size_t after = bytes - before - lines;
    std::memcpy(to, from, before);
    best.copy(to + before, from + before, lines);
    std::memcpy(to + before + lines, from + before + lines, after);
}

void streaming_zero(std::byte* to, size_t bytes) {
    static const StreamingStores& best = streaming_stores().front();
    if (bytes < streaming_bytes_min) {
        std::memset(to, 0, bytes);
        return;
    }
    const size_t before = bytes_to_line(to, bytes);
    const size_t lines = (bytes - before) / streaming_unit_bytes * streaming_unit_bytes;
    std::memset(to, 0, before);
    best.zero(to + before, lines);
    std::memset(to + before + lines, 0, bytes - before - lines);
}

void streaming_fence() { _mm_sfence(); }

}  // namespace weft::bdev
