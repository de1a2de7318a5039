// Builds what stack_plan.h describes, and brings back what has gone of it. On the target's app thread.
#pragma once

#include <optional>

#include "sim/storm/storm.h"

namespace weft::sim {

// What a target that was just started is configured with: keys, and all devices that stand on others.
Task<void> build_stacks(Storm& storm);
// All bases that are not there are made, and the stack stands when this ends; true when anything was missing.
Task<void> restore_stack(Storm& storm, size_t device);
// Whether the files below it fail as the seed has it, or not for now: where a mirror may lose a side, and the other one
// cannot keep the superblock that says so, nobody knows after a kill which of them was left behind.
void set_disk_errors(Storm& storm, size_t device, bool are_on);
// The raid of the device.
[[nodiscard]] bdev::RaidDevice* raid_of(Storm& storm, size_t device);
// Whether there is a base, besides that one, whose file did not sync.
[[nodiscard]] bool has_failed_sync(Storm& storm, size_t device, std::optional<uint32_t> besides = std::nullopt);
// Whether it can do without that side now.
[[nodiscard]] bool can_lose(Storm& storm, size_t device, uint32_t side);
// Sides that have gone, or were given up, come back empty or as they were left, and are filled. With `is_patient` this
// ends when all are in sync, and fails the seed when they do not get there.
Task<void> restore_sides(Storm& storm, size_t device, bool is_patient);
// The first side of each mirror is taken out: what is read after this comes from the others.
Task<void> take_first_sides_out(Storm& storm);

}  // namespace weft::sim
