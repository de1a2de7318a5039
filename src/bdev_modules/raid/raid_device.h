// A raid that is online: a device on several others (what bdev_raid_create makes, when all of them are there).
//
// What is done with its bases (one is let go, one is taken in and filled) is decided on the app thread, by the Owner,
// and brought to each channel on that channel's thread.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "accel/framework.h"
#include "bdev/range_locks.h"
#include "bdev/spin_lock.h"
#include "bdev/stack/stacked_device.h"
#include "bdev_modules/raid/raid_layout.h"

namespace weft::bdev {

class RaidChannel;

// What a channel does with a base.
enum class BaseMode : uint8_t {
    absent,      // nothing
    write_only,  // writes to it, does not read from it: a rebuild makes it whole, or it is about to be taken out
    in_sync,
};

class RaidDevice final : public StackedDevice {
public:
    // Whose raid it is. App thread.
    class Owner {
    public:
        virtual ~Owner() = default;
        // Its device is being removed and waits until it is let go.
        virtual void on_base_gone(size_t index) = 0;
        virtual void on_base_resized(size_t index) = 0;
        // A write or a flush failed there, and was done elsewhere. Requests wait until settle(index).
        virtual void on_base_failed(size_t index) = 0;
        virtual void describe(Json& driver_specific) const = 0;
        virtual void write_config(Json& entries) const = 0;
        // The last channel has gone; the bases are let go after this.
        virtual Task<void> on_close() = 0;
    };
    struct Options {
        std::string name;
        Uuid uuid;
        RaidLayout layout;
        std::vector<uint64_t> data_offsets;  // blocks, one a base
        bool is_concurrent = false;          // there will be channels on more than one reactor
        accel::Framework* accel = nullptr;   // lives longer
    };

    // `bases` has one for each of the layout's; those that are nullptr are absent. The owner lives until on_close() has
    // ended.
    RaidDevice(Options options, Registry& registry, std::vector<std::unique_ptr<Base>> bases, Owner& owner);
    ~RaidDevice() override;

    [[nodiscard]] std::string_view product_name() const override { return "Raid Volume"; }
    [[nodiscard]] bool supports(Op op) const override {
        return (supported_.load(std::memory_order_relaxed) >> static_cast<unsigned>(op) & 1U) != 0;
    }
    void describe(Json& driver_specific) const override { owner_.describe(driver_specific); }
    void write_config(Json& entries) const override { owner_.write_config(entries); }
    Task<void> close() override;

    // Any thread.
    [[nodiscard]] const RaidLayout& layout() const { return layout_; }
    [[nodiscard]] BaseMode mode(size_t index) const { return slots_[index].mode.load(std::memory_order_acquire); }
    // Where the data of a base that is not absent begin.
    [[nodiscard]] uint64_t data_offset(size_t index) const { return slots_[index].data_offset; }
    // Who writes to more than one base, and who reads what must fit together, keeps others off. In blocks of a base's
    // data.
    [[nodiscard]] RangeLocks& locks() { return locks_; }
    [[nodiscard]] accel::Framework& accel() const { return accel_; }
    void report_failure(size_t index);
    // A base is in doubt while a write or a flush is under way that has failed there: what it has may be old, or torn
    // within a block, and who reads it cannot tell.
    [[nodiscard]] bool is_in_doubt(size_t index) const {
        return doubts_.load(std::memory_order_acquire) != 0 &&
               slots_[index].doubts.load(std::memory_order_acquire) != 0;
    }
    void begin_doubt(size_t index);
    void end_doubt(size_t index);

    // The rest is for the owner, on the app thread.
    [[nodiscard]] size_t count_of(BaseMode mode) const;
    // Ends when all channels have let go of it; the device forgets the base. None leaves it out of its writes before
    // the last has stopped to read from it.
    Task<void> take_out(size_t index);
    // All channels write to it when this ends. Errors: those of opening it; then nobody uses it.
    Task<Result<void>> take_in(size_t index, std::unique_ptr<Base> base, uint64_t data_offset);
    // It is as good as the others now.
    Task<void> set_in_sync(size_t index);
    // What was to be done about a failure was done: the base is absent now, or it stays and the requests that it failed
    // do so, too.
    Task<void> settle(size_t index);
    void resize(uint64_t block_count);

    // For channels: the thread they live on, from before they look at mode() until they are gone.
    void add_channel_thread(Thread& thread);
    void remove_channel_thread(Thread& thread);

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;
    void on_base_removed(Base& base) override { owner_.on_base_gone(index_of(base)); }
    void on_base_resized(Base& base) override { owner_.on_base_resized(index_of(base)); }

private:
    struct FailureReport : Message {
        RaidDevice* device = nullptr;
        size_t index = 0;
    };
    struct Slot {
        std::atomic<BaseMode> mode = BaseMode::absent;
        uint64_t data_offset = 0;
        std::atomic<bool> is_reported = false;
        std::atomic<uint32_t> doubts = 0;
        FailureReport report;
    };
    template <class Visit>
    Task<void> visit_channels(Visit visit);
    void update_supported();

    const RaidLayout layout_;
    accel::Framework& accel_;
    Owner& owner_;
    Thread& home_;
    std::vector<Slot> slots_;
    std::atomic<uint32_t> doubts_{0};  // of all bases: what every read looks at
    std::atomic<uint32_t> supported_{0};
    RangeLocks locks_;
    SpinLock threads_lock_;  // channels come and go on many threads; never taken per I/O
    std::vector<Thread*> threads_;
};

}  // namespace weft::bdev
