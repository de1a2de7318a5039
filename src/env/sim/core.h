// What all parts of the simulated world share: virtual time, events to come, the seed's choices, the trace.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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

class Core {
public:
    explicit Core(uint64_t seed) : prng_(seed), hash_(mix(seed)) {}
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    [[nodiscard]] TimeNs now() const { return now_; }
    void advance_to(TimeNs time);
    // Runs `event` in `delay` (at least 1 ns). Those of one time run in the order they were made.
    void after(TimeNs delay, std::move_only_function<void()> event);
    [[nodiscard]] TimeNs next_event_time() const;  // time_never: none
    // Runs what is due; returns how many.
    size_t deliver_due_events();

    Prng& prng() { return prng_; }
    TimeNs sample(const Latency& latency);

    // The waiters of the world, by their descriptors: a reactor that rests is run again when its own may be ready.
    int add_waiter(const SimWaiter& waiter);
    void remove_waiter(int id) { waiters_.erase(id); }
    [[nodiscard]] bool may_be_ready(int id) const;

    // Adds an event of the world to the running hash, and to the text when it is recorded. Numbers only:
    // an address of memory would make each run different.
    void note(std::string_view what, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0);
    [[nodiscard]] uint64_t trace_hash() const { return hash_; }
    void record_trace(bool on) { is_recording_ = on; }
    [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }

private:
    TimeNs now_ = env::ns_per_s;  // not 0, which is a moment in the past to some
    std::map<std::pair<TimeNs, uint64_t>, std::move_only_function<void()>> events_;
    uint64_t events_made_ = 0;
    std::map<int, const SimWaiter*> waiters_;
    int waiters_made_ = 0;
    Prng prng_;
    uint64_t hash_;
    bool is_recording_ = false;
    std::vector<std::string> trace_;
};

}  // namespace weft::sim
