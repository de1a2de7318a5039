#include "bdev/gate/device_gate.h"

#include <algorithm>

#include "bdev/device.h"
#include "bdev/gate/channel_gate.h"
#include "reactor/reactor.h"

namespace weft::bdev {

namespace {

bool is_write(Op op) {
    switch (op) {
        case Op::read:
        case Op::flush:
        case Op::compare:
        case Op::verify: return false;
        default: return true;
    }
}

uint64_t end_of(const HeldRange& range) {
    return range.blocks > UINT64_MAX - range.lba ? UINT64_MAX : range.lba + range.blocks;
}

}  // namespace

bool Hold::overlaps(const HeldRange& other) const { return range.lba < end_of(other) && other.lba < end_of(range); }

bool Hold::concerns(const Request& request) const {
    if (ops == HeldOps::writes && !is_write(request.op)) return false;
    if (range.is_everything()) return true;
    if (request.op == Op::flush) return false;
    if (request.op == Op::zone_management) return true;  // as long as its zone
    if (request.op == Op::copy && ops == HeldOps::all && overlaps({request.source_lba, request.blocks})) return true;
    if (request.op == Op::zone_append) return overlaps({request.lba, UINT64_MAX});  // somewhere behind
    return overlaps({request.lba, request.blocks});
}

DeviceGate::~DeviceGate() { WEFT_ASSERT(state_.hold_count == 0 && released_.empty()); }

Task<void> DeviceGate::go_home() {
    if (device_.home_ != nullptr) co_await resume_on(*device_.home_);
}

void DeviceGate::tell(Channel& channel) {
    GateState state;
    {
        const SpinLock::Hold locked(lock_);
        state = state_;
    }
    if (!state.is_needed() && !device_.geometry().has_limits() && channel.own_gate_ == nullptr) return;
    channel.gate().follow(state);
}

// Channels that come meanwhile were told when they came. What was just changed may have been changed again since: each
// gets the latest.
Task<void> DeviceGate::publish() {
    if (state_.closes_inline()) device_.is_inline_closed_.store(true, std::memory_order_release);
    co_await for_each_channel<Channel>(device_, [this](Channel& channel) { tell(channel); });
    if (!state_.closes_inline()) device_.is_inline_closed_.store(false, std::memory_order_release);
}

Task<uint64_t> DeviceGate::hold(HeldRange range, HeldOps ops, bool waits_for_others) {
    const auto is_taken = [&] {
        return std::ranges::any_of(state_.holds(), [&](const Hold& other) { return other.overlaps(range); });
    };
    // A place is left for those who do not wait for others.
    while (waits_for_others && (state_.hold_count + 1 >= GateState::holds_max || is_taken())) {
        co_await released_.wait();
    }
    const uint64_t id = ++last_hold_;
    {
        const SpinLock::Hold locked(lock_);
        state_.hold_places[state_.hold_count++] = {.id = id, .range = range, .ops = ops};
    }
    co_await publish();
    co_return id;
}

// False: something is under way still.
Task<bool> DeviceGate::drain(uint64_t hold, env::TimeNs deadline) {
    const auto holds = state_.holds();
    const auto found = std::ranges::find(holds, hold, &Hold::id);
    WEFT_ASSERT(found != holds.end());
    const Hold what = *found;
    Thread& home = Thread::current();
    bool is_drained = true;
    for (Thread* thread : device_.channel_threads()) {
        co_await resume_on(*thread);
        const auto channel = thread->channels().find(&device_);
        if (channel == thread->channels().end()) continue;
        const ChannelRef<Channel> kept(static_cast<Channel&>(*channel->second));
        is_drained = co_await kept->gate().drain(what, deadline) && is_drained;
    }
    co_await resume_on(home);
    co_return is_drained;
}

Task<uint64_t> DeviceGate::quiesce(HeldRange range, HeldOps ops) {
    const uint64_t id = co_await hold(range, ops, true);
    co_await drain(id, env::time_never);
    co_return id;
}

Task<void> DeviceGate::release(uint64_t hold) {
    {
        const SpinLock::Hold locked(lock_);
        const auto kept = std::remove_if(state_.hold_places.begin(), state_.hold_places.begin() + state_.hold_count,
                                         [hold](const Hold& one) { return one.id == hold; });
        WEFT_ASSERT(kept - state_.hold_places.begin() + 1 == static_cast<ptrdiff_t>(state_.hold_count));
        --state_.hold_count;
    }
    co_await publish();
    released_.wake_all();
}

Task<Result<void>> DeviceGate::reset(env::TimeNs drain_for) {
    if (is_resetting_) co_return fail(Errc::busy, "the device is being reset");
    is_resetting_ = true;
    // Not after others: what they wait for may be what does not answer.
    const uint64_t id = co_await hold({}, HeldOps::all, false);
    const env::TimeNs now = Reactor::current().now();
    co_await drain(id, drain_for > env::time_never - now ? env::time_never : now + drain_for);
    Result<void> outcome = co_await device_.reset();
    co_await release(id);
    is_resetting_ = false;
    co_return outcome;
}

Task<void> DeviceGate::set_rate_limits(RateLimits limits) {
    rate_limits_ = limits;
    limiter_.set(limits, Reactor::current().now());
    {
        const SpinLock::Hold locked(lock_);
        state_.limiter = limits.any() ? &limiter_ : nullptr;
        ++state_.limits_version;
    }
    co_await publish();
}

Task<void> DeviceGate::set_io_timeout(IoTimeout timeout) {
    {
        const SpinLock::Hold locked(lock_);
        state_.timeout = timeout;
    }
    co_await publish();
}

}  // namespace weft::bdev
