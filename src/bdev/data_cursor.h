// Walks the pieces of a request's data: base/data_cursor.h, by its name here.
#pragma once

#include "base/data_cursor.h"

namespace weft::bdev {

using weft::DataCursor;

}  // namespace weft::bdev
