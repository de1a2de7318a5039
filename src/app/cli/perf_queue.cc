#include "app/cli/perf_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "app/cli/stamp.h"
#include "nvme/status.h"
#include "reactor/reactor.h"

namespace weft::cli {

using nvme_host::Io;

std::optional<Workload> workload_from_name(std::string_view name) {
    static constexpr std::pair<std::string_view, Workload> names[] = {
        {"read", Workload::read},           {"write", Workload::write}, {"randread", Workload::randread},
        {"randwrite", Workload::randwrite}, {"rw", Workload::rw},       {"randrw", Workload::randrw}};
    for (const auto& [known, workload] : names) {
        if (known == name) return workload;
    }
    return std::nullopt;
}

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
      range_(range),
      memory_(std::move(memory)),
      slots_(std::make_unique<Slot[]>(plan.queue_depth)),
      random_state_(seed | 1) {
    // Touched now: page faults are not what is to be measured. Not all zero: some devices know zeroes.
    uint64_t pattern = seed;
    for (size_t at = 0; at < memory_.size(); at += 8) {
        pattern = pattern * 6364136223846793005 + 1442695040888963407;
        store(MutableBytes(memory_.data(), memory_.size()).subspan(at), pattern);
    }
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
    if (plan_.verify) {
        generations_.resize(range_.count);
        is_busy_.resize(range_.count);
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

// xorshift64*
uint64_t PerfQueue::next_random() {
    random_state_ ^= random_state_ >> 12;
    random_state_ ^= random_state_ << 25;
    random_state_ ^= random_state_ >> 27;
    return random_state_ * 0x2545F4914F6CDD1D;
}

uint64_t PerfQueue::next_unit() {
    uint64_t unit = 0;
    if (plan_.is_random) {
        __extension__ using Wide = unsigned __int128;
        unit = static_cast<uint64_t>(Wide{next_random()} * range_.count >> 64);
    } else {
        unit = sequential_;
        sequential_ = sequential_ + 1 == range_.count ? 0 : sequential_ + 1;
    }
    if (!plan_.verify) return unit;
    // Two commands at one unit at a time would leave open which comes first. There are more units than slots.
    while (is_busy_[unit]) unit = unit + 1 == range_.count ? 0 : unit + 1;
    is_busy_[unit] = true;
    return unit;
}

uint64_t PerfQueue::lba_of(const Slot& slot) const { return (range_.first + slot.unit) * plan_.unit_blocks(); }

void PerfQueue::submit(Slot& slot, env::TimeNs now) {
    slot.unit = next_unit();
    slot.is_read = plan_.read_percent == 100 || (plan_.read_percent != 0 && next_random() % 100 < plan_.read_percent);
    slot.submitted = now;
    slot.io.command.opcode = static_cast<uint8_t>(slot.is_read ? nvme::IoOpcode::read : nvme::IoOpcode::write);
    slot.io.command.set_lba_range(lba_of(slot), plan_.unit_blocks());
    if (plan_.verify && !slot.is_read) prepare_write(slot);
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
                check_read(slot);
            } else {
                generations_[slot.unit] = static_cast<uint32_t>(slot.generation);
            }
        }
    } else {
        note_failure(slot);
    }
    if (plan_.verify) is_busy_[slot.unit] = false;
    if (now >= times_.end) is_over_ = true;
    if (!is_over_ && !is_stopped_) submit_or_park(slot, now);
}

void PerfQueue::note_failure(const Slot& slot) {
    ++results_.failed;
    const Error* lost = qpair_.failure();
    if (lost != nullptr) is_stopped_ = true;
    if (plan_.verify && !slot.is_read) generations_[slot.unit] = 0;  // neither the old nor surely the new
    if (!results_.first_failure.empty()) return;
    results_.first_failure = fmt::format("{} of block {}: {}", slot.is_read ? "read" : "write", lba_of(slot),
                                         lost != nullptr ? lost->message : nvme::describe(slot.io.status()));
}

void PerfQueue::prepare_write(Slot& slot) {
    slot.generation = ++last_generation_;
    const MutableBytes data = data_of(slot);
    for (uint32_t block = 0; block < plan_.unit_blocks(); ++block) {
        write_stamp(data.subspan(size_t{block} * plan_.block_bytes, plan_.block_bytes),
                    {.lba = lba_of(slot) + block, .generation = slot.generation, .run = plan_.run});
    }
}

void PerfQueue::check_read(const Slot& slot) {
    const Bytes data = data_of(slot);
    const uint32_t generation = generations_[slot.unit];
    for (uint32_t block = 0; block < plan_.unit_blocks(); ++block) {
        const Bytes bytes = data.subspan(size_t{block} * plan_.block_bytes, plan_.block_bytes);
        const uint64_t lba = lba_of(slot) + block;
        Stamp found;
        // What this run has not written may hold anything, but no stamp of another block.
        StampFault fault = generation != 0
                               ? check_stamp(bytes, {.lba = lba, .generation = generation, .run = plan_.run})
                               : read_stamp(bytes, lba, found);
        if (generation == 0 && fault == StampFault::no_stamp) continue;
        ++results_.verified_blocks;
        if (fault == StampFault::none) continue;
        ++results_.verify_faults;
        if (results_.first_failure.empty()) {
            results_.first_failure = fmt::format("block {}: {}", lba, name_of(fault));
        }
    }
}

}  // namespace weft::cli
