// One job of `weft bdevperf`: keeps its depth of requests with a channel, and counts what is done.
//
// What a device does on the spot costs a loop and no clock: like the block layer's own figures (bdev/meter.h) such a
// request takes as long as the turn in which it was submitted.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/load/perf_plan.h"
#include "app/cli/load/perf_units.h"
#include "bdev/device.h"
#include "env/environment.h"
#include "reactor/poller.h"
#include "reactor/turn_end.h"

namespace weft::cli {

// Immutable while the load runs.
struct BdevPlan : PerfPlan {
    bdev::Op op = bdev::Op::read;     // of loads that neither read nor write: flush, unmap, write_zeroes
    bool moves_data = true;           // reads and writes, by read_percent
    bool reads_back = false;          // each write is read and compared; `verify` is set, too
    bool goes_on_after_failure = false;
    bool resets = false;              // the device is reset meanwhile, which may end requests as aborted
};

// Lives on the thread that made it, with its channel.
class BdevQueue final : public Poller, private TurnEnd {
public:
    // `stop` is looked at each turn, and set by a failure. Errors: no_memory; those of opening the channel.
    static Result<std::unique_ptr<BdevQueue>> create(const BdevPlan& plan, bdev::Device& device, UnitRange range,
                                                     uint64_t seed, std::atomic<bool>& stop);
    ~BdevQueue() override;  // is_finished()

    void start(PerfTimes times);
    void set_end(env::TimeNs end) { times_.end = end; }
    // Ended, and nothing is with the device.
    [[nodiscard]] bool is_finished() const { return !is_running_ && in_flight_ == 0; }
    // When it is finished, from the next turn on: the last figures come then.
    [[nodiscard]] const PerfResults& results() const { return results_; }
    // Requests done in the measured time. Any thread.
    [[nodiscard]] uint64_t done_count() const { return done_count_.load(std::memory_order_relaxed); }

    uint32_t poll() override;
    Sleep prepare_sleep() override { return is_running_ && ready_count_ > 0 ? Sleep::no : Sleep::until_woken; }

private:
    // How many requests a turn does at least, when the device does them on the spot.
    static constexpr uint32_t batch = 64;

    struct Slot {
        BdevQueue* queue = nullptr;
        iovec piece{};
        uint64_t unit = 0;
        uint64_t generation = 0;
        env::TimeNs submitted = 0;
        bool is_read = true;
        bool is_reading_back = false;
        bool is_prepared = false;  // it was submitted and not taken
        bdev::Request request;     // last: its end is the device's
    };

    BdevQueue(const BdevPlan& plan, ChannelRef<bdev::Channel> channel, UnitRange range, uint64_t seed,
              std::atomic<bool>& stop, env::Mapping memory, size_t stride);
    void prepare(Slot& slot);
    void prepare_stamped(Slot& slot);
    bool submit_round(uint32_t& done);
    void on_pending_done(Slot& slot);
    void conclude(Slot& slot, env::TimeNs now);
    void ask_for_turn_end();
    void conclude_stamped(Slot& slot);
    void note_failure(Slot& slot);
    void give_up_unit(Slot& slot);
    void on_turn_end(env::TimeNs began, env::TimeNs ended) override;
    [[nodiscard]] bool is_measured(env::TimeNs now) const { return now >= times_.measure_from && now < times_.end; }
    [[nodiscard]] MutableBytes data_of(const Slot& slot) const {
        return {static_cast<std::byte*>(slot.piece.iov_base), slot.piece.iov_len};
    }

    const BdevPlan& plan_;
    ChannelRef<bdev::Channel> channel_;
    PerfUnits units_;
    env::Mapping memory_;
    std::unique_ptr<Slot[]> slots_;
    std::unique_ptr<Slot*[]> ready_;  // those that may be submitted; room for each twice
    uint32_t ready_count_ = 0;
    uint32_t in_flight_ = 0;
    bool is_running_ = false;
    PerfTimes times_;
    uint64_t reads_this_turn_ = 0;
    uint64_t writes_this_turn_ = 0;
    PerfResults results_;
    std::atomic<bool>& stop_;
    std::atomic<uint64_t> done_count_{0};
};

}  // namespace weft::cli
