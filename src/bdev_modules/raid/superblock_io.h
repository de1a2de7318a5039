// Superblocks of raids from and to devices.
#pragma once

#include "bdev/registry.h"
#include "bdev_modules/raid/raid_superblock.h"
#include "reactor/task.h"

namespace weft::bdev {

// The caller holds the device open. nullopt: there is none. Errors: invalid_argument, saying what is wrong with the one
// that is there; io_error.
Task<Result<std::optional<RaidSuperblock>>> read_superblock(Registry& registry, Device& device);
// `bytes`, and zeroes up to the end of a block, at the start of the device. On stable storage when this ends.
Task<Status> write_start(Registry& registry, Device& device, Bytes bytes);

}  // namespace weft::bdev
