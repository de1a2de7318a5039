// OS threads for the data reactors of a runtime, one each.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "env/linux/os_thread.h"
#include "reactor/runtime.h"

namespace weft::app {

// Made and destroyed by the OS thread that turns the control reactor. The runtime outlives it.
class ReactorThreads {
public:
    // Each data reactor runs on a thread of its own, on its CPU when `pin` says so. Errors: of OsThread::start(); then
    // none runs.
    static Result<std::unique_ptr<ReactorThreads>> start(Runtime& runtime, bool pin);
    ReactorThreads(const ReactorThreads&) = delete;
    ReactorThreads& operator=(const ReactorThreads&) = delete;
    // Stops the reactors and waits for their threads.
    ~ReactorThreads();

private:
    explicit ReactorThreads(Runtime& runtime) : runtime_(runtime) {}

    Runtime& runtime_;
    std::vector<std::unique_ptr<env::OsThread>> threads_;
};

}  // namespace weft::app
