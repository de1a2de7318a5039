#include "env/sim/core.h"

#include <fmt/format.h>

#include <algorithm>

#include "env/sim/waiter.h"

namespace weft::sim {

void Core::advance_to(TimeNs time) {
    WEFT_ASSERT(time >= now_);
    now_ = time;
}

Core::~Core() {
    for (const Queued& event : events_) event.slot->finish(event.slot->storage, false);
}

Core::Slot& Core::queue(TimeNs delay) {
    // Never now: an event that makes another must not keep deliver_due_events() from ending.
    const TimeNs time = now_ + std::max<TimeNs>(delay, 1);
    WEFT_ASSERT(time > now_);
    if (free_slots_.empty()) free_slots_.push_back(&slots_.emplace_back());
    Slot& slot = *free_slots_.back();
    free_slots_.pop_back();
    events_.push_back({.time = time, .number = events_made_++, .slot = &slot});
    std::push_heap(events_.begin(), events_.end());
    return slot;
}

size_t Core::deliver_due_events() {
    size_t count = 0;
    while (next_event_time() <= now_) {
        Slot& slot = *events_.front().slot;
        std::pop_heap(events_.begin(), events_.end());
        events_.pop_back();
        slot.finish(slot.storage, true);
        free_slots_.push_back(&slot);
        ++count;
    }
    return count;
}

TimeNs Core::sample(const Latency& latency) {
    const TimeNs usual = prng_.between(latency.min, std::max(latency.min, latency.max));
    if (!prng_.chance(latency.slow_probability)) return usual;
    return prng_.between(usual, std::max(usual, latency.slow_max));
}

int Core::add_waiter(const SimWaiter& waiter) {
    waiters_.push_back(&waiter);
    return static_cast<int>(waiters_.size() - 1);
}

void Core::note(const NoteName& what, uint64_t first, uint64_t second, uint64_t third) {
    constexpr uint64_t odd = 0x9E3779B97F4A7C15;
    uint64_t words = what.hash ^ now_;
    for (const uint64_t number : {first, second, third}) words = std::rotl(words * odd, 29) ^ number;
    hash_ = mix(hash_ ^ words);
    if (is_recording_) trace_.push_back(fmt::format("{} {} {} {} {}", now_, what.text, first, second, third));
}

}  // namespace weft::sim
