#include "env/linux/file_workers.h"

#include <fmt/format.h>

#include "env/linux/file_call.h"

namespace weft::env {

Result<std::unique_ptr<FileWorkers>> FileWorkers::create() {
    auto notice = CompletionNotice::make_descriptor();
    if (!notice) return std::unexpected(std::move(notice).error());
    std::unique_ptr<FileWorkers> workers(new FileWorkers(std::move(*notice)));
    const std::vector<size_t> cpus = cpus_for_helpers();
    for (size_t at = 0; at < threads_max; ++at) {
        FileWorkers* self = workers.get();
        auto thread = OsThread::start_on(fmt::format("weft_file_{}", at), cpus, [self] { self->serve(); });
        if (!thread) return std::unexpected(std::move(thread).error());
        workers->threads_.push_back(std::move(*thread));
    }
    return workers;
}

FileWorkers::~FileWorkers() {
    WEFT_ASSERT(in_flight_ == 0);
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    news_.notify_all();
    threads_.clear();
}

void FileWorkers::submit(FileOperation& operation) {
    WEFT_ASSERT(operation.file != nullptr && operation.done != nullptr);
    ++in_flight_;
    submitted_.push_back(operation);
}

void FileWorkers::flush() {
    if (submitted_.empty()) return;
    const bool is_one = submitted_.size() == 1;
    {
        const std::lock_guard lock(mutex_);
        while (FileOperation* operation = submitted_.pop_front()) queued_.push_back(*operation);
    }
    is_one ? news_.notify_one() : news_.notify_all();
}

uint32_t FileWorkers::reap() {
    if (!has_finished_.load(std::memory_order_acquire)) return 0;
    Operations done;
    {
        const std::lock_guard lock(mutex_);
        while (FileOperation* operation = finished_.pop_front()) done.push_back(*operation);
        has_finished_.store(false, std::memory_order_relaxed);
    }
    const auto count = static_cast<uint32_t>(done.size());
    in_flight_ -= count;  // before the first `done`: it may submit more
    while (FileOperation* operation = done.pop_front()) operation->done(*operation);
    return count;
}

void FileWorkers::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        news_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
        FileOperation* operation = queued_.pop_front();
        if (operation == nullptr) return;
        lock.unlock();
        perform_blocking(*operation);
        lock.lock();
        finished_.push_back(*operation);
        // One notice for all that finish until they are reaped.
        if (!has_finished_.exchange(true, std::memory_order_release)) notice_.give();
    }
}

}  // namespace weft::env
