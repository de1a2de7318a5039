// Limits of what a host may do in a second, by all its controllers and queues of a subsystem together: the numbers on
// the app thread, a lane on each poll group, a pointer to it in each queue pair.
#include <fmt/format.h>

#include "base/log.h"
#include "nvmf/config_keys.h"
#include "nvmf/poll_group.h"
#include "nvmf/subsystem.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

// All queues of the host there have this lane, or none, from now on.
void give_lane(PollGroup& group, const SubsystemView& view, std::string_view hostnqn, HostLane* lane) {
    for (Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (at->subsystem == &view && !at->is_admin() && at->hostnqn == hostnqn) at->lane = lane;
    }
}

}  // namespace

bdev::RateLimits Subsystem::limits_of(std::string_view hostnqn) const {
    const auto at = host_limits_.find(hostnqn);
    return at == host_limits_.end() ? bdev::RateLimits{} : at->second->rates;
}

// Within a change. Commands that wait go on by the new limits.
Task<void> Subsystem::apply_limits(std::string hostnqn, bdev::RateLimits limits) {
    if (limits == limits_of(hostnqn)) co_return;
    auto& kept = host_limits_[hostnqn];
    if (kept == nullptr) kept = std::make_unique<HostLimits>();
    kept->rates = limits;
    kept->limiter.set(limits, Reactor::current().now());
    bdev::RateLimiter& limiter = kept->limiter;
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        SubsystemView& view = *group->subsystem(identity_.id);
        auto& lane = view.host_lanes[hostnqn];
        if (limits.any()) {
            if (lane == nullptr) lane = std::make_unique<HostLane>(group->thread(), limiter);
            lane->follow();
            give_lane(*group, view, hostnqn, lane.get());
            continue;
        }
        give_lane(*group, view, hostnqn, nullptr);
        if (lane != nullptr) lane->let_go();
        view.host_lanes.erase(hostnqn);
    }
    co_await resume_on(target_.thread());
    if (!limits.any()) host_limits_.erase(hostnqn);
}

Task<Result<void>> Subsystem::set_host_limits(std::string hostnqn, LimitChange change) {
    const auto guard = co_await begin_change();
    if (!guard) co_return fail(Errc::no_such_device, fmt::format("subsystem {} is being deleted", nqn()));
    if (!hosts_.contains(hostnqn)) {
        co_return fail(Errc::not_found, fmt::format("host {} is not in the list of {}", log::quoted(hostnqn), nqn()));
    }
    co_await apply_limits(hostnqn, change.applied_to(limits_of(hostnqn)));
    target_.config_changed(host_key(nqn(), hostnqn));
    co_return Result<void>{};
}

}  // namespace weft::nvmf
