#include "bdev_modules/raid/raid_device.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "bdev_modules/raid/raid_channel.h"
#include "reactor/task.h"

namespace weft::bdev {

namespace {

constexpr uint32_t region_bytes_shift = 22;  // 4 MiB: few requests cross from one into the next
constexpr env::TimeNs look_again_after = env::ns_per_ms;

Geometry geometry_for(const RaidLayout& layout, const std::vector<std::unique_ptr<Base>>& bases) {
    Geometry geometry{.block_count = layout.block_count()};
    for (const auto& base : bases) {
        if (!base) continue;
        const Geometry& one = base->device().geometry();
        geometry.block_bytes = one.block_bytes;
        geometry.alignment_bytes = std::max(geometry.alignment_bytes, one.alignment_bytes);
        geometry.has_write_cache |= one.has_write_cache;
        geometry.unmap_blocks = std::max(geometry.unmap_blocks, one.unmap_blocks);
    }
    if (layout.level() == RaidLevel::raid0 && layout.bases() > 1) geometry.optimal_blocks = layout.strip_blocks();
    if (layout.level() == RaidLevel::raid5f) geometry.optimal_blocks = static_cast<uint32_t>(layout.stripe_blocks());
    return geometry;
}

uint32_t region_shift(uint32_t block_bytes) {
    return region_bytes_shift - static_cast<uint32_t>(std::countr_zero(block_bytes));
}

}  // namespace

RaidDevice::RaidDevice(Options options, Registry& registry, std::vector<std::unique_ptr<Base>> bases, Owner& owner)
    : StackedDevice{std::move(options.name), options.uuid, geometry_for(options.layout, bases), registry,
                    std::move(bases)},
      layout_(std::move(options.layout)),
      accel_(*options.accel),
      owner_(owner),
      home_(Thread::current()),
      slots_(layout_.bases()),
      locks_(region_shift(block_bytes()), options.is_concurrent) {
    WEFT_ASSERT(base_count() == layout_.bases() && options.data_offsets.size() == layout_.bases());
    for (size_t index = 0; index < slots_.size(); ++index) {
        Slot& slot = slots_[index];
        slot.data_offset = options.data_offsets[index];
        slot.mode = base(index) == nullptr ? BaseMode::absent : BaseMode::in_sync;
        slot.report.device = this;
        slot.report.index = index;
        slot.report.run = [](Message& message) {
            auto& report = static_cast<FailureReport&>(message);
            report.device->owner_.on_base_failed(report.index);
        };
    }
    update_supported();
}

RaidDevice::~RaidDevice() { WEFT_ASSERT(doubts_ == 0); }

Task<void> RaidDevice::close() {
    co_await owner_.on_close();
    co_await StackedDevice::close();
}

// What all bases do. Of raid5f only what is done with whole strips.
void RaidDevice::update_supported() {
    uint32_t supported = 0;
    for (const Op op : {Op::read, Op::write, Op::flush, Op::unmap, Op::write_zeroes, Op::compare, Op::verify}) {
        if (layout_.level() == RaidLevel::raid5f && (op == Op::compare || op == Op::verify)) continue;
        bool do_all = true;
        for (size_t index = 0; index < base_count(); ++index) {
            do_all &= base(index) == nullptr || base(index)->device().accepts(op);
        }
        if (do_all) supported |= 1U << static_cast<unsigned>(op);
    }
    supported_.store(supported, std::memory_order_relaxed);
}

size_t RaidDevice::count_of(BaseMode mode) const {
    return static_cast<size_t>(std::ranges::count_if(slots_, [mode](const Slot& slot) { return slot.mode == mode; }));
}

// Channels ------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<IoChannel>> RaidDevice::make_channel() {
    std::unique_ptr<RaidChannel> channel = RaidChannel::make(*this);
    WEFT_TRY(channel->open());
    return channel;
}

void RaidDevice::add_channel_thread(Thread& thread) {
    const SpinLock::Hold hold(threads_lock_);
    threads_.push_back(&thread);
}

void RaidDevice::remove_channel_thread(Thread& thread) {
    const SpinLock::Hold hold(threads_lock_);
    threads_.erase(std::ranges::find(threads_, &thread));
}

// A channel that is being made is found by the message that comes after it was made.
template <class Visit>
Task<void> RaidDevice::visit_channels(Visit visit) {
    std::vector<Thread*> threads;
    {
        const SpinLock::Hold hold(threads_lock_);
        threads = threads_;
    }
    for (Thread* thread : threads) {
        co_await resume_on(*thread);
        const auto found = thread->channels().find(this);
        if (found != thread->channels().end()) visit(static_cast<RaidChannel&>(*found->second));
    }
    co_await resume_on(home_);
}

// Any thread.
void RaidDevice::report_failure(size_t index) {
    if (!slots_[index].is_reported.exchange(true, std::memory_order_acq_rel)) home_.post(slots_[index].report);
}

// The base's own count is never behind the sum, for who sees one.
void RaidDevice::begin_doubt(size_t index) {
    slots_[index].doubts.fetch_add(1, std::memory_order_acq_rel);
    doubts_.fetch_add(1, std::memory_order_acq_rel);
}

void RaidDevice::end_doubt(size_t index) {
    doubts_.fetch_sub(1, std::memory_order_acq_rel);
    slots_[index].doubts.fetch_sub(1, std::memory_order_acq_rel);
}

Task<void> RaidDevice::take_out(size_t index) {
    if (base(index) == nullptr) co_return;
    slots_[index].mode.store(BaseMode::write_only, std::memory_order_seq_cst);
    co_await visit_channels([index](RaidChannel& channel) { channel.stop_reading(index); });
    slots_[index].mode.store(BaseMode::absent, std::memory_order_seq_cst);
    for (bool is_used = true; is_used;) {
        is_used = false;
        co_await visit_channels([index, &is_used](RaidChannel& channel) { is_used |= !channel.take_out(index); });
        if (is_used) co_await sleep_for(look_again_after);
    }
    let_go_of(index);
    update_supported();
}

Task<Result<void>> RaidDevice::take_in(size_t index, std::unique_ptr<Base> base, uint64_t data_offset) {
    put(index, std::move(base));
    slots_[index].data_offset = data_offset;
    update_supported();
    slots_[index].mode.store(BaseMode::write_only, std::memory_order_seq_cst);
    Result<void> done;
    co_await visit_channels([index, &done](RaidChannel& channel) {
        if (auto taken = channel.take_in(index); !taken && done) done = std::unexpected(std::move(taken).error());
    });
    if (!done) co_await take_out(index);
    co_return done;
}

Task<void> RaidDevice::set_in_sync(size_t index) {
    slots_[index].mode.store(BaseMode::in_sync, std::memory_order_seq_cst);
    co_await visit_channels([index](RaidChannel& channel) { channel.set_in_sync(index); });
}

Task<void> RaidDevice::settle(size_t index) {
    slots_[index].is_reported.store(false, std::memory_order_release);
    co_await visit_channels([index](RaidChannel& channel) { channel.settle(index); });
}

void RaidDevice::resize(uint64_t block_count) {
    set_block_count(block_count);
    registry().notify_resized(*this);
}

}  // namespace weft::bdev
