// bdev_null_create, bdev_null_delete and bdev_null_resize.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

void add_null_methods(rpc::Registry& registry, Registry& devices);

}  // namespace weft::bdev
