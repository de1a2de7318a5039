#include "bdev/io_trace.h"

#include <algorithm>
#include <limits>

#include "reactor/trace_here.h"

namespace weft::bdev {

void trace_start(Request& request) {
    request.trace_id = new_trace_object();
    if (!trace::is_on(trace::Point::bdev_io_start)) return;
    const uint64_t blocks = std::min<uint64_t>(request.blocks, std::numeric_limits<uint32_t>::max());
    trace_here(trace::Point::bdev_io_start, request.trace_id,
               {.a = request.trace_owner,
                .b = request.lba,
                .c = static_cast<uint32_t>(blocks),
                .d = static_cast<uint16_t>(request.op)});
}

void trace_done(const Request& request, uint16_t status) {
    if (!trace::is_on(trace::Point::bdev_io_done)) return;
    trace_here(trace::Point::bdev_io_done, request.trace_id, {.a = request.trace_owner, .d = status});
}

}  // namespace weft::bdev
