// RPC methods about block devices of every kind: bdev_get_bdevs, bdev_get_iostat and the like.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

// `devices` outlives the registry of methods.
void add_bdev_methods(rpc::Registry& registry, Registry& devices);

}  // namespace weft::bdev
