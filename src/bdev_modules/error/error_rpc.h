// bdev_error_create, bdev_error_inject_error, bdev_error_resume_pending, bdev_error_delete.
#pragma once

#include "bdev/stack/awaited.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Both outlive the methods.
void add_error_methods(rpc::Registry& methods, Awaited& awaited);

}  // namespace weft::bdev
