// Lets requests fail, stay or be wrong as the device says, and hands the others on.
#pragma once

#include "bdev/stack/stacked_channel.h"
#include "bdev_modules/error/error_device.h"
#include "reactor/timer.h"

namespace weft::bdev {

class ErrorChannel final : public StackedChannel {
public:
    explicit ErrorChannel(ErrorDevice& device);
    using StackedChannel::open_bases;
    // What is pending here ends in the next turn.
    bool abort_started(Request& request) override;
    void abort_pending();
    void resume_pending();

protected:
    Progress start(Request& request) override;
    void child_ended(Child& child) override;
    Status family_ended(Request& parent, Status status) override;

private:
    // Of a request that goes on to the base.
    struct Corruption {
        std::byte* copy;  // of a write: what is written, ours; else nullptr
        uint64_t offset;
        uint8_t value;  // 0: none
    };
    using Requests = IntrusiveList<Request, &Request::link>;

    Progress pass(Request& request);
    Progress write_corrupted(Request& request, const Injection& injection);
    void work_off();

    ErrorDevice& device_;
    Requests pending_;
    Requests aborted_;
    Requests resumed_;
    Timer timer_;  // ends what is to end, from the loop
};

}  // namespace weft::bdev
