// What happens to a raid that is online: bases go, come and are filled, and change their size.
#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "bdev_modules/raid/raid_array.h"
#include "bdev_modules/raid/superblock_io.h"

namespace weft::bdev {

namespace {

constexpr env::TimeNs tell_again_after = env::ns_per_s;

}  // namespace

// A base goes ---------------------------------------------------------------------------------------------------------

void RaidArray::on_base_gone(size_t index) { spawn(lose(Hold(*this), index, Loss::gone)); }
void RaidArray::on_base_failed(size_t index) { spawn(lose(Hold(*this), index, Loss::failed)); }

// Before the raid is online.
void RaidArray::on_base_removed(Base& base) {
    for (size_t at = 0; at < slots_.size(); ++at) {
        if (slots_[at].base.get() == &base) spawn(lose(Hold(*this), at, Loss::gone));
    }
}

Task<void> RaidArray::lose(Hold /*self*/, size_t slot, Loss why) {
    co_await yield();  // who tells of it has gone on by then
    if (auto removed = co_await remove_base(slot, why); !removed && why == Loss::failed) {
        WEFT_ERRLOG("raid {}: the base bdev in slot {} failed, and stays: {}", log::quoted(name_), slot,
                    removed.error().message);
    }
}

// The order is what makes it safe: the others say that the base is none any more before a write is done that it has
// not got. Where that cannot be said it stays, and what it fails fails; when it is gone, the raid goes, too.
Task<Result<void>> RaidArray::remove_base(size_t at, Loss why) {
    const Hold self(*this);
    std::optional<AsyncMutex::Guard> guard(co_await busy_.lock());
    Slot& slot = slots_[at];
    if (!slot.is_configured || state_ == RaidState::offline || is_deleting_) {
        if (device_ != nullptr) co_await device_->settle(at);
        co_return fail(Errc::no_such_device, "No such device");
    }
    if (state_ == RaidState::configuring) {
        release(slot);
        co_return Result<void>{};
    }
    const bool is_in_sync = device_->mode(at) == BaseMode::in_sync;
    const size_t left = device_->count_of(BaseMode::in_sync) - (is_in_sync ? 1 : 0);
    if (left < operational_min(level_, slots_.size())) {
        if (why != Loss::failed) co_return co_await go_offline(at, "it cannot do without it", *guard);
        co_await device_->settle(at);
        co_return fail(Errc::busy, "the raid cannot do without it");
    }
    if (is_in_sync && !co_await is_truthful(at, why)) {
        constexpr auto reason = "its superblock may say that others failed, which stayed, and cannot be written";
        if (why == Loss::gone) co_return co_await go_offline(at, reason, *guard);
        co_await device_->settle(at);
        co_return fail(Errc::busy, reason);
    }
    WEFT_NOTICELOG("raid {}: base bdev {} {}", log::quoted(name_), log::quoted(slot.name.value_or("")),
                   why == Loss::failed ? "failed" : "is removed");
    co_await stop_process();
    const std::optional<std::vector<size_t>> failed = co_await strike_out(at, why);
    if (!failed) {
        constexpr auto reason = "the superblocks of the others cannot be written";
        if (why == Loss::gone) co_return co_await go_offline(at, reason, *guard);
        co_await device_->settle(at);
        if (process_ != nullptr) {
            start_process(process_->target, process_->rebuild->done_blocks());
        } else if (!is_in_sync) {
            start_process(at, 0);
        }
        co_return fail(Errc::io_error, reason);
    }
    const bool is_target = process_ != nullptr && process_->target == at;
    co_await device_->take_out(at);
    release(slot);
    --operational_;
    co_await device_->settle(at);
    if (is_target) {
        process_ = nullptr;
    } else if (process_ != nullptr) {
        start_process(process_->target, process_->rebuild->done_blocks());
    }
    house_.registry().note_change(name_);
    guard.reset();
    for (const size_t other : *failed) spawn(lose(Hold(*this), other, Loss::failed));
    co_return Result<void>{};
}

Task<Result<void>> RaidArray::go_offline(size_t at, std::string_view why, AsyncMutex::Guard& guard) {
    WEFT_ERRLOG("raid {}: offline, base bdev {} goes: {}", log::quoted(name_),
                log::quoted(slots_[at].name.value_or("")), why);
    --operational_;
    state_ = RaidState::offline;
    {
        const AsyncMutex::Guard ends = std::move(guard);
    }  // closing the device takes it
    static_cast<void>(co_await house_.registry().remove(name_));
    co_return Result<void>{};
}

Task<std::optional<std::vector<size_t>>> RaidArray::strike_out(size_t at, Loss why) {
    RaidMember* const member = superblock_ ? superblock_->member_in(at) : nullptr;
    if (member == nullptr) co_return std::vector<size_t>();
    const MemberState before =
        std::exchange(member->state, why == Loss::failed ? MemberState::failed : MemberState::missing);
    std::vector<size_t> failed = co_await write_superblock(at);
    // Those that do not say of it that it is whole need not be told that it is not.
    const bool is_told_of = before == MemberState::configured || slots_[at].may_be_whole;
    if (failed.size() + 1 < discovered() || !is_told_of) co_return failed;
    member->state = before;
    for (const size_t other : failed) slots_[other].may_lie = true;
    co_return std::nullopt;
}

// A write of its superblock that failed may be there all the same. Were it left behind, and alone when the raid is made
// again, it would be the raid, without what was written meanwhile.
Task<bool> RaidArray::is_truthful(size_t at, Loss why) {
    if (!slots_[at].may_lie) co_return true;
    if (why == Loss::gone) co_return false;
    ++superblock_->sequence;
    co_return co_await write_superblock_to(at, serialize(*superblock_));
}

// A base comes --------------------------------------------------------------------------------------------------------

Task<Result<void>> RaidArray::add_base(std::string name) {
    const Hold self(*this);
    std::optional<AsyncMutex::Guard> guard(co_await busy_.lock());
    if (process_ != nullptr) co_return fail(Errc::permission_denied, "a rebuild is running");
    if (is_deleting_) co_return fail(Errc::busy, "the raid is being deleted");
    if (state_ == RaidState::configuring) {
        const Device* device = house_.registry().find(name);
        if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
        const auto waiting = slot_waiting_for(*device);
        if (!waiting) co_return fail(Errc::invalid_argument, "the raid waits for other base bdevs");
        guard.reset();
        co_return co_await attach(*waiting, true);
    }
    const auto empty = std::ranges::find_if(slots_, [](const Slot& slot) { return !slot.is_configured && !slot.name; });
    if (state_ != RaidState::online || empty == slots_.end()) {
        co_return fail(Errc::invalid_argument, fmt::format("there is no empty slot for base bdev {}", name));
    }
    empty->name = std::move(name);
    auto base = open_base(*empty);
    Result<void> done;
    if (!base) {
        done = std::unexpected(std::move(base).error());
    } else {
        done = co_await check_is_free(**base);
        if (done) done = co_await take_in(static_cast<size_t>(empty - slots_.begin()), std::move(*base));
    }
    if (!done) release(*empty);
    co_return done;
}

Task<Result<void>> RaidArray::add_member_again(std::string name, Uuid uuid) {
    const Hold self(*this);
    const AsyncMutex::Guard guard = co_await busy_.lock();
    const RaidMember* member = superblock_ ? superblock_->member_named(uuid) : nullptr;
    if (state_ != RaidState::online || process_ != nullptr || is_deleting_ || member == nullptr) {
        co_return fail(Errc::busy, "the raid cannot take it now");
    }
    Slot& slot = slots_[member->slot];
    if (slot.is_configured || slot.name) co_return fail(Errc::already_exists, "the slot is taken");
    slot.name = std::move(name);
    slot.data_offset = member->data_offset;
    auto base = open_base(slot);
    Result<void> done;
    if (!base) {
        done = std::unexpected(std::move(base).error());
    } else {
        WEFT_NOTICELOG("raid {}: base bdev {} was a member, and is taken in again", log::quoted(name_),
                       log::quoted(*slot.name));
        done = co_await take_in(member->slot, std::move(*base));
    }
    if (!done) release(slot);
    co_return done;
}

// It says on all bases whose place it has before it is filled: so a program that starts again knows it.
Task<Result<void>> RaidArray::take_in(size_t at, std::unique_ptr<Base> base) {
    Slot& slot = slots_[at];
    if (base->is_removed()) co_return fail(Errc::no_such_device, "No such device");
    WEFT_CO_TRY(co_await device_->take_in(at, std::move(base), slot.data_offset));
    slot.is_configured = true;
    ++operational_;
    if (superblock_) {
        if (superblock_->member_in(at) == nullptr) superblock_->members.push_back({.slot = static_cast<uint8_t>(at)});
        *superblock_->member_in(at) = {.uuid = slot.uuid,
                                       .data_offset = slot.data_offset,
                                       .data_size = slot.data_size,
                                       .state = MemberState::missing,
                                       .slot = static_cast<uint8_t>(at)};
        const std::vector<size_t> failed = co_await write_superblock();
        for (const size_t other : failed) spawn(lose(Hold(*this), other, Loss::failed));
    }
    start_process(at, 0);
    house_.registry().note_change(name_);
    co_return Result<void>{};
}

// Rebuilds ------------------------------------------------------------------------------------------------------------

void RaidArray::start_process(size_t target, uint64_t done_blocks, env::TimeNs delay) {
    const RaidOptions& options = house_.options();
    auto process = std::make_unique<Process>();
    process->target = target;
    process->rebuild = std::make_unique<Rebuild>(
        *device_, Rebuild::Options{.target = target,
                                   .window_bytes = uint64_t{options.process_window_size_kb} * 1024,
                                   .bytes_per_second_max = uint64_t{options.process_max_bandwidth_mb_sec} << 20,
                                   .done_blocks = done_blocks,
                                   .delay = delay});
    process_ = process.get();
    spawn(run_process(Hold(*this), std::move(process)));
}

Task<void> RaidArray::stop_process() {
    if (process_ == nullptr) co_return;
    process_->rebuild->stop();
    while (process_->is_running) co_await process_->ended.wait();
}

Task<void> RaidArray::run_process(Hold self, std::unique_ptr<Process> process) {
    WEFT_NOTICELOG("raid {}: rebuild of base bdev {} begins", log::quoted(name_),
                   log::quoted(slots_[process->target].name.value_or("")));
    const Rebuild::Outcome outcome = co_await process->rebuild->run();
    process->is_running = false;
    process->ended.wake_all();
    std::optional<AsyncMutex::Guard> guard(co_await busy_.lock());
    if (process_ != process.get()) co_return;
    if (state_ != RaidState::online || is_deleting_ || outcome == Rebuild::Outcome::stopped) {
        process_ = nullptr;  // who stopped it, or closes the raid later, shall not find what is gone
        co_return;
    }
    switch (outcome) {
        case Rebuild::Outcome::finished:
            if (co_await finish_process()) co_return;
            WEFT_WARNLOG("raid {}: base bdev {} is filled, and counts when the superblock of another can be written",
                         log::quoted(name_), log::quoted(slots_[process->target].name.value_or("")));
            co_return start_process(process->target, process->rebuild->done_blocks(), tell_again_after);
        case Rebuild::Outcome::stopped:
        case Rebuild::Outcome::target_failed:
        case Rebuild::Outcome::source_failed: break;
    }
    const bool is_target = outcome == Rebuild::Outcome::target_failed;
    WEFT_ERRLOG("raid {}: the rebuild failed: {}", log::quoted(name_),
                is_target ? "its target cannot be written" : "what it needs cannot be read");
    process_ = nullptr;
    guard.reset();
    co_await lose(std::move(self), process->target, is_target ? Loss::failed : Loss::asked);
}

// The others are told first. If none of them can be, one of them alone would be the raid after a restart, without what
// was written meanwhile, however much the target knows: it is not whole as long as only it says so.
Task<bool> RaidArray::finish_process() {
    const size_t target = process_->target;
    if (superblock_) {
        MemberState& state = superblock_->member_in(target)->state;
        const MemberState before = std::exchange(state, MemberState::configured);
        const std::vector<size_t> failed = co_await write_superblock(target);
        if (failed.size() + 1 == discovered()) {
            state = before;
            slots_[target].may_be_whole = true;
            co_return false;
        }
        const bool is_written = co_await write_superblock_to(target, serialize(*superblock_));
        for (const size_t other : failed) spawn(lose(Hold(*this), other, Loss::failed));
        if (!is_written) {
            process_ = nullptr;
            spawn(lose(Hold(*this), target, Loss::failed));
            co_return true;
        }
    }
    slots_[target].may_be_whole = false;
    co_await device_->set_in_sync(target);
    process_ = nullptr;
    WEFT_NOTICELOG("raid {}: base bdev {} is rebuilt", log::quoted(name_),
                   log::quoted(slots_[target].name.value_or("")));
    house_.registry().note_change(name_);
    if (discovered() < slots_.size()) house_.look_for_members(*this);
    co_return true;
}

// Sizes ---------------------------------------------------------------------------------------------------------------

void RaidArray::on_base_resized(size_t index) {
    const Base* const changed = base(index);
    if (changed == nullptr) return;
    const uint64_t needed = slots_[index].data_offset + slots_[index].data_size;
    if (changed->device().block_count() < needed) {
        WEFT_ERRLOG("raid {}: base bdev {} shrank to {} blocks, {} are in use", log::quoted(name_),
                    log::quoted(changed->device().name()), changed->device().block_count(), needed);
    }
    // The others would have to move what they hold.
    if (level_ == RaidLevel::raid0 || level_ == RaidLevel::raid1) spawn(resize(Hold(*this)));
}

Task<void> RaidArray::resize(Hold /*self*/) {
    const AsyncMutex::Guard guard = co_await busy_.lock();
    if (state_ != RaidState::online || is_deleting_) co_return;
    uint64_t least = UINT64_MAX;
    for (size_t at = 0; at < slots_.size(); ++at) {
        if (!slots_[at].is_configured) continue;
        const uint64_t blocks = base(at)->device().block_count();
        least = std::min(least, blocks - std::min(blocks, slots_[at].data_offset));
    }
    const auto layout = RaidLayout::make(level_, block_bytes_, std::max(device_->layout().strip_blocks(), 1U),
                                         std::vector<uint64_t>(slots_.size(), least));
    if (!layout) {
        WEFT_ERRLOG("raid {}: it keeps its size: {}", log::quoted(name_), layout.error().message);
        co_return;
    }
    if (layout->block_count() == device_->block_count()) co_return;
    WEFT_NOTICELOG("raid {}: {} blocks become {}", log::quoted(name_), device_->block_count(), layout->block_count());
    for (size_t at = 0; at < slots_.size(); ++at) slots_[at].data_size = layout->data_blocks(at);
    if (superblock_) {
        superblock_->block_count = layout->block_count();
        for (RaidMember& member : superblock_->members) member.data_size = layout->data_blocks(member.slot);
        for (const size_t failed : co_await write_superblock()) spawn(lose(Hold(*this), failed, Loss::failed));
    }
    device_->resize(layout->block_count());
}

}  // namespace weft::bdev
