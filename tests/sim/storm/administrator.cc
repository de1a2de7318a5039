#include "sim/storm/administrator.h"

#include <fmt/format.h>

#include "bdev/gate/device_gate.h"
#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "nvmf/subsystem.h"
#include "reactor/reactor.h"
#include "sim/failure.h"
#include "sim/storm/stacks.h"

namespace weft::sim {

using test::expect;

namespace {

// Of the one after the last, which is the intruders', too.
std::string device_name(const Storm& storm, size_t device) {
    return top_name(device < storm.plan.devices.size() ? storm.plan.devices[device] : DevicePlan(), device);
}
constexpr uint64_t intruder_sectors = 1024;

template <class T>
bool worked(const Result<T>& result, std::string_view what) {
    return expect(result.has_value(), result ? "" : fmt::format("{}: {}", what, result.error().message));
}

Task<void> create_ram_disk(Storm& storm, size_t device, uint32_t block_bytes, uint64_t sectors) {
    bdev::MallocOptions options;
    options.name = device_name(storm, device);
    options.block_bytes = block_bytes;
    options.block_count = sectors * sector_bytes / block_bytes;
    options.is_concurrent = storm.plan.reactors > 1;
    options.pretouch = false;
    // Every other one has its I/O cut.
    options.optimal_boundary_blocks = device % 2 == 0 ? 0 : 6;
    worked(co_await bdev::create_malloc_device(storm.rig.bdevs(), std::move(options)), "creating a RAM disk");
}

Task<void> create_file_disk(Storm& storm, size_t device) {
    const DevicePlan& plan = storm.plan.devices[device];
    const std::string path = file_name(plan, device, 0);
    {
        auto file = Reactor::current().environment().files().open(path, {.create = true});
        if (!worked(file, "making a file")) co_return;
        if ((*file)->size_bytes().value_or(0) == 0)
            worked((*file)->resize(plan.sectors * sector_bytes), "sizing a file");
    }
    bdev::FileOptions options;
    options.name = device_name(storm, device);
    options.filename = path;
    options.block_bytes = plan.block_bytes;
    options.direct = plan.kind == DeviceKind::direct_file;
    options.is_concurrent = storm.plan.reactors > 1;
    worked(co_await bdev::create_file_device(storm.rig.bdevs(), std::move(options)), "creating a file device");
}

Task<nvmf::Subsystem*> create_subsystem(Storm& storm, std::string nqn) {
    nvmf::Target& target = storm.rig.target();
    auto made = co_await target.create_subsystem({.nqn = std::move(nqn)});
    if (!worked(made, "creating a subsystem")) co_return nullptr;
    auto address = nvmf::normalise("tcp", "", storm.rig.target_address().host, std::to_string(test::Rig::port));
    worked(co_await (*made)->add_listener(*address, *target.find_transport("tcp")), "adding a listener");
    co_return *made;
}

}  // namespace

Task<void> set_up_target(Storm& storm) {
    nvmf::Target& target = storm.rig.target();
    worked(co_await target.create_transport(storm.plan.transport), "creating the transport");
    nvmf::Subsystem* subsystem = co_await create_subsystem(storm, Storm::subsystem_nqn);
    if (subsystem == nullptr) co_return;
    if (storm.has(Part::stacks)) co_await build_stacks(storm);
    for (size_t at = 0; at < storm.plan.devices.size(); ++at) {
        const DevicePlan& plan = storm.plan.devices[at];
        if (!plan.stack.layers.empty()) {
            // It stands.
        } else if (plan.is_file()) {
            co_await create_file_disk(storm, at);
        } else {
            co_await create_ram_disk(storm, at, plan.block_bytes, plan.sectors);
        }
        worked(co_await subsystem->add_namespace(
                   {.bdev_name = device_name(storm, at), .nsid = static_cast<uint32_t>(at + 1)}),
               "adding a namespace");
    }
    for (size_t host = 0; host < storm.plan.hosts.size(); ++host) {
        worked(co_await subsystem->add_host(Storm::hostnqn(host)), "allowing a host");
    }
    nvmf::Subsystem* other = co_await create_subsystem(storm, Storm::intruder_nqn);
    if (other == nullptr) co_return;
    const size_t device = storm.plan.devices.size();
    co_await create_ram_disk(storm, device, sector_bytes, intruder_sectors);
    worked(co_await other->add_namespace({.bdev_name = device_name(storm, device), .nsid = 1}), "adding a namespace");
    worked(co_await other->add_host("nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-0000000000ff"),
           "allowing a host");
    storm.is_target_up = true;
    ++storm.target_runs;
}

void Administrator::start() {
    const CurrentThread scope(&storm_.rig.target_runtime().app_thread());
    if (storm_.has(Part::administrator)) {
        ++runs_;
        spawn(change());
    }
    if (storm_.has(Part::moves) && storm_.plan.reactors > 1) {
        ++runs_;
        spawn(move_groups());
    }
}

Task<void> Administrator::move_groups() {
    Placement& placement = storm_.rig.target_runtime().placement();
    Pace pace(storm_, 40);
    while (!storm_.is_healing) {
        co_await sleep_for(pace.rest(prng_.between(50, 2000) * env::ns_per_us));
        const auto places = co_await placement.look();
        if (places.empty()) continue;
        const auto& place = places[prng_.below(places.size())];
        worked(co_await placement.move(place.thread_id, prng_.below(storm_.plan.reactors)), "moving a thread");
    }
    --runs_;
}

Task<void> Administrator::change() {
    Pace pace(storm_, 60);
    while (!storm_.is_healing) {
        co_await sleep_for(pace.rest(prng_.between(200, 5000) * env::ns_per_us));
        nvmf::Subsystem* subsystem = storm_.rig.target().find_subsystem(Storm::subsystem_nqn);
        co_await storm_.begin_change();
        switch (prng_.below(11)) {
            case 0:
            case 1: co_await change_subsystem(); break;
            case 2: co_await change_host(*subsystem); break;
            case 3: co_await change_listener(*subsystem); break;
            case 4:
            case 5:
            case 6: co_await change_device(); break;
            default: co_await change_namespace(*subsystem); break;
        }
        storm_.end_change();
    }
    --runs_;
}

// Limits come and go, and ranges are held for a while: requests wait, and nothing else is to be seen of it.
Task<void> Administrator::change_device() {
    bdev::Device* device = storm_.rig.bdevs().find(device_name(storm_, prng_.below(storm_.plan.devices.size())));
    if (!expect(device != nullptr, "a device is missing")) co_return;
    bdev::DeviceGate& gate = device->gate();
    if (prng_.coin()) {
        co_await gate.set_rate_limits({.operations = prng_.coin() ? 1000 * prng_.between(1, 40) : 0,
                                       .bytes = prng_.coin() ? prng_.between(1, 64) << 20 : 0,
                                       .read_bytes = prng_.coin() ? prng_.between(1, 64) << 20 : 0,
                                       .written_bytes = prng_.coin() ? prng_.between(1, 64) << 20 : 0});
        co_await sleep_for(prng_.between(1, 20'000) * env::ns_per_us);
        co_await gate.set_rate_limits({});
        storm_.reached("a device had limits under load");
        co_return;
    }
    const uint64_t first = prng_.below(device->block_count());
    const bool is_everything = prng_.coin();
    const uint64_t hold = co_await gate.quiesce(
        is_everything ? bdev::HeldRange() : bdev::HeldRange{first, 1 + prng_.below(device->block_count() - first)},
        prng_.coin() ? bdev::HeldOps::all : bdev::HeldOps::writes);
    co_await sleep_for(prng_.between(1, 3000) * env::ns_per_us);
    co_await gate.release(hold);
    storm_.reached("a device was quiesced under load");
}

// Away and back, under load.
Task<void> Administrator::change_namespace(nvmf::Subsystem& subsystem) {
    const auto nsid = static_cast<uint32_t>(1 + prng_.below(storm_.plan.devices.size()));
    worked(co_await subsystem.remove_namespace(nsid), "removing a namespace");
    if (prng_.coin()) co_await sleep_for(prng_.between(1, 2000) * env::ns_per_us);
    worked(co_await subsystem.add_namespace({.bdev_name = device_name(storm_, nsid - 1), .nsid = nsid}),
           "adding a namespace");
    storm_.reached("a namespace was replaced under load");
}

Task<void> Administrator::change_host(nvmf::Subsystem& subsystem) {
    const std::string host = Storm::hostnqn(prng_.below(storm_.plan.hosts.size()));
    worked(co_await subsystem.remove_host(host), "removing a host");
    co_await sleep_for(prng_.between(1, 2000) * env::ns_per_us);
    worked(co_await subsystem.add_host(host), "allowing a host");
}

Task<void> Administrator::change_listener(nvmf::Subsystem& subsystem) {
    auto address = nvmf::normalise("tcp", "", storm_.rig.target_address().host, std::to_string(test::Rig::port));
    worked(co_await subsystem.remove_listener(*address), "removing a listener");
    co_await sleep_for(prng_.between(1, 2000) * env::ns_per_us);
    worked(co_await subsystem.add_listener(*address, *storm_.rig.target().find_transport("tcp")), "adding a listener");
}

// Another one, with a namespace whose device goes first.
Task<void> Administrator::change_subsystem() {
    nvmf::Target& target = storm_.rig.target();
    const std::string nqn = "nqn.2016-06.io.spdk:cnode3";
    nvmf::Subsystem* subsystem = co_await create_subsystem(storm_, nqn);
    if (subsystem == nullptr) co_return;
    worked(bdev::create_null_device(storm_.rig.bdevs(), {.name = "Null0", .block_count = 1000}),
           "creating a null device");
    worked(co_await subsystem->add_namespace({.bdev_name = "Null0"}), "adding a namespace");
    co_await sleep_for(prng_.between(1, 500) * env::ns_per_us);
    const bool device_first = prng_.coin();
    if (device_first) worked(co_await storm_.rig.bdevs().remove("Null0"), "removing a device");
    worked(co_await target.delete_subsystem(nqn), "deleting a subsystem");
    if (!device_first) worked(co_await storm_.rig.bdevs().remove("Null0"), "removing a device");
}

}  // namespace weft::sim
