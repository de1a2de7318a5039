// Parity: the exclusive or of strips.
#pragma once

#include "base/bytes.h"

namespace weft::bdev {

// `to` becomes `to` ^ `from`; both are equally long, and do not overlap.
void xor_into(MutableBytes to, Bytes from);

}  // namespace weft::bdev
