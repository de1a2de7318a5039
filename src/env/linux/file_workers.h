// File operations by a few OS threads, where io_uring is forbidden (containers) or unknown.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "env/files.h"
#include "env/linux/notice.h"
#include "env/linux/os_thread.h"

namespace weft::env {

// Belongs to one thread. Nothing may be in flight when it is destroyed.
class FileWorkers final : public FileQueue {
public:
    // Errors: again (no more threads), too_many (descriptors).
    static Result<std::unique_ptr<FileWorkers>> create();
    ~FileWorkers() override;

    void submit(FileOperation& operation) override;
    void flush() override;
    uint32_t reap() override;
    [[nodiscard]] uint32_t in_flight() const override { return in_flight_; }
    Pollable& completions() override { return notice_; }

private:
    static constexpr size_t threads_max = 4;
    using Operations = IntrusiveList<FileOperation, &FileOperation::link>;

    explicit FileWorkers(Descriptor notice) : notice_(std::move(notice)) {}
    void serve();

    CompletionNotice notice_;
    Operations submitted_;  // the owner's, until flush()
    uint32_t in_flight_ = 0;

    std::mutex mutex_;
    std::condition_variable news_;
    Operations queued_;
    Operations finished_;
    bool stopping_ = false;
    // Spares reap() the lock while nothing is finished.
    std::atomic<bool> has_finished_{false};
    std::vector<std::unique_ptr<OsThread>> threads_;
};

}  // namespace weft::env
