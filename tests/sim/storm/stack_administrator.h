// Who troubles devices that stand on others while hosts work: sides of raids go and come back, bases are pulled out
// under everything, latencies change, errors are injected. In the end all stacks stand, and are whole.
#pragma once

#include "sim/storm/storm.h"

namespace weft::sim {

class StackAdministrator {
public:
    explicit StackAdministrator(Storm& storm) : storm_(storm), prng_(mix(storm.plan.seed ^ 0x7374616B)) {}
    StackAdministrator(const StackAdministrator&) = delete;
    StackAdministrator& operator=(const StackAdministrator&) = delete;

    // Works on the target that there is now, until it dies or all is to be as it was.
    void start();
    [[nodiscard]] bool is_finished() const { return !is_running_; }
    // Its target has died, and with it the coroutine that worked on it.
    void forget() { is_running_ = false; }
    // When all else is over: mirrors that failures have left without a disk that works are made anew.
    Task<void> repair();

private:
    Task<void> run();
    Task<void> trouble(size_t device);
    void change_latency(size_t device);
    Task<void> inject(size_t device);
    Task<void> lose_side(size_t device);
    Task<void> break_side(size_t device);
    Task<void> restore(size_t device);
    Task<void> pull_out(size_t device);

    Storm& storm_;
    Prng prng_;
    bool is_running_ = false;
};

}  // namespace weft::sim
