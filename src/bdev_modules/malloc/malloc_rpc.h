// bdev_malloc_create, bdev_malloc_delete.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods. `is_concurrent`: bdevs will be used by more than one reactor.
void add_malloc_methods(rpc::Registry& methods, Registry& devices, bool is_concurrent);

}  // namespace weft::bdev
