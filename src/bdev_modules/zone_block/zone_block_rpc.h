// bdev_zone_block_create, bdev_zone_block_delete.
#pragma once

#include "bdev/stack/awaited.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods.
void add_zone_block_methods(rpc::Registry& methods, Awaited& awaited);

}  // namespace weft::bdev
