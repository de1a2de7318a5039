// bdev_aio_* and bdev_uring_*: two names for one implementation.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

// `is_concurrent`: there is more than one data reactor.
void add_file_methods(rpc::Registry& registry, Registry& devices, bool is_concurrent);

}  // namespace weft::bdev
