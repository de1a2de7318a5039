// Entries of a trace for what devices do. Only when trace::is_on(trace::Group::bdev): that is the caller's to ask.
#pragma once

#include "base/trace.h"
#include "bdev/request.h"

namespace weft::bdev {

// The status of BDEV_IO_DONE for a request that was not taken.
inline constexpr uint16_t trace_not_taken = 0xFFFF;

// `request` is given to its device, or memory is lent for it.
void trace_start(Request& request);
// It is over: with a Status, or with trace_not_taken.
void trace_done(const Request& request, uint16_t status);

}  // namespace weft::bdev
