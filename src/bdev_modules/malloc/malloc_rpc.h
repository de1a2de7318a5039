// bdev_malloc_create and bdev_malloc_delete.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

// `is_concurrent`: there is more than one data reactor.
void add_malloc_methods(rpc::Registry& registry, Registry& devices, bool is_concurrent);

}  // namespace weft::bdev
