// One-shot timers of a thread, kept in a heap; starting and stopping allocate nothing once the heap has grown.
#pragma once

#include <cstdint>
#include <vector>

#include "env/clock.h"

namespace weft {

class Thread;
class TimerHeap;

// Belongs to a thread and is used only there. Stopped by its destructor.
class Timer {
public:
    using Fired = void (*)(void* context);
    Timer(Thread& thread, Fired fired, void* context) : thread_(thread), fired_(fired), context_(context) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { stop(); }

    // Fires once, from the reactor's loop, in the first turn at or after `deadline`. Replaces an earlier deadline.
    void start_at(env::TimeNs deadline);
    // The same, `delay` after this turn's time.
    void start_after(env::TimeNs delay);
    void stop();
    [[nodiscard]] bool is_running() const { return position_ != not_queued; }
    [[nodiscard]] env::TimeNs deadline() const { return deadline_; }

private:
    friend class TimerHeap;
    static constexpr size_t not_queued = SIZE_MAX;
    Thread& thread_;
    Fired fired_;
    void* context_;
    env::TimeNs deadline_ = 0;
    size_t position_ = not_queued;
};

// A binary heap that tells each timer its position.
class TimerHeap {
public:
    void insert(Timer& timer);
    void remove(Timer& timer);
    // time_never when there is none.
    [[nodiscard]] env::TimeNs earliest() const;
    // Fires what is due at `now`, at most as many as were due when called; returns how many.
    uint32_t fire_due(env::TimeNs now);
    [[nodiscard]] size_t size() const { return heap_.size(); }

private:
    void place(size_t position, Timer& timer);
    void sift_up(size_t position);
    void sift_down(size_t position);
    std::vector<Timer*> heap_;
};

}  // namespace weft
