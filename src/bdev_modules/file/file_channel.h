// One thread's access to a file: a request becomes one or more operations of the reactor's file queue.
#pragma once

#include <memory>

#include "bdev/device.h"
#include "bdev_modules/file/file_device.h"
#include "env/files.h"
#include "reactor/poller.h"

namespace weft::bdev {

class FileChannel final : public Channel {
public:
    // The reactor of the thread has a file queue, and so has each that the thread is moved to.
    explicit FileChannel(FileDevice& device);
    ~FileChannel() override;

    [[nodiscard]] bool is_bound_to_reactor() const override { return in_queue_ > 0; }

protected:
    // Only what waits for another request, or goes on in steps, can be ended early.
    bool abort_started(Request& request) override;
    Progress start(Request& request) override;

private:
    // How much is compared, verified, or filled with zeroes by writing, at a time.
    static constexpr uint64_t step_bytes_max = uint64_t{1} << 20;
    enum class Step : uint8_t {
        move,   // the request's data, from or to the file
        check,  // a read of what is compared, or verified
        clear,  // by a call of the file system
        fill,   // the same by writing zeroes
        sync,
        answer,  // it is synced, but those that began to sync earlier are not known to have been
    };
    struct Work;
    struct Free {
        void operator()(std::byte* memory) const;
    };
    class Chores;

    [[nodiscard]] uint64_t offset_of(const Request& request) const { return request.lba * device_.block_bytes(); }
    [[nodiscard]] uint64_t bytes_of(const Request& request) const { return request.blocks * device_.block_bytes(); }
    [[nodiscard]] bool is_aligned(const Request& request) const;
    // It was aborted, and no block of its is half written.
    [[nodiscard]] bool ends_early(const Work& work) const;
    bool take_compare_buffer(const Request& request);

    Progress write_later(Request& request);
    [[nodiscard]] Step first_step(Op op) const;
    [[nodiscard]] RangeLocks& locks_for(const Work& work) const;
    void enter(Work& work);
    void enter_sync(Work& work);
    void wait(Work& work);
    void submit_step(Work& work);
    void point_at_data(Work& work, uint64_t moved);
    void on_step_done(Work& work);
    void on_step_failed(Work& work);
    void on_bytes_moved(Work& work);
    void on_all_moved(Work& work);
    void on_synced(Work& work);
    void write_compared(Work& work);
    [[nodiscard]] bool differs(const Work& work, uint64_t moved, uint64_t bytes) const;
    void end(Work& work, Status status);
    void end_torn(Work& work, Status status);
    void tell(Work& work, Status status);
    uint32_t start_waiting();
    uint32_t do_chores();

    FileDevice& device_;
    uint32_t in_queue_ = 0;                           // operations in the reactor's queue
    IntrusiveList<Request, &Request::link> waiting_;  // for requests in their way, or for the reactor to come
    std::unique_ptr<Chores> chores_;
    const Request* comparing_ = nullptr;  // who has the buffer
    std::unique_ptr<std::byte[], Free> compare_buffer_;
};

}  // namespace weft::bdev
