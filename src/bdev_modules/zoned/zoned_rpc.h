// weft_zoned_create, weft_zoned_delete.
#pragma once

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::bdev {

void add_zoned_methods(rpc::Registry& methods, Registry& devices);

}  // namespace weft::bdev
