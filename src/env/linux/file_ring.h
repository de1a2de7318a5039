// File operations by io_uring.
#pragma once

#include <liburing.h>

#include <memory>

#include "env/files.h"
#include "env/linux/notice.h"

namespace weft::env {

// Belongs to the OS thread that made it. Nothing may be in flight when it is destroyed.
class FileRing final : public FileQueue {
public:
    static constexpr uint32_t operations_max = 256;  // in the kernel at one time; more wait here

    // Errors: permission_denied or not_supported where io_uring is forbidden or unknown; others.
    static Result<std::unique_ptr<FileRing>> create();
    ~FileRing() override;

    void submit(FileOperation& operation) override;
    void flush() override;
    uint32_t reap() override;
    bool arm() override;
    void disarm() override;
    [[nodiscard]] uint32_t in_flight() const override { return in_flight_; }
    Pollable& completions() override { return notice_; }

private:
    explicit FileRing(Descriptor notice) : notice_(std::move(notice)) {}
    Result<void> set_up();
    void prepare(FileOperation& operation);
    uint32_t reap_finished();

    io_uring ring_{};
    bool is_set_up_ = false;
    CompletionNotice notice_;
    IntrusiveList<FileOperation, &FileOperation::link> waiting_;
    IntrusiveList<FileOperation, &FileOperation::link> finished_;  // done in submit(), to be told by reap()
    uint32_t in_flight_ = 0;
    uint32_t in_kernel_ = 0;  // prepared, not completed: at most operations_max, so that no completion overflows
};

}  // namespace weft::env
