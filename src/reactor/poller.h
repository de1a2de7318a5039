// A poller: a function of a thread that the reactor calls again and again, every turn or once a period.
#pragma once

#include <cstdint>
#include <string>

#include "base/intrusive_list.h"
#include "reactor/timer.h"

namespace weft {

class Thread;

// What a poller of period 0 says to a reactor that found nothing to do.
enum class Sleep : uint8_t {
    no,           // there is work already
    briefly,      // it waits for what nobody tells it of, and looks again after Reactor::ask_again_after
    until_woken,
};

// Registered while it lives, on the thread it was made on; made, used and destroyed there, also from inside poll().
class Poller {
public:
    // `period` 0: every turn; else at most once in so many nanoseconds.
    Poller(Thread& thread, std::string name, env::TimeNs period);
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;
    virtual ~Poller();

    // A bounded batch of work; returns how much was done, 0 when there was none.
    virtual uint32_t poll() = 0;

    // The reactor is about to sleep in the kernel. A poller of period 0 arms here whatever will wake the reactor
    // when there is work again, and disarms it in woke_up().
    virtual Sleep prepare_sleep() { return Sleep::until_woken; }
    virtual void woke_up() {}

    void pause();
    void resume();
    // A period of 0 or not cannot turn into the other.
    void set_period(env::TimeNs period);

    enum class State : uint8_t { waiting, running, paused };
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] uint64_t id() const { return id_; }
    [[nodiscard]] env::TimeNs period() const { return period_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] uint64_t run_count() const { return run_count_; }
    [[nodiscard]] uint64_t busy_count() const { return busy_count_; }

private:
    friend class Thread;
    uint32_t run();
    void arm();

    Thread& thread_;
    std::string name_;
    uint64_t id_;
    env::TimeNs period_;
    State state_ = State::waiting;
    uint64_t run_count_ = 0;
    uint64_t busy_count_ = 0;
    Timer timer_;
    bool* destroyed_ = nullptr;  // set while poll() runs, so that it may destroy its poller

public:
    ListLink<Poller> link;  // the thread's list
};

}  // namespace weft
