#include "sim/storm/stack_administrator.h"

#include <fmt/format.h>

#include <algorithm>

#include "bdev_modules/delay/delay_device.h"
#include "bdev_modules/error/error_device.h"
#include "nvmf/subsystem.h"
#include "reactor/reactor.h"
#include "sim/device_modules.h"
#include "sim/failure.h"
#include "sim/storm/stacks.h"

namespace weft::sim {

using test::expect;
using test::fail_simulation;

void StackAdministrator::start() {
    if (!storm_.has(Part::stacks)) return;
    is_running_ = true;
    const CurrentThread scope(&storm_.rig.target_runtime().app_thread());
    spawn(run());
}

Task<void> StackAdministrator::run() {
    Pace pace(storm_, 80);
    while (!storm_.is_healing) {
        co_await sleep_for(pace.rest(prng_.between(200, 8000) * env::ns_per_us));
        const size_t device = prng_.below(storm_.plan.devices.size());
        if (storm_.plan.devices[device].stack.layers.empty()) continue;
        co_await storm_.begin_change();
        co_await trouble(device);
        storm_.end_change();
    }
    is_running_ = false;
}

Task<void> StackAdministrator::trouble(size_t device) {
    const StackPlan& stack = storm_.plan.devices[device].stack;
    const uint64_t what = prng_.below(10);
    if (what == 0) co_return co_await pull_out(device);
    if (stack.has(Layer::error) && what < 6) co_return co_await inject(device);
    if (stack.has(Layer::raid1) && storm_.plan.devices[device].is_file() && storm_.has(Part::disk_errors) &&
        what % 2 == 0) {
        co_return co_await break_side(device);
    }
    if (stack.has_redundancy()) co_return co_await lose_side(device);
    if (stack.has(Layer::delay)) co_return change_latency(device);
}

void StackAdministrator::change_latency(size_t device) {
    auto* delay = static_cast<bdev::DelayDevice*>(storm_.rig.bdevs().find(layer_name(Layer::delay, device)));
    if (!expect(delay != nullptr, "a delay device is missing")) return;
    const auto kind = static_cast<bdev::LatencyKind>(prng_.below(bdev::latency_kinds));
    expect(update_latency(storm_.rig.modules().awaited, *delay, kind, prng_.below(4) == 0 ? 0 : prng_.below(3000))
               .has_value(),
           "a latency is refused");
    storm_.reached("a latency was changed under load");
}

// Sides come back. Two can have gone together: one failed while the other was being taken. Then the raid is made anew.
Task<void> StackAdministrator::restore(size_t device) {
    co_await restore_sides(storm_, device, false);
    if (raid_of(storm_, device) != nullptr) co_return;
    co_await pull_out(device);
    storm_.reached("two sides went together");
}

// Files that did not sync stay so until they are opened anew.
Task<void> StackAdministrator::repair() {
    for (size_t device = 0; device < storm_.plan.devices.size(); ++device) {
        if (!storm_.plan.devices[device].stack.has_redundancy()) continue;
        if (raid_of(storm_, device) == nullptr || has_failed_sync(storm_, device)) co_await pull_out(device);
    }
}

// On one side of a mirror whose other sides are whole: no host sees any of it, and the side may have to go. Else as
// many commands may fail as there are errors.
Task<void> StackAdministrator::inject(size_t device) {
    const DevicePlan& plan = storm_.plan.devices[device];
    const bool is_below = plan.stack.is_error_below();
    const auto side = static_cast<uint32_t>(is_below ? prng_.below(plan.stack.bases) : 0);
    std::string name = side_name(plan, device, side);
    if (!is_below) {
        name = base_name(device, 0);
        for (const Layer layer : plan.stack.layers) {
            if (layer == Layer::error) break;
            if (layer == Layer::split) {
                name += "p1";
            } else {
                name = layer_name(layer, device);
            }
        }
        name.insert(0, "EE_");
    }
    if (is_below && !can_lose(storm_, device, side)) co_return co_await restore(device);
    auto* error = static_cast<bdev::ErrorDevice*>(storm_.rig.bdevs().find(name));
    if (error == nullptr) co_return;  // its base is being pulled out
    const bdev::Op op = std::array{bdev::Op::read, bdev::Op::write, bdev::Op::unmap, bdev::Op::flush}[prng_.below(4)];
    const bool is_read = op == bdev::Op::read;
    bdev::Injection injection{.status = is_read ? bdev::Status::read_error : bdev::Status::write_error};
    injection.count = static_cast<uint32_t>(prng_.between(1, 3));
    const uint64_t kind = prng_.below(4);
    injection.kind = kind == 0   ? bdev::ErrorKind::pending
                     : kind == 1 ? bdev::ErrorKind::nomem
                                 : bdev::ErrorKind::failure;
    if (injection.kind == bdev::ErrorKind::failure && !is_below) storm_.stacks[device].injected += injection.count;
    error->slot(op)->set(injection);
    co_await sleep_for(prng_.between(100, 5000) * env::ns_per_us);
    error = static_cast<bdev::ErrorDevice*>(storm_.rig.bdevs().find(name));
    if (error != nullptr) {
        error->slot(op)->clear();
        co_await error->resume_pending();
    }
    storm_.reached(is_below ? "errors below a mirror" : "errors were injected");
    if (is_below) co_await restore(device);
}

// The file of one side fails many writes, each of which is done in part, until the side is out. The others are slow, so
// that this takes a while: what the side has is wrong, and it is still one. No host sees any of it.
Task<void> StackAdministrator::break_side(size_t device) {
    const DevicePlan& plan = storm_.plan.devices[device];
    const auto side = static_cast<uint32_t>(prng_.below(plan.stack.bases));
    const TimeNs time = prng_.between(200, 3000) * env::ns_per_us;
    if (!can_lose(storm_, device, side)) co_return co_await restore(device);
    const auto faults_of = [&](uint32_t of) -> FileFaults& {
        return storm_.rig.world().file_faults("target", file_name(plan, device, of));
    };
    set_disk_errors(storm_, device, false);
    for (uint32_t at = 0; at < plan.stack.bases; ++at) faults_of(at).delay = at == side ? 0 : time;
    faults_of(side).write_error = 0.3;
    co_await sleep_for(2 * time);
    for (uint32_t at = 0; at < plan.stack.bases; ++at) faults_of(at).delay = 0;
    set_disk_errors(storm_, device, false);
    storm_.reached("a side failed writes under load");
    co_await restore(device);
    set_disk_errors(storm_, device, true);
}

// By request or pulled out, and back.
Task<void> StackAdministrator::lose_side(size_t device) {
    const DevicePlan& plan = storm_.plan.devices[device];
    const auto side = static_cast<uint32_t>(prng_.below(plan.stack.bases));
    const bool is_pulled = prng_.coin();
    const TimeNs rest = prng_.between(1, 3000) * env::ns_per_us;
    if (!can_lose(storm_, device, side)) co_return co_await restore(device);
    set_disk_errors(storm_, device, false);
    if (is_pulled) {
        if (plan.is_file()) storm_.models[device]->reopened(storm_.has(Part::failed_syncs));
        (void)co_await storm_.rig.bdevs().remove(base_name(device, side));
        storm_.reached("a side was pulled out under load");
    } else {
        (void)co_await storm_.rig.modules().raids.remove_base(side_name(plan, device, side));
        storm_.reached("a side was taken out under load");
    }
    co_await sleep_for(rest);
    co_await restore(device);
    set_disk_errors(storm_, device, true);
}

// All bases: more than any stack promises to bear. Hosts get errors until it is there again; what was in memory is
// lost.
Task<void> StackAdministrator::pull_out(size_t device) {
    const DevicePlan& plan = storm_.plan.devices[device];
    storm_.stacks[device].was_pulled_out = true;
    nvmf::Subsystem* subsystem = storm_.rig.target().find_subsystem(Storm::subsystem_nqn);
    const auto nsid = static_cast<uint32_t>(device + 1);
    const auto first = static_cast<uint32_t>(prng_.below(plan.stack.bases));
    const TimeNs rest = prng_.between(1, 2000) * env::ns_per_us;
    set_disk_errors(storm_, device, false);
    for (uint32_t at = 0; at < plan.stack.bases; ++at) {
        const std::string base = base_name(device, (first + at) % plan.stack.bases);
        if (storm_.rig.bdevs().find(base) == nullptr) continue;
        if (auto removed = co_await storm_.rig.bdevs().remove(base); !removed) fail_simulation(removed.error().message);
    }
    for (uint32_t left = 5000; subsystem->namespaces().contains(nsid); --left) {
        if (left == 0) co_return fail_simulation("all bases have gone, and the namespace is there");
        co_await sleep_for(env::ns_per_ms);
    }
    if (plan.is_file()) {
        storm_.models[device]->reopened(storm_.has(Part::failed_syncs));
    } else {
        storm_.models[device]->emptied();
    }
    co_await sleep_for(rest);
    co_await restore_stack(storm_, device);
    const auto added = co_await subsystem->add_namespace({.bdev_name = top_name(plan, device), .nsid = nsid});
    if (!added) fail_simulation("adding a namespace again: " + added.error().message);
    storm_.reached("all bases were pulled out under load");
}

}  // namespace weft::sim
