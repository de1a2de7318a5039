// Holds completions back until they are due, in the order in which they are.
#pragma once

#include <vector>

#include "bdev/stack/stacked_channel.h"
#include "bdev_modules/delay/delay_device.h"
#include "reactor/timer.h"

namespace weft::bdev {

class DelayChannel final : public StackedChannel {
public:
    explicit DelayChannel(DelayDevice& device);
    using StackedChannel::open_bases;
    // What is held here ends in the next turn.
    bool abort_started(Request& request) override;

protected:
    Progress start(Request& request) override { return forward(request, 0, request.lba); }
    void child_ended(Child& child) override;

private:
    struct Held {
        env::TimeNs due = 0;
        uint64_t number = 0;  // of two that are due at the same time the first to come is the first to go
        Request* request = nullptr;
    };
    static bool is_later(const Held& left, const Held& right) {
        return left.due != right.due ? left.due > right.due : left.number > right.number;
    }
    [[nodiscard]] env::TimeNs delay_of(Op op);
    void hold_until(Request& request, env::TimeNs due);
    void release_due();

    DelayDevice& device_;
    // A heap, the next to go first; allocates nothing once it has grown.
    std::vector<Held> held_;
    uint64_t count_ = 0;
    uint64_t random_ = 0;
    Timer timer_;
};

}  // namespace weft::bdev
