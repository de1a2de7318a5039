// What all parts of the simulated world share: virtual time, events to come, the seed's choices, the trace.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "env/sim/prng.h"

namespace weft::sim {

using env::TimeNs;

class SimWaiter;

// How long something takes: evenly spread, with a few that are much slower.
struct Latency {
    TimeNs min = 0;
    TimeNs max = 0;
    double slow_probability = 0;
    TimeNs slow_max = 0;
};

// What a note is about: a literal, hashed when it is compiled.
struct NoteName {
    consteval NoteName(const char* literal) : text(literal) {  // NOLINT(google-explicit-constructor)
        for (const char letter : text) hash = mix(hash ^ static_cast<unsigned char>(letter));
    }
    std::string_view text;
    uint64_t hash = 0;
};

class Core {
public:
    explicit Core(uint64_t seed) : prng_(seed), hash_(mix(seed)) {}
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;
    ~Core();

    [[nodiscard]] TimeNs now() const { return now_; }
    void advance_to(TimeNs time);
    // Runs `event` in `delay` (at least 1 ns). Those of one time run in the order they were made.
    template <class Event>
    void after(TimeNs delay, Event event) {
        static_assert(sizeof(Event) <= sizeof(Slot::storage) && alignof(Event) <= alignof(Slot));
        Slot& slot = queue(delay);
        new (slot.storage) Event(std::move(event));
        slot.finish = [](std::byte* storage, bool runs) {
            auto& made = *std::launder(reinterpret_cast<Event*>(storage));
            if (runs) made();
            made.~Event();
        };
    }
    // time_never: none
    [[nodiscard]] TimeNs next_event_time() const { return events_.empty() ? env::time_never : events_.front().time; }
    // Runs what is due; returns how many.
    size_t deliver_due_events();

    Prng& prng() { return prng_; }
    TimeNs sample(const Latency& latency);

    // The waiters of the world, by their descriptors: a reactor that rests is run again when its own may be ready.
    int add_waiter(const SimWaiter& waiter);
    void remove_waiter(int id) { waiters_[static_cast<size_t>(id)] = nullptr; }
    [[nodiscard]] const SimWaiter& waiter(int id) const { return *waiters_.at(static_cast<size_t>(id)); }

    // Adds an event of the world to the running hash, and to the text when it is recorded. Numbers only:
    // an address of memory would make each run different.
    void note(const NoteName& what, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0);
    [[nodiscard]] uint64_t trace_hash() const { return hash_; }
    void record_trace(bool on) { is_recording_ = on; }
    [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }

private:
    // An event's function object, in place: events are many, and each lives for a moment.
    struct Slot {
        alignas(16) std::byte storage[64];
        void (*finish)(std::byte* storage, bool runs) = nullptr;  // runs it, or not, and ends its life
    };
    struct Queued {
        TimeNs time;
        uint64_t number;  // in the order they were made
        Slot* slot;
        // For the heap, whose front is the greatest.
        bool operator<(const Queued& other) const {
            return time != other.time ? time > other.time : number > other.number;
        }
    };
    Slot& queue(TimeNs delay);

    TimeNs now_ = env::ns_per_s;  // not 0, which is a moment in the past to some
    std::vector<Queued> events_;  // a heap
    uint64_t events_made_ = 0;
    std::deque<Slot> slots_;
    std::vector<Slot*> free_slots_;
    std::vector<const SimWaiter*> waiters_;  // by descriptor; nullptr: gone
    Prng prng_;
    uint64_t hash_;
    bool is_recording_ = false;
    std::vector<std::string> trace_;
};

}  // namespace weft::sim
