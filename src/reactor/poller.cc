#include "reactor/poller.h"

#include <atomic>

#include "base/assert.h"
#include "reactor/reactor.h"
#include "reactor/thread.h"

namespace weft {

namespace {
std::atomic<uint64_t> next_poller_id{1};
}

Poller::Poller(Thread& thread, std::string name, env::TimeNs period)
    : thread_(thread),
      name_(std::move(name)),
      id_(next_poller_id.fetch_add(1, std::memory_order_relaxed)),
      period_(period),
      timer_(thread, [](void* context) { static_cast<Poller*>(context)->run(); }, this) {
    WEFT_ASSERT(thread.is_current());
    (period_ == 0 ? thread_.active_pollers_ : thread_.timed_pollers_).push_back(*this);
    if (period_ != 0) arm();
}

Poller::~Poller() {
    WEFT_ASSERT(thread_.is_current());
    if (destroyed_ != nullptr) *destroyed_ = true;
    if (thread_.next_poller_ == this) thread_.next_poller_ = Thread::PollerList::next(*this);
    if (state_ == State::paused) {
        thread_.paused_pollers_.remove(*this);
    } else {
        (period_ == 0 ? thread_.active_pollers_ : thread_.timed_pollers_).remove(*this);
    }
}

void Poller::arm() { timer_.start_after(period_); }

uint32_t Poller::run() {
    bool destroyed = false;
    destroyed_ = &destroyed;
    state_ = State::running;
    const uint32_t work = poll();
    if (destroyed) return work;
    destroyed_ = nullptr;
    ++run_count_;
    if (work > 0) ++busy_count_;
    if (state_ == State::running) state_ = State::waiting;
    if (period_ != 0 && state_ != State::paused && !timer_.is_running()) arm();
    return work;
}

void Poller::pause() {
    if (state_ == State::paused) return;
    if (thread_.next_poller_ == this) thread_.next_poller_ = Thread::PollerList::next(*this);
    (period_ == 0 ? thread_.active_pollers_ : thread_.timed_pollers_).remove(*this);
    thread_.paused_pollers_.push_back(*this);
    timer_.stop();
    state_ = State::paused;
}

void Poller::resume() {
    if (state_ != State::paused) return;
    thread_.paused_pollers_.remove(*this);
    (period_ == 0 ? thread_.active_pollers_ : thread_.timed_pollers_).push_back(*this);
    state_ = State::waiting;
    if (period_ != 0) arm();
}

void Poller::set_period(env::TimeNs period) {
    WEFT_ASSERT((period == 0) == (period_ == 0));
    period_ = period;
    if (timer_.is_running()) arm();
}

}  // namespace weft
