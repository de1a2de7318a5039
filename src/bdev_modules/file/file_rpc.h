// bdev_aio_create, bdev_aio_delete, bdev_aio_rescan, and the same of bdev_uring: two names for one thing.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods. `is_concurrent`: bdevs will be used by more than one reactor.
void add_file_methods(rpc::Registry& methods, Registry& devices, bool is_concurrent);

}  // namespace weft::bdev
