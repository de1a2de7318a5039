// What a seed decides before anything runs: the target's configuration, the hosts and their work, and which troubles
// there are. Each trouble is a part that can be left out, so that a failing seed can be shrunk to what it needs.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/sim/options.h"
#include "env/sim/prng.h"
#include "nvmf/transport_options.h"
#include "sim/storm/stack_plan.h"

namespace weft::sim {

enum class Part : uint8_t {
    hosts,           // more than one
    queues,          // more than one a host
    reactors,        // more than one
    files,           // devices that are files
    digests,
    segments,        // of any size, instead of whole messages
    narrow_windows,
    slow_network,
    resets,
    cuts,            // FIN or reset after a number of bytes
    silences,        // nothing arrives for a while, and nobody is told
    refusals,        // of connections
    bit_flips,
    slow_disks,
    disk_errors,
    short_transfers,
    full_disks,
    failed_syncs,
    kills,
    power_losses,
    moves,           // of poll groups between reactors
    stalls,          // a reactor that does not run for a while
    few_buffers,
    few_descriptors,
    aborts,
    reconnects,      // hosts that come and go
    clearing,        // write zeroes, deallocate
    compares,
    intruders,       // hosts that break rules
    administrator,   // who changes the configuration meanwhile
    stacks,          // devices that stand on others, and who troubles them
    part_count,
};
inline constexpr size_t part_count = static_cast<size_t>(Part::part_count);
[[nodiscard]] std::string_view name_of(Part part);
[[nodiscard]] std::optional<Part> part_of(std::string_view name);

enum class DeviceKind : uint8_t { ram, direct_file, cached_file };

struct DevicePlan {
    DeviceKind kind = DeviceKind::ram;
    uint32_t block_bytes = 512;
    uint64_t sectors = 0;
    StackPlan stack;
    [[nodiscard]] uint32_t block_sectors() const { return block_bytes / 512; }
    // What is written begins and ends at its multiples.
    [[nodiscard]] uint32_t unit_sectors() const;
    [[nodiscard]] bool is_file() const { return kind != DeviceKind::ram; }
};

struct HostPlan {
    uint32_t queues = 1;
    uint32_t depth = 1;          // commands at a time on a queue
    bool header_digest = false;
    bool data_digest = false;
    bool flow_control = false;
    uint8_t data_alignment = 0;
    uint32_t write_percent = 50;
    uint32_t shared_percent = 20;  // of commands to blocks that other hosts write, too
};

// A trouble that comes when so many commands have ended.
struct Incident {
    enum class Kind : uint8_t { reset, cut, silence, stall, kill, power_loss };
    Kind kind = Kind::reset;
    uint64_t after_commands = 0;
    uint64_t choice = 0;        // of whom, and how
    env::TimeNs duration = 0;
};

struct Plan {
    // The part left out are as if the seed had not had them; all else stays as it is.
    static Plan of(uint64_t seed, const std::bitset<part_count>& left_out = {}, std::optional<uint64_t> commands = {});

    [[nodiscard]] bool has(Part part) const { return parts[static_cast<size_t>(part)]; }
    // One line for people.
    [[nodiscard]] std::string describe() const;

    uint64_t seed = 0;
    std::bitset<part_count> parts;
    uint64_t commands = 0;  // of all hosts together
    uint32_t reactors = 1;
    Options world;
    nvmf::TransportOptions transport;
    std::vector<DevicePlan> devices;
    std::vector<HostPlan> hosts;
    std::vector<Incident> incidents;  // by after_commands
    FileFaults file_faults;
    uint32_t intruders = 0;
    uint32_t descriptors_max = 0;     // of the target; 0: enough
};

}  // namespace weft::sim
