// An event source of a thread: on_events() is called from the reactor's loop when the source is ready.
#pragma once

#include "base/intrusive_list.h"
#include "base/result.h"
#include "env/network.h"

namespace weft {

class Thread;

class EventSource {
public:
    EventSource() = default;
    EventSource(const EventSource&) = delete;
    EventSource& operator=(const EventSource&) = delete;
    virtual ~EventSource();

    // Returns how much work was done (counted as busy time), 0 for none. May unwatch or destroy any source.
    virtual uint32_t on_events(uint32_t events) = 0;

    // On `thread`, which must be the current one. The pollable outlives the watch.
    Result<void> watch(Thread& thread, env::Pollable& pollable, env::WatchOptions options);
    Result<void> change(env::WatchOptions options);
    void unwatch();
    [[nodiscard]] bool is_watching() const { return pollable_ != nullptr; }

private:
    friend class Reactor;
    Thread* thread_ = nullptr;
    env::Pollable* pollable_ = nullptr;
    env::WatchOptions options_;

public:
    ListLink<EventSource> link;  // the thread's list of those that watch
};

}  // namespace weft
