// Tracing, the side that writes: which tracepoints are on, and the ring of a reactor.
//
//     if (trace::is_on(trace::Point::tcp_qp_create)) [[unlikely]] trace_here(trace::Point::tcp_qp_create, uid());
//
// Off, a tracepoint costs a load and a branch. On, it reads the clock and writes forty bytes. reactor/trace_here.h
// finds the ring and the time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/trace_layout.h"
#include "base/trace_points.h"

namespace weft::trace {

namespace detail {
// Bits of the tracepoints of each group. Written by the app thread, looked at by all.
inline constinit std::array<std::atomic<uint64_t>, group_max> masks{};
}  // namespace detail

inline bool is_on(Point point) {
    return (detail::masks[static_cast<size_t>(group_of(point))].load(std::memory_order_relaxed) & bit_of(point)) != 0;
}
// Any of its tracepoints is.
inline bool is_on(Group group) {
    return detail::masks[static_cast<size_t>(group)].load(std::memory_order_relaxed) != 0;
}
inline uint64_t mask_of(Group group) {
    return detail::masks[static_cast<size_t>(group)].load(std::memory_order_relaxed);
}
inline void set_mask(Group group, uint64_t mask) {
    detail::masks[static_cast<size_t>(group)].store(mask, std::memory_order_relaxed);
}
// A bit for each group that is_on().
uint64_t group_mask();
void switch_all_off();

struct Arguments {
    uint64_t a = 0;
    uint64_t b = 0;
    uint32_t c = 0;
    uint16_t d = 0;
};

// Who writes into a ring: one thread. Lives as long as its reactor, with or without a ring.
class Track {
public:
    Track(std::string name, int cpu) : name_(std::move(name)), cpu_(cpu) {}
    Track(const Track&) = delete;
    Track& operator=(const Track&) = delete;

    // The thread that writes. Nothing happens without a ring.
    void write(Point point, uint64_t object, const Arguments& arguments, uint64_t time_ns);
    // An id that no other object has in this process. The thread that writes.
    uint64_t new_object() { return (uint64_t{number_.load(std::memory_order_relaxed)} << 48) | ++objects_; }

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] int cpu() const { return cpu_; }

private:
    friend class Memory;
    const std::string name_;
    const int cpu_;
    uint64_t objects_ = 0;
    std::atomic<uint16_t> number_{0};
    uint32_t entries_ = 0;
    std::atomic<std::byte*> ring_{nullptr};
};

struct MemoryOptions {
    uint32_t ring_entries = 0;
    uint32_t process_id = 0;
    uint64_t now_ns = 0;
    uint64_t wall_ns = 0;
};

// The rings of a process, in memory of somebody else's: zeroes, file_bytes() of them, and there for as long as this.
// App thread.
class Memory {
public:
    // Gives each track its ring; they may be running.
    Memory(MutableBytes memory, const MemoryOptions& options, std::span<Track* const> tracks);
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    // Switches all tracepoints off and takes the rings away: no track may be writing any more.
    ~Memory();

    // What was written before `now_ns` counts no more.
    void clear(uint64_t now_ns);

private:
    const MutableBytes memory_;
    const std::vector<Track*> tracks_;
};

}  // namespace weft::trace
