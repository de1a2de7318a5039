#include "sim/storm/stacks.h"

#include <fmt/format.h>

#include "bdev_modules/crypto/crypto_device.h"
#include "bdev_modules/delay/delay_device.h"
#include "bdev_modules/error/error_device.h"
#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/passthru/passthru_device.h"
#include "bdev_modules/split/split_device.h"
#include "reactor/reactor.h"
#include "sim/device_modules.h"
#include "sim/failure.h"

namespace weft::sim {

using test::expect;
using test::fail_simulation;

namespace {

constexpr const char* key_name = "storm";
constexpr TimeNs step = env::ns_per_ms;
constexpr uint32_t steps_max = 5000;
constexpr uint32_t adds_of_one = 20;  // then the same device is not tried again

template <class T>
bool worked(const Result<T>& result, std::string_view what) {
    return expect(result.has_value(), result ? "" : fmt::format("{}: {}", what, result.error().message));
}

Task<void> create_base(Storm& storm, size_t device, uint32_t base) {
    const DevicePlan& plan = storm.plan.devices[device];
    const uint64_t sectors = base_sectors(plan);
    const std::string name = base_name(device, base);
    const Uuid uuid = Uuid::from_names({"storm", name});
    if (!plan.is_file()) {
        bdev::MallocOptions options{.name = name, .block_bytes = plan.block_bytes, .uuid = uuid};
        options.block_count = sectors * sector_bytes / plan.block_bytes;
        options.is_concurrent = storm.plan.reactors > 1;
        options.pretouch = false;
        // Where this would not cut stripes.
        if (device % 2 == 1 && !plan.stack.has(Layer::raid5f)) options.optimal_boundary_blocks = 6;
        worked(co_await bdev::create_malloc_device(storm.rig.bdevs(), std::move(options)), "creating a RAM disk");
        co_return;
    }
    const std::string path = file_name(plan, device, base);
    {
        auto file = Reactor::current().environment().files().open(path, {.create = true});
        if (!worked(file, "making a file")) co_return;
        if ((*file)->size_bytes().value_or(0) == 0) worked((*file)->resize(sectors * sector_bytes), "sizing a file");
    }
    bdev::FileOptions options{.name = name, .filename = path, .block_bytes = plan.block_bytes, .uuid = uuid};
    options.direct = plan.kind == DeviceKind::direct_file;
    options.is_concurrent = storm.plan.reactors > 1;
    worked(co_await bdev::create_file_device(storm.rig.bdevs(), std::move(options)), "creating a file device");
}

Task<void> create_bases(Storm& storm, size_t device) {
    for (uint32_t base = 0; base < storm.plan.devices[device].stack.bases; ++base) {
        if (storm.rig.bdevs().find(base_name(device, base)) == nullptr) co_await create_base(storm, device, base);
    }
}

// One that lost its bases is there until it is deleted.
Task<void> create_raid(Storm& storm, size_t device) {
    const DevicePlan& plan = storm.plan.devices[device];
    bdev::Raids& raids = storm.rig.modules().raids;
    const std::string name = layer_name(plan.stack.has(Layer::raid0)   ? Layer::raid0
                                        : plan.stack.has(Layer::raid1) ? Layer::raid1
                                                                       : Layer::raid5f,
                                        device);
    if (const auto* left = raids.find(name); left != nullptr) {
        if (left->state() != bdev::RaidState::offline) co_return;
        worked(co_await raids.destroy(name, false), "deleting a raid");
    }
    bdev::RaidArray::Params params{.name = name, .uuid = Uuid::from_names({"storm", name})};
    params.level = plan.stack.has(Layer::raid0)   ? bdev::RaidLevel::raid0
                   : plan.stack.has(Layer::raid1) ? bdev::RaidLevel::raid1
                                                  : bdev::RaidLevel::raid5f;
    params.strip_kb = plan.stack.strip_kb;
    params.has_superblock = has_superblock(plan);
    for (uint32_t side = 0; side < plan.stack.bases; ++side) params.bases.push_back(side_name(plan, device, side));
    worked(co_await raids.create(std::move(params)), "creating a raid");
}

// All layers on one base.
Task<void> ask_for_layers(Storm& storm, size_t device) {
    const DevicePlan& plan = storm.plan.devices[device];
    test::DeviceModules& modules = storm.rig.modules();
    std::string below = base_name(device, 0);
    for (const Layer layer : plan.stack.layers) {
        std::string name = layer_name(layer, device);
        switch (layer) {
            case Layer::passthru:
                worked(create_passthru_device(modules.awaited, {.name = name, .base = below}), "creating a passthru");
                break;
            case Layer::delay:
                worked(create_delay_device(modules.awaited,
                                           {.name = name, .base = below, .latency_us = {20, 200, 30, 900}}),
                       "creating a delay");
                break;
            case Layer::error: {
                const uint32_t sides = plan.stack.is_error_below() ? plan.stack.bases : 1;
                for (uint32_t side = 0; side < sides; ++side) {
                    const std::string base = sides == 1 ? below : base_name(device, side);
                    worked(create_error_device(modules.awaited, {.base = base}), "creating an error device");
                }
                name = "EE_" + below;
                break;
            }
            case Layer::split:
                worked(create_split_devices(modules.awaited, {.base = below, .count = 3}), "splitting");
                name = below + "p1";
                break;
            case Layer::crypto:
                worked(create_crypto_device(modules.awaited, modules.accel,
                                            {.name = name, .base_name = below, .key_name = key_name}),
                       "creating a crypto device");
                break;
            case Layer::raid0:
            case Layer::raid1:
            case Layer::raid5f:
                // It may be there, by its superblocks.
                co_await storm.rig.bdevs().wait_for_examine();
                if (modules.raids.find(name) == nullptr) co_await create_raid(storm, device);
                break;
        }
        below = std::move(name);
    }
}

Task<void> wait_for_top(Storm& storm, size_t device) {
    const std::string name = top_name(storm.plan.devices[device], device);
    for (uint32_t left = steps_max; storm.rig.bdevs().find(name) == nullptr; --left) {
        if (left == 0) co_return fail_simulation(fmt::format("{} does not come, and its bases are there", name));
        co_await sleep_for(step);
    }
}

}  // namespace

void set_disk_errors(Storm& storm, size_t device, bool are_on) {
    const DevicePlan& plan = storm.plan.devices[device];
    if (!plan.is_file()) return;
    for (uint32_t base = 0; base < plan.stack.bases; ++base) {
        FileFaults& faults = storm.rig.world().file_faults("target", file_name(plan, device, base));
        const bool now = are_on && !storm.is_healing;
        faults.read_error = now ? storm.plan.file_faults.read_error : 0;
        faults.write_error = now ? storm.plan.file_faults.write_error : 0;
        faults.sync_error = now ? storm.plan.file_faults.sync_error : 0;
    }
}

Task<void> build_stacks(Storm& storm) {
    test::DeviceModules& modules = storm.rig.modules();
    const auto digits = [](std::string_view text) { return std::move(*accel::secret_of_hex(text)); };
    worked(modules.accel.keys().add(modules.accel.module_of(accel::Op::encrypt),
                                    {.name = key_name,
                                     .key = digits("27182818284590452353602874713526"),
                                     .key2 = digits("31415926535897932384626433832795")}),
           "making a key");
    for (size_t device = 0; device < storm.plan.devices.size(); ++device) {
        const DevicePlan& plan = storm.plan.devices[device];
        if (plan.stack.layers.empty()) continue;
        // Who finds no superblock waits for an administrator: reading those is no part of what fails here.
        set_disk_errors(storm, device, false);
        // Not those with a superblock: whether they are there is known when their bases are.
        const bool wishes_first = plan.stack.wishes_first && !has_superblock(plan);
        if (wishes_first) co_await ask_for_layers(storm, device);
        co_await create_bases(storm, device);
        if (!wishes_first) co_await ask_for_layers(storm, device);
        co_await wait_for_top(storm, device);
        set_disk_errors(storm, device, true);
        for (const Layer layer : plan.stack.layers) storm.reached(fmt::format("a namespace on {}", name_of(layer)));
    }
}

Task<void> restore_stack(Storm& storm, size_t device) {
    const DevicePlan& plan = storm.plan.devices[device];
    set_disk_errors(storm, device, false);
    co_await create_bases(storm, device);
    if (plan.stack.is_raid()) {
        co_await storm.rig.bdevs().wait_for_examine();
        co_await create_raid(storm, device);
    }
    co_await wait_for_top(storm, device);
    set_disk_errors(storm, device, true);
}

bdev::RaidDevice* raid_of(Storm& storm, size_t device) {
    for (const Layer layer : {Layer::raid0, Layer::raid1, Layer::raid5f}) {
        if (!storm.plan.devices[device].stack.has(layer)) continue;
        return static_cast<bdev::RaidDevice*>(storm.rig.bdevs().find(layer_name(layer, device)));
    }
    return nullptr;
}

namespace {

// The place that a device has in the raid; nothing when it has none.
std::optional<size_t> place_of(Storm& storm, const bdev::RaidDevice& raid, const std::string& name) {
    const bdev::Device* side = storm.rig.bdevs().find(name);
    for (size_t at = 0; side != nullptr && at < raid.base_count(); ++at) {
        if (raid.base(at) != nullptr && &raid.base(at)->device() == side) return at;
    }
    return std::nullopt;
}

}  // namespace

bool has_failed_sync(Storm& storm, size_t device, std::optional<uint32_t> besides) {
    const DevicePlan& plan = storm.plan.devices[device];
    for (uint32_t base = 0; plan.is_file() && base < plan.stack.bases; ++base) {
        const auto* file = static_cast<bdev::FileDevice*>(storm.rig.bdevs().find(base_name(device, base)));
        if (besides != base && file != nullptr && file->has_flush_failed()) return true;
    }
    return false;
}

// A side whose file did not sync is a failed one: it can neither stand alone nor say so.
bool can_lose(Storm& storm, size_t device, uint32_t side) {
    const bdev::RaidDevice* raid = raid_of(storm, device);
    if (raid == nullptr) return false;
    if (has_failed_sync(storm, device, side)) return false;
    const auto place = place_of(storm, *raid, side_name(storm.plan.devices[device], device, side));
    const bool is_in_sync = place && raid->mode(*place) == bdev::BaseMode::in_sync;
    const size_t left = raid->count_of(bdev::BaseMode::in_sync) - (is_in_sync ? 1 : 0);
    return left >= bdev::operational_min(raid->layout().level(), raid->base_count());
}

// A rebuild may be running, or the raid may be writing superblocks: then it is asked again.
Task<void> restore_sides(Storm& storm, size_t device, bool is_patient) {
    const DevicePlan& plan = storm.plan.devices[device];
    const auto raid_name = layer_name(plan.stack.has(Layer::raid1) ? Layer::raid1 : Layer::raid5f, device);
    std::vector<uint32_t> added(plan.stack.bases);
    for (uint32_t left = steps_max; left > 0; --left) {
        const bdev::RaidDevice* raid = raid_of(storm, device);
        if (raid == nullptr) co_return;  // what is missing now is not a side
        bool all_there = true;
        for (uint32_t side = 0; side < plan.stack.bases; ++side) {
            const std::string name = side_name(plan, device, side);
            if (storm.rig.bdevs().find(base_name(device, side)) == nullptr) co_await create_base(storm, device, side);
            raid = raid_of(storm, device);
            if (raid == nullptr) co_return;
            if (place_of(storm, *raid, name)) continue;
            all_there = false;
            const bdev::Device* found = storm.rig.bdevs().find(name);
            if (found == nullptr || !found->claimed_by().empty()) continue;
            // Once a rebuild has failed for what the file remembers, only a new device helps.
            if (added[side] >= adds_of_one) {
                if (!is_patient) co_return;
                added[side] = 0;
                (void)co_await storm.rig.bdevs().remove(base_name(device, side));
                break;
            }
            if (!co_await storm.rig.modules().raids.add_base(raid_name, name)) continue;
            ++added[side];
            storm.reached("a side came back");
        }
        raid = raid_of(storm, device);
        if (raid == nullptr) co_return;
        const bool are_in_sync = raid->count_of(bdev::BaseMode::in_sync) == raid->base_count();
        if (are_in_sync) storm.reached(fmt::format("a side was rebuilt ({})", name_of(raid->layout().level())));
        if (are_in_sync || (all_there && !is_patient)) co_return;
        co_await sleep_for(step);
    }
    if (is_patient) fail_simulation(fmt::format("{} is not rebuilt, and nothing is in its way", raid_name));
}

Task<void> take_first_sides_out(Storm& storm) {
    for (size_t device = 0; device < storm.plan.devices.size(); ++device) {
        const DevicePlan& plan = storm.plan.devices[device];
        if (!plan.stack.has_redundancy()) continue;
        co_await restore_sides(storm, device, true);
        worked(co_await storm.rig.modules().raids.remove_base(side_name(plan, device, 0)), "taking a side out");
    }
}

}  // namespace weft::sim
