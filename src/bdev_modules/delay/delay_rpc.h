// bdev_delay_create, bdev_delay_update_latency, bdev_delay_delete.
#pragma once

#include "bdev/stack/awaited.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods.
void add_delay_methods(rpc::Registry& methods, Awaited& awaited);

}  // namespace weft::bdev
