#include "sim/storm/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/storm/stamp.h"

namespace weft::sim {

namespace {

constexpr auto part_names = std::to_array<std::string_view>(
    {"hosts",           "queues",         "reactors",     "files",           "digests",
     "segments",        "narrow_windows", "slow_network", "resets",          "cuts",
     "silences",        "refusals",       "bit_flips",    "slow_disks",      "disk_errors",
     "short_transfers", "full_disks",     "failed_syncs", "kills",           "power_losses",
     "moves",           "stalls",         "few_buffers",  "few_descriptors", "aborts",
     "reconnects",      "clearing",       "compares",     "intruders",       "administrator",
     "stacks"});

using Parts = std::bitset<part_count>;
constexpr uint32_t commands_at_once_max = 120;  // of all queues together

// One seed in four has a fair day; the others have some of all troubles.
Parts choose_parts(Prng& prng) {
    Parts parts;
    const uint64_t share = std::array<uint64_t, 4>{10, 20, 40, 65}[prng.below(4)];
    // But for the last, which has a choice of its own: choose_stacks().
    for (size_t at = 0; at + 1 < part_count; ++at) parts[at] = prng.below(100) < share;
    const bool is_fair = prng.below(4) == 0;
    for (const Part part : {Part::hosts, Part::queues, Part::reactors, Part::digests, Part::segments, Part::clearing}) {
        if (prng.below(3) == 0) parts[static_cast<size_t>(part)] = true;
    }
    if (is_fair) {
        for (const Part part :
             {Part::resets, Part::cuts, Part::silences, Part::refusals, Part::bit_flips, Part::disk_errors,
              Part::full_disks, Part::failed_syncs, Part::kills, Part::power_losses, Part::few_descriptors}) {
            parts[static_cast<size_t>(part)] = false;
        }
    }
    return parts;
}

nvmf::TransportOptions choose_transport(Prng& prng, bool few_buffers) {
    nvmf::TransportOptions options;
    options.in_capsule_data_size = std::array<uint32_t, 3>{0, 4096, 8192}[prng.below(3)];
    if (options.in_capsule_data_size == 0) options.in_capsule_data_size = 512;
    options.io_unit_size = std::array<uint32_t, 3>{8192, 16384, 32768}[prng.below(3)];
    options.max_io_size = std::min<uint32_t>(131072, options.io_unit_size * 16);
    options.max_queue_depth = static_cast<uint16_t>(std::array<uint32_t, 3>{16, 64, 128}[prng.below(3)]);
    // One command may need 16 of them.
    const auto buffers = static_cast<uint32_t>(prng.between(20, 28));
    options.num_shared_buffers = few_buffers ? buffers : 256;
    options.buf_cache_size = few_buffers ? 1 : 16;
    options.zero_copy_reads = prng.below(4) == 0;
    options.c2h_success = prng.below(4) != 0;
    options.handshake_timeout_ms = 3000;
    return options;
}

HostPlan choose_host(Prng& prng, const nvmf::TransportOptions& transport) {
    HostPlan host;
    host.queues = static_cast<uint32_t>(prng.between(2, 4));
    host.depth = static_cast<uint32_t>(prng.below(3) == 0 ? prng.between(1, 4) : prng.between(8, 40));
    host.depth = std::min<uint32_t>(host.depth, transport.max_queue_depth * 2U);  // more than fit wait in the host
    host.header_digest = prng.coin();
    host.data_digest = prng.below(3) == 0;
    host.flow_control = prng.coin();
    // Our own host announces no alignment with digests off or on alike: 0's based dwords.
    host.data_alignment = static_cast<uint8_t>(prng.below(4) == 0 ? prng.between(0, 31) : 0);
    host.write_percent = static_cast<uint32_t>(prng.between(20, 80));
    host.shared_percent = static_cast<uint32_t>(prng.between(0, 50));
    return host;
}

Incident choose_incident(Prng& prng, Incident::Kind kind, uint64_t commands) {
    Incident incident{.kind = kind, .after_commands = prng.below(commands), .choice = prng.next()};
    // Some silences outlast a keep-alive timer.
    incident.duration = prng.coin() ? prng.between(1, 200) * env::ns_per_ms : prng.between(1, 12) * env::ns_per_s;
    return incident;
}

void choose_network(Prng& prng, Plan& plan) {
    NetworkOptions& network = plan.world.network;
    network.segmentation = plan.has(Part::segments);
    network.latency = {.min = 5 * env::ns_per_us, .max = 40 * env::ns_per_us};
    const TimeNs slow = prng.between(1, 30) * env::ns_per_ms;
    if (plan.has(Part::slow_network)) network.latency.slow_probability = 0.01, network.latency.slow_max = slow;
    network.window_bytes_min = plan.has(Part::narrow_windows) ? 4096 : 65536;
    network.window_bytes_max = plan.has(Part::narrow_windows) ? 16384 : 262144;
    if (plan.has(Part::refusals)) network.refuse_probability = 0.2;
    if (plan.has(Part::bit_flips)) network.flip_probability = 0.002;
}

void choose_disk(Prng& prng, Plan& plan) {
    plan.world.disk.latency = {.min = 10 * env::ns_per_us, .max = 100 * env::ns_per_us};
    const TimeNs slow = prng.between(1, 50) * env::ns_per_ms;
    if (plan.has(Part::slow_disks))
        plan.world.disk.latency.slow_probability = 0.05, plan.world.disk.latency.slow_max = slow;
    FileFaults& faults = plan.file_faults;
    faults.short_unit_bytes = sector_bytes;
    if (plan.has(Part::disk_errors)) faults.read_error = faults.write_error = 0.02;
    if (plan.has(Part::short_transfers)) faults.short_transfer = 0.2;
    if (plan.has(Part::failed_syncs)) faults.sync_error = 0.1;
    const bool has_zero_range = prng.coin();
    const bool has_punch_hole = prng.coin();
    faults.has_zero_range = has_zero_range;
    faults.has_punch_hole = has_punch_hole;
}

// One seed in four has some.
bool chooses_stacks(uint64_t seed) { return mix(seed ^ 0x737461636B) % 4 == 0; }

void choose_stacks(Plan& plan) {
    Prng prng(mix(plan.seed ^ 0x6C61796572));
    for (size_t at = 0; at < plan.devices.size(); ++at) {
        DevicePlan& device = plan.devices[at];
        StackPlan stack = StackPlan::choose(prng);
        const bool is_wanted = prng.coin() || at == 0;
        if (!is_wanted || !plan.has(Part::stacks)) continue;
        device.stack = std::move(stack);
        fit(device, !plan.has(Part::few_descriptors));
    }
}

}  // namespace

std::string_view name_of(Part part) { return part_names[static_cast<size_t>(part)]; }

std::optional<Part> part_of(std::string_view name) {
    const auto at = std::ranges::find(part_names, name);
    if (at == part_names.end()) return std::nullopt;
    return static_cast<Part>(at - part_names.begin());
}

// Everything is drawn whether its part is there or not, so that leaving one out changes nothing else.
Plan Plan::of(uint64_t seed, const Parts& left_out, std::optional<uint64_t> commands) {
    Prng prng(mix(seed ^ 0x706C616E));  // "plan"
    Plan plan;
    plan.seed = seed;
    plan.parts = choose_parts(prng);
    plan.parts[static_cast<size_t>(Part::stacks)] = chooses_stacks(seed);
    plan.parts &= ~left_out;
    plan.commands = prng.between(2000, 3000);

    const auto reactors = static_cast<uint32_t>(prng.between(2, 3));
    plan.reactors = plan.has(Part::reactors) ? reactors : 1;
    plan.transport = choose_transport(prng, plan.has(Part::few_buffers));
    const uint64_t devices = prng.between(1, 3);
    for (uint64_t at = 0; at < devices; ++at) {
        const std::array kinds = {DeviceKind::ram, DeviceKind::direct_file, DeviceKind::cached_file};
        DevicePlan device{.kind = kinds[prng.below(3)],
                          .block_bytes = prng.below(3) != 0 ? 512U : 4096U,
                          .sectors = prng.between(48, 160) * 8};
        if (!plan.has(Part::files)) device.kind = DeviceKind::ram;
        plan.devices.push_back(device);
    }
    choose_stacks(plan);
    const uint64_t hosts = prng.between(2, 4);
    for (uint64_t at = 0; at < hosts; ++at) {
        HostPlan host = choose_host(prng, plan.transport);
        if (!plan.has(Part::queues)) host.queues = 1;
        if (!plan.has(Part::digests)) host.header_digest = host.data_digest = false;
        if (plan.has(Part::bit_flips)) host.header_digest = host.data_digest = true;
        if (at == 0 || plan.has(Part::hosts)) plan.hosts.push_back(host);
    }
    // Many more than there are sectors to work on would only wait for each other.
    uint32_t queues = 0;
    for (const HostPlan& host : plan.hosts) queues += host.queues;
    for (HostPlan& host : plan.hosts) host.depth = std::min(host.depth, std::max(4U, commands_at_once_max / queues));
    choose_network(prng, plan);
    choose_disk(prng, plan);
    for (const auto& [part, kind] : {std::pair{Part::resets, Incident::Kind::reset},
                                     {Part::cuts, Incident::Kind::cut},
                                     {Part::silences, Incident::Kind::silence},
                                     {Part::stalls, Incident::Kind::stall},
                                     {Part::kills, Incident::Kind::kill},
                                     {Part::power_losses, Incident::Kind::power_loss}}) {
        const uint64_t count =
            prng.between(1, kind == Incident::Kind::kill || kind == Incident::Kind::power_loss ? 2 : 5);
        for (uint64_t at = 0; at < count; ++at) {
            const Incident incident = choose_incident(prng, kind, plan.commands);
            if (plan.has(part)) plan.incidents.push_back(incident);
        }
    }
    std::ranges::sort(plan.incidents, {},
                      [](const Incident& incident) { return std::pair(incident.after_commands, incident.choice); });
    const auto intruders = static_cast<uint32_t>(prng.between(1, 2));
    // What a flipped bit makes of an intruder's broken PDU is anything, and it has no digests.
    plan.intruders = plan.has(Part::intruders) && !plan.has(Part::bit_flips) ? intruders : 0;
    const auto descriptors = static_cast<uint32_t>(prng.between(6, 16));
    plan.descriptors_max = plan.has(Part::few_descriptors) ? descriptors : 0;
    if (commands) plan.commands = *commands;
    return plan;
}

std::string Plan::describe() const {
    std::string text = fmt::format("{} commands, {} host{}, {} reactor{}, devices", commands, hosts.size(),
                                   hosts.size() == 1 ? "" : "s", reactors, reactors == 1 ? "" : "s");
    for (const DevicePlan& device : devices) {
        text += fmt::format(" {}:{}x{}",
                            device.kind == DeviceKind::ram           ? "ram"
                            : device.kind == DeviceKind::direct_file ? "direct"
                                                                     : "cached",
                            device.block_bytes, device.sectors / device.block_sectors());
        if (!device.stack.layers.empty()) text += fmt::format("x{}", device.stack.bases);
        for (const Layer layer : device.stack.layers) text += fmt::format("+{}", name_of(layer));
    }
    text += "; with";
    for (size_t at = 0; at < part_count; ++at) {
        if (parts[at]) text += fmt::format(" {}", part_names[at]);
    }
    return text;
}

}  // namespace weft::sim
