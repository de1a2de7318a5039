// What a device's channels do with requests besides passing them on to the module, and the control path of it: ranges
// that are quiesced, limits of rates, time-outs, resets. A device has one for its life.
//
// Its state is copied into the gate of each channel (channel_gate.h) on that channel's thread: no request looks here.
// While anything is held or limited, lending and inline writes are closed, from before the first channel is told
// until after the last one was.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "bdev/gate/depth_sampler.h"
#include "bdev/gate/rate_limiter.h"
#include "bdev/request.h"
#include "bdev/spin_lock.h"
#include "reactor/task.h"

namespace weft::bdev {

class Channel;
class Device;

struct HeldRange {
    uint64_t lba = 0;
    uint64_t blocks = UINT64_MAX;  // as many as there are behind it
    [[nodiscard]] bool is_everything() const { return lba == 0 && blocks == UINT64_MAX; }
};

// What is held back.
enum class HeldOps : uint8_t { all, writes };

struct Hold {
    uint64_t id = 0;
    HeldRange range;
    HeldOps ops = HeldOps::all;
    // What has no range, a flush for one, is held only together with everything.
    [[nodiscard]] bool concerns(const Request& request) const;
    [[nodiscard]] bool overlaps(const HeldRange& other) const;
};

// For requests that the module has for too long.
struct IoTimeout {
    enum class Action : uint8_t {
        abort,  // asks the module to end it early
        reset,  // resets the device (DeviceGate::reset)
    };
    env::TimeNs after = 0;  // 0: never
    Action action = Action::abort;
    env::TimeNs drain_for = env::ns_per_s;  // reset: how long what is under way may take
    bool operator==(const IoTimeout&) const = default;
};

// A channel's copy.
struct GateState {
    RateLimiter* limiter = nullptr;  // nullptr: no limits
    uint64_t limits_version = 0;     // another one: reserve again
    IoTimeout timeout;
    // Those who find no place wait for one.
    static constexpr size_t holds_max = 16;
    std::array<Hold, holds_max> hold_places;
    size_t hold_count = 0;
    [[nodiscard]] std::span<const Hold> holds() const { return std::span(hold_places).first(hold_count); }
    [[nodiscard]] bool closes_inline() const { return limiter != nullptr || hold_count > 0; }
    [[nodiscard]] bool is_needed() const { return closes_inline() || timeout.after != 0; }
};

class DeviceGate {
public:
    explicit DeviceGate(Device& device) : device_(device) {}
    DeviceGate(const DeviceGate&) = delete;
    DeviceGate& operator=(const DeviceGate&) = delete;
    ~DeviceGate();

    // Lets a channel know how things are. On the channel's thread.
    void tell(Channel& channel);

    // All of the following on the app thread; who calls them keeps the device from going, by a descriptor or a channel.

    // Lets nothing begin in `range` from now on, and returns when nothing is under way there any more. Waits for others
    // who have quiesced some of it. release() with the number that it gives ends it; meanwhile requests are pending,
    // and begin in their order afterwards.
    Task<uint64_t> quiesce(HeldRange range, HeldOps ops = HeldOps::all);
    Task<void> release(uint64_t hold);

    // Lets nothing begin, waits for what is under way for `drain_for` at most, lets the module reset() and goes on.
    // Errors: busy when it is being reset; the module's.
    Task<Result<void>> reset(env::TimeNs drain_for);

    // Requests wait for their turn; those that wait already by the new limits. All 0: no limits.
    Task<void> set_rate_limits(RateLimits limits);
    [[nodiscard]] const RateLimits& rate_limits() const { return rate_limits_; }

    [[nodiscard]] DepthSampler& depth_sampler() { return depth_sampler_; }

    // What is pending is subject to it from its start, or from now on when there was none.
    Task<void> set_io_timeout(IoTimeout timeout);

    // For whoever is on another thread. Nothing happens when the device belongs to no thread (in tests).
    Task<void> go_home();

private:
    Task<uint64_t> hold(HeldRange range, HeldOps ops, bool waits_for_others);
    Task<bool> drain(uint64_t hold, env::TimeNs deadline);
    Task<void> publish();

    Device& device_;
    SpinLock lock_;  // channels come on many threads; never taken per I/O
    GateState state_;  // changed on the app thread, under the lock
    RateLimiter limiter_;
    RateLimits rate_limits_;
    uint64_t last_hold_ = 0;
    bool is_resetting_ = false;
    WaitList released_;
    DepthSampler depth_sampler_;
};

}  // namespace weft::bdev
