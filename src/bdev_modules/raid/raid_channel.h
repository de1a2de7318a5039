// The channel of a raid: what all levels have in common. The levels: linear_channel.h (raid0, concat),
// mirror_channel.h (raid1), parity_channel.h (raid5f).
#pragma once

#include <bitset>
#include <memory>
#include <vector>

#include "base/mutants.h"
#include "bdev/stack/stacked_channel.h"
#include "bdev_modules/raid/raid_device.h"

namespace weft::bdev {

class RaidChannel : public StackedChannel {
public:
    // Of the device's level.
    static std::unique_ptr<RaidChannel> make(RaidDevice& device);
    ~RaidChannel() override;

    // Opens the bases that are there. Errors: theirs.
    virtual Result<void> open();

    // What the device tells, on the channel's thread.
    void stop_reading(size_t base);
    // False: the base is still used, ask again later.
    [[nodiscard]] bool take_out(size_t base);
    Result<void> take_in(size_t base);
    void set_in_sync(size_t base) { modes_[base] = BaseMode::in_sync; }
    void settle(size_t base);

protected:
    explicit RaidChannel(RaidDevice& device);

    [[nodiscard]] RaidDevice& raid() const { return raid_; }
    [[nodiscard]] const RaidLayout& layout() const { return raid_.layout(); }
    [[nodiscard]] BaseMode mode(size_t base) const { return modes_[base]; }
    [[nodiscard]] size_t bases() const { return modes_.size(); }
    // Of a base's data, as the base counts.
    [[nodiscard]] uint64_t on_base(size_t base, uint64_t lba) const { return raid_.data_offset(base) + lba; }

    // What a request that writes to several bases, or reads of several, keeps until it is done. In extra().
    struct RaidIo {
        RangeLocks::Range* lock = nullptr;
        uint32_t pending = 0;    // writes to bases that have not ended, and one while they are being sent
        uint32_t succeeded = 0;
        Status error = Status::success;  // the first failure of a base
        uint8_t step = 0;        // a level's own
        uint16_t first = 0;      // … likewise
        void* strips = nullptr;  // … likewise
        std::bitset<raid_bases_max> failed;
        std::bitset<raid_bases_max> doubted;  // by this write
        bool is_to_be_read_again = false;
    };
    static RaidIo& io_of(Request& parent) { return extra<RaidIo>(parent); }
    static RaidIo& make_io(Request& parent) { return *new (&extra<RaidIo>(parent)) RaidIo(); }

    // Reads. What a base in doubt said counts only when the blocks were locked, since a write of them may be what
    // failed there. Read without a lock, the request is read once more, all of it: when its children have ended and it
    // has got its lock, by read_again(), which takes the children, or says false when there is no room for them now.
    [[nodiscard]] bool is_in_doubt(size_t base) const {
        return raid_.is_in_doubt(base) && !mutant::on(mutant::failed_side_believed);
    }
    void read_again_later(Request& parent);
    [[nodiscard]] virtual RangeLocks::Range* lock_for_read(const Request& parent);
    virtual bool read_again(Request& parent);

    // Keeps others off blocks of the bases' data. nullptr: somebody has them now, or there is no memory.
    [[nodiscard]] RangeLocks::Range* lock(uint64_t first, uint64_t end, bool writes);
    void unlock(RangeLocks::Range* range);

    // Children of a request of which one for each base, or several, were to be written: each that is taken is counted,
    // and the request is judged when all have ended. A base that failed is reported, and the request waits until it is
    // out, unless all failed.
    Child& take_write(Request& parent, size_t base);
    void all_writes_sent(Request& parent) { write_gone(parent); }
    void write_ended(Child& child);

    // The same range of each base's data, or of those that are there.
    void write_same(Request& parent, uint64_t lba, uint64_t blocks, std::span<const iovec> data);
    Progress flush_all(Request& request);

    // Sends one run, as as many children as its data need. `first` is where the data of the run begin, in bytes, and
    // becomes each child's note after it. False when the data are in crumbs.
    bool send_run(Request& parent, size_t base, uint64_t base_lba, uint64_t blocks, DataCursor& cursor, uint64_t note,
                  bool is_write);
    // So many children send_run() takes at most for all of a request's runs.
    static size_t children_for(const Request& request, uint64_t runs) {
        return static_cast<size_t>(runs + (request.data.size() + runs) / 6 + 1);
    }

    Status family_ended(Request& parent, Status status) override;
    // Before a family's end: what the level has taken for it.
    virtual void release(Request& /*parent*/) {}

private:
    class Again final : public Poller {
    public:
        explicit Again(RaidChannel& channel);
        uint32_t poll() override { return channel_.read_some_again(); }
        Sleep prepare_sleep() override { return Sleep::briefly; }

    private:
        RaidChannel& channel_;
    };
    void write_gone(Request& parent);
    uint32_t read_some_again();
    bool is_under_way_again(Request& parent);

    RaidDevice& raid_;
    Thread& home_;
    std::vector<BaseMode> modes_;
    static constexpr size_t ranges_step = 16;
    using Ranges = std::array<RangeLocks::Range, ranges_step>;
    std::vector<std::unique_ptr<Ranges>> range_memory_;
    std::vector<RangeLocks::Range*> free_ranges_;
    IntrusiveList<Request, &Request::link> held_;  // until a base that failed them is settled
    IntrusiveList<Request, &Request::link> again_;  // until they are read once more
    Again again_poller_;
};

}  // namespace weft::bdev
