// bdev_split_create, bdev_split_delete.
#pragma once

#include "bdev/stack/awaited.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods.
void add_split_methods(rpc::Registry& methods, Awaited& awaited);

}  // namespace weft::bdev
