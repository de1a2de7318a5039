// Memory that is zero, shared by all who need some: source of zero writes, content of the null device.
#pragma once

#include "base/bytes.h"

namespace weft::bdev {

inline constexpr size_t zeroes_bytes = size_t{1} << 20;
// `zeroes_bytes` of them, aligned for direct I/O on every device. Nobody writes to it.
Bytes zeroes();

}  // namespace weft::bdev
