#include "env/linux/file_ring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <span>

#include "env/linux/file_call.h"
#include "env/linux/os_thread.h"

namespace weft::env {

namespace {

// Completions are worked out when this thread asks for them, not by interrupting it (6.1); else when it
// happens to enter the kernel (5.19); else as it was in the beginning.
constexpr unsigned flag_sets[] = {
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};

}  // namespace

Result<std::unique_ptr<FileRing>> FileRing::create() {
    auto notice = CompletionNotice::make_descriptor();
    if (!notice) return std::unexpected(std::move(notice).error());
    std::unique_ptr<FileRing> ring(new FileRing(std::move(*notice)));
    WEFT_TRY(ring->set_up());
    return ring;
}

Result<void> FileRing::set_up() {
    int refused = 0;
    for (const unsigned flags : flag_sets) {
        refused = io_uring_queue_init(operations_max, &ring_, flags);
        if (refused != -EINVAL) break;
    }
    if (refused < 0) return fail_errno(-refused, "setting up io_uring");
    is_set_up_ = true;
    // The eventfd and not the ring's own descriptor: that one, in epoll with DEFER_TASKRUN, loses wake-ups.
    refused = io_uring_register_eventfd(&ring_, notice_.descriptor());
    if (refused < 0) return fail_errno(-refused, "registering the event descriptor with io_uring");
    disarm();

    // What must block runs on kernel workers. They would share this thread's CPU, as they inherit its mask.
    cpu_set_t helpers;
    CPU_ZERO(&helpers);
    for (const size_t cpu : cpus_for_helpers()) CPU_SET(cpu, &helpers);
    io_uring_register_iowq_aff(&ring_, sizeof(helpers), &helpers);  // a wish: before 5.14 there is none
    return {};
}

FileRing::~FileRing() {
    WEFT_ASSERT(in_flight_ == 0);
    if (is_set_up_) io_uring_queue_exit(&ring_);
}

void FileRing::submit(FileOperation& operation) {
    WEFT_ASSERT(operation.file != nullptr && operation.done != nullptr);
    ++in_flight_;
    // The kernel would hand these to a worker thread, since such files cannot tell whether they would wait; the copy
    // itself costs a tenth of that.
    const bool is_copy = operation.kind == FileOperation::Kind::read || operation.kind == FileOperation::Kind::write;
    if (is_copy && operation.file->is_in_memory()) {
        perform_blocking(operation);
        finished_.push_back(operation);
        return;
    }
    waiting_.push_back(operation);
    // A device begins with the first while the turn goes on: a disk that answers in batches was a fifth faster so. What
    // the page cache answers goes together at the end of the turn.
    if (operation.file->is_direct()) flush();
}

bool FileRing::arm() {
    io_uring_cq_eventfd_toggle(&ring_, true);
    // What came before the kernel could see that is not told.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const bool is_work_due = (std::atomic_ref(*ring_.sq.kflags).load() & IORING_SQ_TASKRUN) != 0;
    return finished_.empty() && !is_work_due && io_uring_cq_ready(&ring_) == 0;
}

// An event a completion, and a look at it by epoll, cost more than to look at the ring each turn.
void FileRing::disarm() { io_uring_cq_eventfd_toggle(&ring_, false); }

void FileRing::flush() {
    while (!waiting_.empty() && in_kernel_ < operations_max) {
        prepare(*waiting_.pop_front());
        ++in_kernel_;
    }
    if (io_uring_sq_ready(&ring_) == 0) return;
    const int submitted = io_uring_submit(&ring_);
    WEFT_ASSERT(submitted != -EEXIST);  // called from a thread that did not make the ring
    // Short of memory. What is in the ring stays there; the reactor must not go to sleep over it.
    if (submitted < 0) notice_.give();
}

void FileRing::prepare(FileOperation& operation) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    WEFT_ASSERT(entry != nullptr);  // there are as many as operations_max
    const int file = operation.file->descriptor();
    const auto pieces = static_cast<unsigned>(std::min(operation.data.size(), file_pieces_max));
    switch (operation.kind) {
        case FileOperation::Kind::read:
            io_uring_prep_readv2(entry, file, operation.data.data(), pieces, operation.offset, 0);
            break;
        case FileOperation::Kind::write:
            io_uring_prep_writev2(entry, file, operation.data.data(), pieces, operation.offset,
                                  operation.sync ? RWF_DSYNC : 0);
            break;
        case FileOperation::Kind::sync_data: io_uring_prep_fsync(entry, file, IORING_FSYNC_DATASYNC); break;
        case FileOperation::Kind::zero_range:
        case FileOperation::Kind::punch_hole:
            io_uring_prep_fallocate(entry, file, fallocate_mode(operation.kind), static_cast<off_t>(operation.offset),
                                    static_cast<off_t>(operation.length));
            break;
    }
    io_uring_sqe_set_data(entry, &operation);
}

uint32_t FileRing::reap_finished() {
    const auto count = static_cast<uint32_t>(finished_.size());
    for (uint32_t left = count; left > 0; --left) {
        FileOperation& operation = *finished_.pop_front();
        --in_flight_;
        operation.done(operation);
    }
    return count;
}

uint32_t FileRing::reap() {
    const uint32_t copied = finished_.empty() ? 0 : reap_finished();
    if (in_kernel_ == 0) return copied;
    struct Completion {
        FileOperation* operation;
        int outcome;
    };
    // As many are filled as are looked at.
    std::array<io_uring_cqe*, operations_max> entries;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::array<Completion, operations_max> completions;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    // Enters the kernel only when it has flagged that there is something to collect.
    const unsigned count = io_uring_peek_batch_cqe(&ring_, entries.data(), operations_max);
    for (unsigned at = 0; at < count; ++at) {
        completions[at] = {.operation = static_cast<FileOperation*>(io_uring_cqe_get_data(entries[at])),
                           .outcome = entries[at]->res};
    }
    io_uring_cq_advance(&ring_, count);

    // All accounts are right before the first `done`: it may submit more.
    uint32_t done = 0;
    for (const Completion& completion : std::span(completions).first(count)) {
        --in_kernel_;
        if (completion.outcome == -EINTR) {
            waiting_.push_front(*completion.operation);
            continue;
        }
        completions[done++] = completion;
    }
    in_flight_ -= done;
    for (const Completion& completion : std::span(completions).first(done)) {
        record_outcome(*completion.operation, completion.outcome);
        completion.operation->done(*completion.operation);
    }
    return done + copied;
}

}  // namespace weft::env
