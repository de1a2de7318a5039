// A few OS threads for work that may block.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "env/linux/os_thread.h"

namespace weft::env {

// Jobs start in the order they came and end in any. The destructor runs what is queued, then joins.
class OffloadPool {
public:
    OffloadPool() = default;
    OffloadPool(const OffloadPool&) = delete;
    OffloadPool& operator=(const OffloadPool&) = delete;
    ~OffloadPool();

    // Any thread.
    void run(OffloadJob job);
    // Blocks until no job runs or is queued.
    void wait_until_idle();

private:
    static constexpr size_t threads_max = 4;
    void serve();

    std::mutex mutex_;
    std::condition_variable news_;
    std::condition_variable quiet_;
    std::deque<OffloadJob> jobs_;
    size_t idle_ = 0;
    bool stopping_ = false;
    std::vector<std::unique_ptr<OsThread>> threads_;
};

}  // namespace weft::env
