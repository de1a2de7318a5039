// How a trace lies in memory, and so in its file: a header, then for each reactor a ring of entries behind a header
// of its own. Little-endian, as the machine is; every field lies where its size wants it.
//
// Entry number n of a ring is in place n modulo ring_entries. `next` is the number of the entry to be written next, and
// is stored after the entry before it: an entry that was copied is whole if `next` has not gone round to it meanwhile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::trace {

inline constexpr std::array<char, 8> file_magic{'W', 'E', 'F', 'T', 'T', 'R', 'C', '\n'};
inline constexpr uint32_t file_version = 1;

struct FileHeader {
    std::array<char, 8> magic{};
    uint32_t version = 0;
    uint32_t ring_count = 0;
    uint64_t table_digest = 0;  // trace_points.h
    uint32_t ring_entries = 0;  // a power of two
    uint32_t process_id = 0;
    uint64_t began_ns = 0;  // monotonic clock, as the entries
    uint64_t began_wall_ns = 0;  // the same moment, since 1970
    uint64_t cleared_ns = 0;  // entries before count no more
    uint64_t reserved = 0;
};
static_assert(sizeof(FileHeader) == 64);

struct RingHeader {
    uint64_t next = 0;
    int32_t cpu = -1;  // -1: not pinned
    uint32_t reserved = 0;
    std::array<char, 48> name{};  // of the reactor; ends with a 0
};
static_assert(sizeof(RingHeader) == 64);

struct Entry {
    uint64_t time_ns = 0;
    uint64_t object = 0;  // unique among its kind while the program runs; 0: none
    uint64_t a = 0;
    uint64_t b = 0;
    uint32_t c = 0;
    uint16_t d = 0;
    uint16_t point = 0;
};
static_assert(sizeof(Entry) == 40);

inline constexpr uint32_t ring_entries_min = 16;
inline constexpr uint32_t ring_entries_max = uint32_t{1} << 22;
inline constexpr uint32_t ring_count_max = 1025;  // a control reactor and 1024 CPUs

constexpr uint64_t ring_bytes(uint32_t entries) {
    const uint64_t bytes = sizeof(RingHeader) + uint64_t{entries} * sizeof(Entry);
    return (bytes + 63) / 64 * 64;
}
constexpr uint64_t ring_offset(uint32_t entries, uint32_t index) {
    return sizeof(FileHeader) + index * ring_bytes(entries);
}
constexpr uint64_t file_bytes(uint32_t entries, uint32_t rings) { return ring_offset(entries, rings); }

}  // namespace weft::trace
