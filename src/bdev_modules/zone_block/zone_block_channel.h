// Turns requests to zones into requests to the plain device below, and sees to it that zones are written in order.
#pragma once

#include "bdev/stack/stacked_channel.h"
#include "bdev_modules/zone_block/zone_block_device.h"

namespace weft::bdev {

// Who meets another one's write of a zone, or its reset, is told to come again.
class ZoneBlockChannel final : public StackedChannel {
public:
    explicit ZoneBlockChannel(ZoneBlockDevice& device);
    using StackedChannel::open_bases;

protected:
    Progress start(Request& request) override;
    void child_ended(Child& child) override;

private:
    // Of a reset of all zones: one is emptied after another.
    struct Walk {
        uint64_t next = 0;
        bool is_walking = false;
    };
    Progress read(Request& request);
    Progress read_apart(Request& request);
    Progress write(Request& request);
    Progress manage(Request& request);
    Progress reset(Request& request);
    void empty(Request& request, uint64_t index);
    void empty_those_left(Request& request);
    [[nodiscard]] bool is_readable(uint64_t lba, uint64_t blocks) const;

    ZoneBlockDevice& device_;
    const ZoneGeometry& geometry_;
    const bool has_gaps_;  // between the capacity of a zone and the next one
};

}  // namespace weft::bdev
