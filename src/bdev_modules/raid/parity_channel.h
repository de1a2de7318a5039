// raid5f: in each stripe one strip is the parity of the others.
//
// Only whole stripes are written: nothing needs to be read for that, and no half of a stripe is there without its
// parity. What a base that is absent has is made from the others.
#pragma once

#include <vector>

#include "accel/framework.h"
#include "bdev/data_cursor.h"
#include "bdev_modules/raid/raid_channel.h"

namespace weft::bdev {

class ParityChannel final : public RaidChannel {
public:
    explicit ParityChannel(RaidDevice& device);
    ~ParityChannel() override;
    Result<void> open() override;
    // Half of a write is no stripe: it runs to its end.
    bool abort_started(Request&) override { return false; }

protected:
    Progress start(Request& request) override;
    void child_ended(Child& child) override;
    void release(Request& parent) override;
    // Of the whole stripes, for who reads only.
    [[nodiscard]] RangeLocks::Range* lock_for_read(const Request& parent) override;
    bool read_again(Request& parent) override;

private:
    // What is read of all other bases to make blocks of one that is absent or failed.
    struct Group {
        Request* parent = nullptr;
        uint64_t data_offset = 0;  // bytes, in the parent's data
        size_t bytes = 0;
        size_t pending = 0;
        bool has_failed = false;
    };
    // Memory for one strip.
    struct Strip {
        std::byte* memory = nullptr;
        Strip* next = nullptr;
        Group group;  // of the first of a chain
    };
    enum class Room : uint8_t { there, none, never };

    using Bases = std::bitset<raid_bases_max>;
    // What a read takes.
    struct Needs {
        Bases around;  // the others are asked for what these have
        size_t children = 0;
        size_t strips = 0;
        bool lock = false;
    };
    [[nodiscard]] Needs needs_of(const Request& request, const Bases& failed) const;
    Progress start_read(Request& request);
    void send_reads(Request& request, const Needs& needs);
    Progress start_write(Request& request);
    void make_parity(MutableBytes parity, DataCursor data);
    void write_stripe(Request& request, uint64_t stripe, DataCursor& cursor);
    void start_group(Request& parent, size_t missing, uint64_t base_lba, uint64_t blocks, uint64_t data_offset);
    void source_ended(Child& child);
    void source_gone(Strip& first);
    void read_failed(Child& child);

    // `to`, which may be the first of them, becomes the exclusive or of as long pieces from sources_: by the module
    // that has the op, where it does jobs on the spot. False when that failed, and what `to` had is lost.
    bool sum_up(MutableBytes to);

    // Whether so many children and strips can be taken now.
    Room room_for(size_t children, size_t strips);
    static Progress refuse(Request& request, Room room);
    Strip* take_strip();
    void give_back(Strip* chain);
    [[nodiscard]] size_t strip_bytes() const { return size_t{layout().strip_blocks()} * raid().block_bytes(); }

    ChannelRef<accel::Channel> accel_;
    // Of the stripe that is being written, one for each of its chunks: where its data go on, and lie together.
    std::vector<DataCursor> cursors_;
    std::vector<Bytes> pieces_;
    std::vector<const std::byte*> sources_;
    size_t strips_max_;
    size_t strips_made_ = 0;
    size_t strips_free_ = 0;
    Strip* free_ = nullptr;
    // Of what is being started.
    size_t children_promised_ = 0;
    size_t strips_promised_ = 0;
};

}  // namespace weft::bdev
