// Tells the service manager now and then that every reactor takes its turns; one that hangs is so found out, and the
// program started anew.
#pragma once

#include "reactor/runtime.h"
#include "reactor/task.h"
#include "reactor/timer.h"

namespace weft::app {

// Lives on the app thread.
class Watchdog {
public:
    // Nothing happens without a service manager that waits for a sign of life.
    explicit Watchdog(Runtime& runtime);
    // Signs of life from now on, at twice the rate that is asked for.
    void start();
    // No more of them. App thread; calls of other threads that are under way come to their end.
    Task<void> stop();

private:
    Task<void> ask_all();

    Runtime& runtime_;
    env::TimeNs period_ = 0;
    Timer timer_;
    Gate asking_;
};

}  // namespace weft::app
