#include "env/linux/offload.h"

#include <fmt/format.h>

#include "base/log.h"

namespace weft::env {

OffloadPool::~OffloadPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    news_.notify_all();
    threads_.clear();
    WEFT_ASSERT(jobs_.empty());
}

void OffloadPool::run(OffloadJob job) {
    {
        const std::lock_guard lock(mutex_);
        WEFT_ASSERT(!stopping_);
        // Only when nobody is free: a target that is configured once and left alone has one thread.
        if (jobs_.size() >= idle_ && threads_.size() < threads_max) {
            threads_.reserve(threads_.size() + 1);  // one that has begun is waited for, and so must have its place
            auto thread = OsThread::start({.name = fmt::format("weft_offload_{}", threads_.size()), .cpu = -1},
                                          [this] { serve(); });
            if (thread) {
                threads_.push_back(std::move(*thread));
            } else {
                WEFT_ERRLOG("{}", thread.error().message);
            }
        }
        if (!threads_.empty()) {
            jobs_.push_back(std::move(job));
            news_.notify_one();
            return;
        }
    }
    // Not one thread could be had: blocking the caller is better than never doing it.
    job.work();
    job.done();
}

void OffloadPool::wait_until_idle() {
    std::unique_lock lock(mutex_);
    quiet_.wait(lock, [this] { return jobs_.empty() && idle_ == threads_.size(); });
}

void OffloadPool::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (++idle_ == threads_.size() && jobs_.empty()) quiet_.notify_all();
        news_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        --idle_;
        if (jobs_.empty()) return;
        OffloadJob job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job.work();
        job.done();
        job = {};  // what it captured dies here, outside of the lock
        lock.lock();
    }
}

}  // namespace weft::env
