// Entries of a trace, from code that runs on a reactor: into its ring, with the time that it is now.
//
// The turn's time stamp is too coarse for this, since all stages of an I/O may fall into one turn. The clock is the
// monotonic one of the environment, which costs some 20 ns a reading, and only while the tracepoint is on: unlike the
// CPU's counter it is the same on all CPUs, in nanoseconds, and what `perf -k mono` shows beside it.
#pragma once

#include "base/trace.h"
#include "env/clock.h"

namespace weft {

// Only when trace::is_on(point): that is the caller's to ask. Nothing happens outside of a reactor.
void trace_here(trace::Point point, uint64_t object = 0, const trace::Arguments& arguments = {});
// For tracepoints that tell how long something took.
env::TimeNs trace_time();
// An id for an object that begins here; 0 outside of a reactor.
uint64_t new_trace_object();

}  // namespace weft
