// Tuples of protection information of many blocks, in scattered memory.
#pragma once

#include "accel/operation.h"
#include "base/bytes.h"

namespace weft::accel {

// A job of dif_* or dix_*, checked. `block` is room for one block and its metadata.
Status protect(const Job& job, MutableBytes block);

Status status_of(Verdict verdict);

}  // namespace weft::accel
