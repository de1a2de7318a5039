// Protection information of blocks: accel/protection/protection.h, by its names here.
#pragma once

#include "accel/protection/protection.h"

namespace weft::bdev {

using accel::check_format;
using accel::check_tuple;
using accel::Guard;
using accel::metadata_bytes_max;
using accel::Protection;
using accel::ProtectionFormat;
using accel::ProtectionType;
using accel::Verdict;
using accel::write_escape;
using accel::write_tuple;

}  // namespace weft::bdev
