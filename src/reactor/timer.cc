#include "reactor/timer.h"

#include "base/assert.h"
#include "reactor/reactor.h"
#include "reactor/thread.h"

namespace weft {

void Timer::start_at(env::TimeNs deadline) {
    WEFT_ASSERT(thread_.is_current());
    stop();
    deadline_ = deadline;
    thread_.timers().insert(*this);
}

void Timer::start_after(env::TimeNs delay) { start_at(thread_.reactor().now() + delay); }

void Timer::stop() {
    if (is_running()) thread_.timers().remove(*this);
}

void TimerHeap::insert(Timer& timer) {
    WEFT_ASSERT(!timer.is_running());
    heap_.push_back(&timer);
    timer.position_ = heap_.size() - 1;
    sift_up(timer.position_);
}

void TimerHeap::remove(Timer& timer) {
    const size_t position = timer.position_;
    WEFT_ASSERT(position < heap_.size() && heap_[position] == &timer);
    Timer& last = *heap_.back();
    heap_.pop_back();
    timer.position_ = Timer::not_queued;
    if (&last == &timer) return;
    place(position, last);
    sift_up(position);
    sift_down(last.position_);
}

env::TimeNs TimerHeap::earliest() const { return heap_.empty() ? env::time_never : heap_.front()->deadline_; }

uint32_t TimerHeap::fire_due(env::TimeNs now) {
    // A timer that starts itself again at once must not keep the reactor here.
    uint32_t limit = static_cast<uint32_t>(heap_.size());
    uint32_t fired = 0;
    while (fired < limit && !heap_.empty() && heap_.front()->deadline_ <= now) {
        Timer& timer = *heap_.front();
        remove(timer);
        ++fired;
        timer.fired_(timer.context_);
    }
    return fired;
}

void TimerHeap::place(size_t position, Timer& timer) {
    heap_[position] = &timer;
    timer.position_ = position;
}

void TimerHeap::sift_up(size_t position) {
    Timer& timer = *heap_[position];
    while (position > 0) {
        const size_t parent = (position - 1) / 2;
        if (heap_[parent]->deadline_ <= timer.deadline_) break;
        place(position, *heap_[parent]);
        position = parent;
    }
    place(position, timer);
}

void TimerHeap::sift_down(size_t position) {
    Timer& timer = *heap_[position];
    for (;;) {
        size_t child = position * 2 + 1;
        if (child >= heap_.size()) break;
        if (child + 1 < heap_.size() && heap_[child + 1]->deadline_ < heap_[child]->deadline_) ++child;
        if (heap_[child]->deadline_ >= timer.deadline_) break;
        place(position, *heap_[child]);
        position = child;
    }
    place(position, timer);
}

}  // namespace weft
