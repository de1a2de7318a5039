// RPC methods: bdev_raid_create, bdev_raid_delete, bdev_raid_get_bdevs, bdev_raid_add_base_bdev,
// bdev_raid_remove_base_bdev, bdev_raid_set_options.
#pragma once

#include <functional>

#include "bdev_modules/raid/raids.h"
#include "rpc/registry.h"

namespace weft::bdev {

// `on_options_change`: they are part of what is saved.
void add_raid_methods(rpc::Registry& methods, Raids& raids, std::move_only_function<void()> on_options_change);

}  // namespace weft::bdev
