// raid1: every base has every block.
//
// Writes of the same blocks run one after another, so that the mirrors stay alike. A read goes to the mirror with the
// least to do; when that fails, to another, and what came from there is written to the first one. One that a write has
// just failed on is read from only if there is no other, and when nobody writes to the blocks.
#pragma once

#include "bdev_modules/raid/raid_channel.h"

namespace weft::bdev {

class MirrorChannel final : public RaidChannel {
public:
    explicit MirrorChannel(RaidDevice& device) : RaidChannel(device), reading_(device.base_count()) {}
    // A write that is aborted on some mirrors would leave them different: it runs to its end.
    bool abort_started(Request& request) override;

protected:
    Progress start(Request& request) override;
    void child_ended(Child& child) override;
    // A read's blocks are nobody else's then: it may have to repair them.
    [[nodiscard]] RangeLocks::Range* lock_for_read(const Request& parent) override;
    bool read_again(Request& parent) override;

private:
    // Of a request that reads.
    enum Step : uint8_t { reading, reading_elsewhere, repairing };
    Progress start_read(Request& request);
    Progress start_write(Request& request);
    void read_ended(Child& child);
    void read_elsewhere(Request& parent, Status status);
    void send_read(Request& parent, size_t base);
    bool repair(Request& parent);
    // The mirror to read from, that is not in `tried`; bases() when there is none.
    [[nodiscard]] size_t choose(const std::bitset<raid_bases_max>& tried) const;

    std::vector<uint64_t> reading_;  // blocks that each base is being asked for
};

}  // namespace weft::bdev
