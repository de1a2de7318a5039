#include "app/cli/load/perf_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nvme/status.h"
#include "reactor/reactor.h"

namespace weft::cli {

using nvme_host::Io;

Result<std::unique_ptr<PerfQueue>> PerfQueue::create(const PerfPlan& plan, nvme_host::tcp::ConnectionGroup& group,
                                                     nvme_host::Qpair& qpair, UnitRange range, uint64_t seed) {
    auto memory = env::map_memory(size_t{plan.queue_depth} * plan.unit_bytes, {.name = "weft_perf"});
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::unique_ptr<PerfQueue>(new PerfQueue(plan, group, qpair, range, seed, std::move(*memory)));
}

PerfQueue::PerfQueue(const PerfPlan& plan, nvme_host::tcp::ConnectionGroup& group, nvme_host::Qpair& qpair,
                     UnitRange range, uint64_t seed, env::Mapping memory)
    : plan_(plan),
      group_(group),
      qpair_(qpair),
      units_(plan, range, seed),
      memory_(std::move(memory)),
      slots_(std::make_unique<Slot[]>(plan.queue_depth)) {
    fill_for_load({memory_.data(), memory_.size()}, seed);
    for (uint32_t index = 0; index < plan_.queue_depth; ++index) {
        Slot& slot = slots_[index];
        slot.queue = this;
        slot.piece = {.iov_base = memory_.data() + size_t{index} * plan_.unit_bytes, .iov_len = plan_.unit_bytes};
        slot.io.data = {&slot.piece, 1};
        slot.io.context = &slot;
        slot.io.command.nsid = plan_.nsid;
        slot.io.done = [](Io& io) {
            Slot& done = *static_cast<Slot*>(io.context);
            done.queue->on_done(done);
        };
    }
}

void PerfQueue::start(PerfTimes times) {
    times_ = times;
    const env::TimeNs now = group_.thread().reactor().now();
    if (plan_.rate > 0) {
        interval_ = static_cast<env::TimeNs>(static_cast<double>(env::ns_per_s) / plan_.rate);
        next_due_ = now;
    }
    for (uint32_t index = 0; index < plan_.queue_depth; ++index) submit_or_park(slots_[index], now);
}

void PerfQueue::submit_or_park(Slot& slot, env::TimeNs now) {
    if (plan_.rate <= 0) {
        submit(slot, now);
        return;
    }
    slot.next_parked = std::exchange(parked_, &slot);
}

uint32_t PerfQueue::submit_due(env::TimeNs now) {
    if (now >= times_.end) {
        is_over_ = true;
        return 0;
    }
    uint32_t count = 0;
    // What the depth kept from being submitted in time is not made up for later by more than a millisecond's worth.
    next_due_ = std::max(next_due_ + env::ns_per_ms, now) - env::ns_per_ms;
    while (parked_ != nullptr && next_due_ <= now && !is_stopped_) {
        Slot& slot = *std::exchange(parked_, parked_->next_parked);
        next_due_ += interval_;
        submit(slot, now);
        ++count;
    }
    return count;
}

void PerfQueue::submit(Slot& slot, env::TimeNs now) {
    slot.unit = units_.next();
    slot.is_read = units_.next_is_read();
    slot.submitted = now;
    slot.io.command.opcode = static_cast<uint8_t>(slot.is_read ? nvme::IoOpcode::read : nvme::IoOpcode::write);
    slot.io.command.set_lba_range(units_.lba_of(slot.unit), plan_.unit_blocks());
    if (plan_.verify && !slot.is_read) slot.generation = units_.stamp(slot.unit, data_of(slot));
    ++in_flight_;
    qpair_.submit(slot.io);
}

void PerfQueue::on_done(Slot& slot) {
    const env::TimeNs now = group_.arrival_time();
    --in_flight_;
    if (slot.io.is_success()) {
        if (now >= times_.measure_from && now < times_.end) {
            (slot.is_read ? results_.reads : results_.writes).add(now - slot.submitted);
            done_count_.store(done_count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        }
        if (plan_.verify) {
            if (slot.is_read) {
                units_.check(slot.unit, data_of(slot), results_);
            } else {
                units_.note_written(slot.unit, slot.generation);
            }
        }
    } else {
        note_failure(slot);
    }
    units_.release(slot.unit);
    if (now >= times_.end) is_over_ = true;
    if (!is_over_ && !is_stopped_) submit_or_park(slot, now);
}

void PerfQueue::note_failure(const Slot& slot) {
    ++results_.failed;
    const Error* lost = qpair_.failure();
    if (lost != nullptr) is_stopped_ = true;
    if (plan_.verify && !slot.is_read) units_.note_unknown(slot.unit);
    if (!results_.first_failure.empty()) return;
    results_.first_failure =
        fmt::format("{} of block {}: {}", slot.is_read ? "read" : "write", units_.lba_of(slot.unit),
                    lost != nullptr ? lost->message : nvme::describe(slot.io.status()));
}

}  // namespace weft::cli
