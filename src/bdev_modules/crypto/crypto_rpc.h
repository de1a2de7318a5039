// bdev_crypto_create, bdev_crypto_delete.
#pragma once

#include "accel/framework.h"
#include "bdev/stack/awaited.h"
#include "rpc/registry.h"

namespace weft::bdev {

// All outlive the methods.
void add_crypto_methods(rpc::Registry& methods, Awaited& awaited, accel::Framework& framework);

}  // namespace weft::bdev
