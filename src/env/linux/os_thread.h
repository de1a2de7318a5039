// OS threads: named, on chosen CPUs, joined by their owner.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"

namespace weft::env {

// The CPUs the process was allowed when this was first called (make_linux_environment() does), ascending.
// Any thread; not changed by what threads are pinned to later.
const std::vector<size_t>& usable_cpus();
// Those for threads that serve the calling one: when it is pinned to one CPU, the others if there are any.
std::vector<size_t> cpus_for_helpers();
// The calling thread, and those that it starts without saying where, run on none of `cpus` from now on; unless there
// are no others, when nothing changes.
void keep_off(const std::vector<size_t>& cpus);
// The kernel's id of the calling thread.
int current_os_thread_id();

class OsThread {
public:
    // Runs `function` on a new thread with all signals blocked: they are for the main thread.
    // Errors: invalid_argument (options.cpu is not one of usable_cpus()), again (no more threads).
    static Result<std::unique_ptr<OsThread>> start(const ThreadOptions& options,
                                                   std::move_only_function<void()> function);
    // The same, on any of `cpus` (not empty).
    static Result<std::unique_ptr<OsThread>> start_on(const std::string& name, const std::vector<size_t>& cpus,
                                                      std::move_only_function<void()> function);
    OsThread(const OsThread&) = delete;
    OsThread& operator=(const OsThread&) = delete;
    // Waits until the function has returned.
    ~OsThread();

private:
    OsThread() = default;
    static void* run(void* self);

    std::string name_;
    std::move_only_function<void()> function_;
    pthread_t handle_{};
    bool started_ = false;
};

}  // namespace weft::env
