// raid0 and concat: each block is on one base.
#pragma once

#include "bdev_modules/raid/raid_channel.h"

namespace weft::bdev {

class LinearChannel final : public RaidChannel {
public:
    explicit LinearChannel(RaidDevice& device) : RaidChannel(device), open_(device.base_count()) {}

protected:
    Progress start(Request& request) override;
    void child_ended(Child& child) override { StackedChannel::child_ended(child); }
    Status family_ended(Request& parent, Status status) override {
        // NOLINTNEXTLINE(bugprone-parent-virtual-call): requests of these levels have no RaidIo
        return StackedChannel::family_ended(parent, status);
    }

private:
    // Of a base, while a request is cut up: a child that takes the next strip there, too.
    struct Open {
        Child* child = nullptr;
        size_t pieces = 0;
    };
    Progress cut_range(Request& request);
    Progress cut_data(Request& request);
    bool add_run(Request& request, const RaidLayout::Run& run, DataCursor& cursor);
    void close(size_t base);

    std::vector<Open> open_;
};

}  // namespace weft::bdev
