// bdev_passthru_create, bdev_passthru_delete.
#pragma once

#include "bdev/stack/awaited.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods.
void add_passthru_methods(rpc::Registry& methods, Awaited& awaited);

}  // namespace weft::bdev
