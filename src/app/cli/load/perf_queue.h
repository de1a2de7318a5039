// One queue of `weft perf`: keeps its depth of commands with the controller, and counts what comes back.
#pragma once

#include <atomic>
#include <memory>

#include "app/cli/load/perf_plan.h"
#include "app/cli/load/perf_units.h"
#include "env/environment.h"
#include "nvme_host/qpair.h"
#include "nvme_host/tcp/connection_group.h"

namespace weft::cli {

// Lives on the thread of its qpair.
class PerfQueue {
public:
    // `range`: for --verify, units that no other queue touches. Errors: no_memory.
    static Result<std::unique_ptr<PerfQueue>> create(const PerfPlan& plan, nvme_host::tcp::ConnectionGroup& group,
                                                     nvme_host::Qpair& qpair, UnitRange range, uint64_t seed);
    PerfQueue(const PerfQueue&) = delete;
    PerfQueue& operator=(const PerfQueue&) = delete;

    void start(PerfTimes times);
    void set_end(env::TimeNs end) { times_.end = end; }
    // With a rate: submits what has become due by `now`; returns how many.
    uint32_t submit_due(env::TimeNs now);
    // Ended, and nothing is with the controller.
    [[nodiscard]] bool is_finished() const { return in_flight_ == 0 && (is_stopped_ || is_over_); }

    [[nodiscard]] const PerfResults& results() const { return results_; }
    // Commands done in the measured time. Any thread.
    [[nodiscard]] uint64_t done_count() const { return done_count_.load(std::memory_order_relaxed); }

private:
    struct Slot {
        nvme_host::Io io;
        PerfQueue* queue = nullptr;
        iovec piece{};
        uint64_t unit = 0;  // within the range
        uint64_t generation = 0;
        env::TimeNs submitted = 0;
        bool is_read = false;
        Slot* next_parked = nullptr;
    };

    PerfQueue(const PerfPlan& plan, nvme_host::tcp::ConnectionGroup& group, nvme_host::Qpair& qpair, UnitRange range,
              uint64_t seed, env::Mapping memory);
    void submit(Slot& slot, env::TimeNs now);
    void submit_or_park(Slot& slot, env::TimeNs now);
    void on_done(Slot& slot);
    void note_failure(const Slot& slot);
    [[nodiscard]] MutableBytes data_of(const Slot& slot) const {
        return {static_cast<std::byte*>(slot.piece.iov_base), slot.piece.iov_len};
    }

    const PerfPlan& plan_;
    nvme_host::tcp::ConnectionGroup& group_;
    nvme_host::Qpair& qpair_;
    PerfUnits units_;
    env::Mapping memory_;
    std::unique_ptr<Slot[]> slots_;
    PerfTimes times_;
    uint32_t in_flight_ = 0;
    bool is_over_ = false;     // the end was seen
    bool is_stopped_ = false;  // the connection is gone
    PerfResults results_;
    std::atomic<uint64_t> done_count_{0};

    // --rate
    Slot* parked_ = nullptr;
    env::TimeNs next_due_ = 0;
    env::TimeNs interval_ = 0;
};

}  // namespace weft::cli
