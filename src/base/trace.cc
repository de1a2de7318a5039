#include "base/trace.h"

#include <bit>

#include "base/assert.h"

namespace weft::trace {

namespace {

// Stores that another process looks at. Release: whoever sees one sees those before it, so that an entry is never
// overwritten before its ring's `next` says that it may be.
void publish(std::byte* at, uint64_t value) {
    std::atomic_ref(*reinterpret_cast<uint64_t*>(at)).store(value, std::memory_order_release);
}

}  // namespace

uint64_t group_mask() {
    uint64_t mask = 0;
    for (const GroupInfo& info : groups) {
        if (is_on(info.group)) mask |= uint64_t{1} << static_cast<size_t>(info.group);
    }
    return mask;
}

void switch_all_off() {
    for (auto& mask : detail::masks) mask.store(0, std::memory_order_relaxed);
}

void Track::write(Point point, uint64_t object, const Arguments& arguments, uint64_t time_ns) {
    std::byte* const ring = ring_.load(std::memory_order_acquire);
    if (ring == nullptr) return;
    // Kept in the memory alone, and so a place inside of it whatever somebody wrote there.
    const uint64_t number = std::atomic_ref(*reinterpret_cast<uint64_t*>(ring)).load(std::memory_order_relaxed);
    std::byte* at = ring + sizeof(RingHeader) + (number & (entries_ - 1)) * sizeof(Entry);
    const uint64_t last = uint64_t{arguments.c} | uint64_t{arguments.d} << 32 | static_cast<uint64_t>(point) << 48;
    for (const uint64_t word : {time_ns, object, arguments.a, arguments.b, last}) {
        publish(at, word);
        at += sizeof(word);
    }
    publish(ring, number + 1);
}

Memory::Memory(MutableBytes memory, const MemoryOptions& options, std::span<Track* const> tracks)
    : memory_(memory), tracks_(tracks.begin(), tracks.end()) {
    const auto count = static_cast<uint32_t>(tracks.size());
    WEFT_ASSERT(std::has_single_bit(options.ring_entries) && options.ring_entries >= ring_entries_min);
    WEFT_ASSERT(count <= ring_count_max && memory.size() >= file_bytes(options.ring_entries, count));
    for (uint32_t index = 0; index < count; ++index) {
        Track& track = *tracks[index];
        const MutableBytes ring = memory.subspan(ring_offset(options.ring_entries, index));
        RingHeader header{.cpu = track.cpu_};
        track.name_.copy(header.name.data(), header.name.size() - 1);
        store(ring, header);
        WEFT_ASSERT(track.ring_.load(std::memory_order_relaxed) == nullptr);
        track.entries_ = options.ring_entries;
        track.number_.store(static_cast<uint16_t>(index + 1), std::memory_order_relaxed);
        track.ring_.store(ring.data(), std::memory_order_release);
    }
    // Last, and the magic last of all: a file without it is not finished.
    store(memory, FileHeader{.version = file_version,
                             .ring_count = count,
                             .table_digest = table_digest(),
                             .ring_entries = options.ring_entries,
                             .process_id = options.process_id,
                             .began_ns = options.now_ns,
                             .began_wall_ns = options.wall_ns});
    publish(memory.data(), std::bit_cast<uint64_t>(file_magic));
}

Memory::~Memory() {
    switch_all_off();
    for (Track* const track : tracks_) track->ring_.store(nullptr, std::memory_order_release);
}

void Memory::clear(uint64_t now_ns) { publish(memory_.data() + offsetof(FileHeader, cleared_ns), now_ns); }

}  // namespace weft::trace
