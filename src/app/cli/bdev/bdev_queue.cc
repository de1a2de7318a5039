#include "app/cli/bdev/bdev_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "reactor/reactor.h"

namespace weft::cli {

using bdev::Op;
using bdev::Progress;
using bdev::Request;
using bdev::Status;

Result<std::unique_ptr<BdevQueue>> BdevQueue::create(const BdevPlan& plan, bdev::Device& device, UnitRange range,
                                                     uint64_t seed, std::atomic<bool>& stop) {
    auto channel = device.channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    const size_t alignment = std::max<size_t>(device.geometry().alignment_bytes, 64);
    const size_t bytes = plan.moves_data ? plan.unit_bytes : 0;
    const size_t stride = (bytes + alignment - 1) / alignment * alignment;
    auto memory = env::map_memory(std::max<size_t>(size_t{plan.queue_depth} * stride, 1), {.name = "weft_bdevperf"});
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::unique_ptr<BdevQueue>(
        new BdevQueue(plan, std::move(*channel), range, seed, stop, std::move(*memory), stride));
}

// NOLINTNEXTLINE(readability-function-size): create() alone calls it
BdevQueue::BdevQueue(const BdevPlan& plan, ChannelRef<bdev::Channel> channel, UnitRange range, uint64_t seed,
                     std::atomic<bool>& stop, env::Mapping memory, size_t stride)
    : Poller(Thread::current(), "weft_bdevperf", 0),
      plan_(plan),
      channel_(std::move(channel)),
      units_(plan, range, seed),
      memory_(std::move(memory)),
      slots_(std::make_unique<Slot[]>(plan.queue_depth)),
      ready_(std::make_unique<Slot*[]>(size_t{2} * plan.queue_depth)),
      stop_(stop) {
    fill_for_load({memory_.data(), memory_.size()}, seed);
    for (uint32_t index = 0; index < plan_.queue_depth; ++index) {
        Slot& slot = slots_[index];
        slot.queue = this;
        slot.piece = {.iov_base = memory_.data() + index * stride, .iov_len = plan_.unit_bytes};
        slot.is_read = plan_.moves_data;
        if (plan_.moves_data) slot.request.data = {&slot.piece, 1};
        slot.request.op = plan_.op;
        slot.request.blocks = plan_.op == Op::flush ? 0 : plan_.unit_blocks();
        slot.request.context = &slot;
        slot.request.done = [](Request& request) {
            Slot& done = *static_cast<Slot*>(request.context);
            done.queue->on_pending_done(done);
        };
        ready_[ready_count_++] = &slot;
    }
}

BdevQueue::~BdevQueue() { WEFT_ASSERT(in_flight_ == 0); }

void BdevQueue::start(PerfTimes times) {
    times_ = times;
    is_running_ = true;
}

uint32_t BdevQueue::poll() {
    if (!is_running_) return 0;
    Reactor& reactor = channel_->thread().reactor();
    const env::TimeNs now = reactor.now();
    if (now >= times_.end || stop_.load(std::memory_order_relaxed)) {
        is_running_ = false;
        return 1;
    }
    reactor.note_io();
    uint32_t done = 0;
    while (submit_round(done) && done < batch && !stop_.load(std::memory_order_relaxed)) {
    }
    ask_for_turn_end();
    return done;
}

// Each of those that may be submitted, once. False when there is nothing more to do in this turn.
bool BdevQueue::submit_round(uint32_t& done) {
    bdev::Channel& channel = *channel_;
    const env::TimeNs now = channel.thread().reactor().now();
    const uint32_t count = ready_count_;
    uint32_t kept = 0;
    uint32_t at = 0;
    bool is_short = false;
    for (; at < count && !is_short; ++at) {
        Slot& slot = *ready_[at];
        if (!slot.is_prepared) [[likely]]
            prepare(slot);
        slot.submitted = now;
        const Progress progress = channel.submit(slot.request);
        if (progress == Progress::done) [[likely]] {
            ++done;
            ready_[kept++] = &slot;
            conclude(slot, now);
        } else if (progress == Progress::pending) {
            ++done;
            ++in_flight_;
        } else {
            slot.is_prepared = true;
            ready_[kept++] = &slot;
            is_short = true;
        }
    }
    // Those that were not tried, and those that another's submission has ended.
    for (; at < ready_count_; ++at) ready_[kept++] = ready_[at];
    ready_count_ = kept;
    return kept > 0 && !is_short;
}

void BdevQueue::on_pending_done(Slot& slot) {
    --in_flight_;
    ready_[ready_count_++] = &slot;
    conclude(slot, channel_->thread().reactor().now());
    ask_for_turn_end();
}

void BdevQueue::ask_for_turn_end() {
    if (reads_this_turn_ + writes_this_turn_ != 0) ask(channel_->thread().reactor());
}

void BdevQueue::prepare(Slot& slot) {
    if (plan_.verify) [[unlikely]]
        return prepare_stamped(slot);
    slot.unit = units_.next();
    if (plan_.moves_data) {
        slot.is_read = units_.next_is_read();
        slot.request.op = slot.is_read ? Op::read : Op::write;
    }
    if (plan_.op != Op::flush) slot.request.lba = units_.lba_of(slot.unit);
}

void BdevQueue::prepare_stamped(Slot& slot) {
    if (slot.is_reading_back) {
        slot.is_read = true;
        slot.request.op = Op::read;
        // A read that does nothing must not find what was written.
        std::ranges::fill(data_of(slot), std::byte{0xEE});
        return;
    }
    slot.unit = units_.next();
    slot.is_read = units_.next_is_read();
    slot.request.op = slot.is_read ? Op::read : Op::write;
    slot.request.lba = units_.lba_of(slot.unit);
    if (!slot.is_read) slot.generation = units_.stamp(slot.unit, data_of(slot));
}

void BdevQueue::conclude(Slot& slot, env::TimeNs now) {
    slot.is_prepared = false;
    if (slot.request.status != Status::success) [[unlikely]]
        return note_failure(slot);
    if (slot.submitted == now) [[likely]] {
        ++(slot.is_read ? reads_this_turn_ : writes_this_turn_);
    } else if (is_measured(now)) {
        (slot.is_read ? results_.reads : results_.writes).add(now - slot.submitted);
        done_count_.store(done_count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    if (plan_.verify) [[unlikely]]
        conclude_stamped(slot);
}

void BdevQueue::conclude_stamped(Slot& slot) {
    if (!slot.is_read) {
        units_.note_written(slot.unit, slot.generation);
        slot.is_reading_back = plan_.reads_back;
        if (slot.is_reading_back) return;
    } else {
        const uint64_t faults = results_.verify_faults;
        units_.check(slot.unit, data_of(slot), results_);
        slot.is_reading_back = false;
        if (results_.verify_faults != faults && !plan_.goes_on_after_failure) stop_ = true;
    }
    units_.release(slot.unit);
}

// Of a request that verifies and did not go well.
void BdevQueue::give_up_unit(Slot& slot) {
    if (!slot.is_read) units_.note_unknown(slot.unit);
    slot.is_reading_back = false;
    units_.release(slot.unit);
}

void BdevQueue::note_failure(Slot& slot) {
    if (plan_.verify) give_up_unit(slot);
    if (plan_.resets && slot.request.status == Status::aborted) {
        ++results_.aborted;
        return;
    }
    ++results_.failed;
    results_.note_failure(fmt::format("{}: {} of block {}: {}", channel_->bdev().name(), bdev::name_of(slot.request.op),
                                      slot.request.lba, bdev::name_of(slot.request.status)));
    if (!plan_.goes_on_after_failure) stop_ = true;
}

// Of all that was submitted and done in one turn.
void BdevQueue::on_turn_end(env::TimeNs began, env::TimeNs ended) {
    if (is_measured(began)) {
        if (reads_this_turn_ != 0) results_.reads.add(ended - began, reads_this_turn_);
        if (writes_this_turn_ != 0) results_.writes.add(ended - began, writes_this_turn_);
        const uint64_t count = reads_this_turn_ + writes_this_turn_;
        done_count_.store(done_count_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    reads_this_turn_ = 0;
    writes_this_turn_ = 0;
}

}  // namespace weft::cli
