// bdev_null_create, bdev_null_delete, bdev_null_resize.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods.
void add_null_methods(rpc::Registry& methods, Registry& devices);

}  // namespace weft::bdev
