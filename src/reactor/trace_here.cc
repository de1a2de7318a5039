#include "reactor/trace_here.h"

#include "reactor/reactor.h"

namespace weft {

void trace_here(trace::Point point, uint64_t object, const trace::Arguments& arguments) {
    Thread* const thread = Thread::current_or_null();
    if (thread == nullptr) return;
    Reactor& reactor = thread->reactor();
    reactor.track().write(point, object, arguments, reactor.environment().clock().now());
}

env::TimeNs trace_time() {
    Thread* const thread = Thread::current_or_null();
    return thread == nullptr ? 0 : thread->reactor().environment().clock().now();
}

uint64_t new_trace_object() {
    Thread* const thread = Thread::current_or_null();
    return thread == nullptr ? 0 : thread->reactor().track().new_object();
}

}  // namespace weft
