#include "env/sim/core.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"
#include "env/sim/waiter.h"

namespace weft::sim {

void Core::advance_to(TimeNs time) {
    WEFT_ASSERT(time >= now_);
    now_ = time;
}

void Core::after(TimeNs delay, std::move_only_function<void()> event) {
    // Never now: an event that makes another must not keep deliver_due_events() from ending.
    const TimeNs time = now_ + std::max<TimeNs>(delay, 1);
    WEFT_ASSERT(time > now_);
    events_.emplace(std::pair(time, events_made_++), std::move(event));
}

TimeNs Core::next_event_time() const { return events_.empty() ? env::time_never : events_.begin()->first.first; }

size_t Core::deliver_due_events() {
    size_t count = 0;
    while (next_event_time() <= now_) {
        auto node = events_.extract(events_.begin());
        node.mapped()();
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
    waiters_.emplace(++waiters_made_, &waiter);
    return waiters_made_;
}

bool Core::may_be_ready(int id) const { return waiters_.at(id)->may_be_ready(); }

void Core::note(std::string_view what, uint64_t first, uint64_t second, uint64_t third) {
    for (const uint64_t number : {now_, uint64_t{crc32c(bytes_of(what))}, first, second, third}) {
        hash_ = mix(hash_ ^ number);
    }
    if (is_recording_) trace_.push_back(fmt::format("{} {} {} {} {}", now_, what, first, second, third));
}

}  // namespace weft::sim
