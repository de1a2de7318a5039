#include "nvmf/qos/host_lane.h"

#include "nvmf/qos/cost.h"
#include "nvmf/qpair.h"
#include "reactor/reactor.h"

namespace weft::nvmf {

HostLane::Side::Side(HostLane& its_lane, Thread& thread, bool writes)
    : lane(its_lane),
      is_write(writes),
      timer(
          thread,
          [](void* self) {
              auto& side = *static_cast<Side*>(self);
              side.lane.run(side, true);
          },
          this) {}

HostLane::HostLane(Thread& thread, bdev::RateLimiter& limiter)
    : thread_(thread), limiter_(limiter), reads_(*this, thread, false), writes_(*this, thread, true) {}

HostLane::~HostLane() { WEFT_ASSERT(reads_.queue.empty() && writes_.queue.empty()); }

env::TimeNs HostLane::reserve(const Request& request) {
    return limiter_.reserve(thread_.reactor().now(), request.is_turn_of_write, request.turn_bytes);
}

// Data that cannot wait, or is in the device already, is counted and goes: there is some only when a limit has just
// been set.
bool HostLane::pass(Request& request) {
    if (request.has_turn) return true;
    const IoCost cost = cost_of(request);
    if (cost.is_free) return true;
    request.is_turn_of_write = cost.is_write;
    request.turn_bytes = cost.bytes;
    Side& side = side_of(request);
    const bool must_go = request.source == DataSource::received ||
                         (request.source == DataSource::streamed && request.stored_bytes == request.data_bytes);
    if (side.queue.empty() || must_go) {
        const env::TimeNs slot = reserve(request);
        if (must_go || slot <= thread_.reactor().now()) {
            request.has_turn = true;
            return true;
        }
        side.timer.start_at(slot);
    }
    request.move(RequestEvent::limit);
    side.queue.push_back(request);
    return false;
}

void HostLane::resume(Side& side, Request& request) {
    side.queue.remove(request);
    request.has_turn = true;
    request.qpair->resume(request);
}

void HostLane::run(Side& side, bool has_reserved) {
    const env::TimeNs now = thread_.reactor().now();
    while (Request* first = side.queue.front()) {
        if (!has_reserved) {
            if (const env::TimeNs slot = reserve(*first); slot > now) return side.timer.start_at(slot);
        }
        has_reserved = false;
        resume(side, *first);
    }
}

void HostLane::stop_waiting(Request& request) {
    Side& side = side_of(request);
    side.queue.remove(request);
    // What the first has reserved goes to the next.
    if (!side.queue.empty()) return;
    side.timer.stop();
    limiter_.give_back(side.is_write, request.turn_bytes);
}

void HostLane::follow() {
    for (Side* side : {&reads_, &writes_}) {
        side->timer.stop();
        run(*side, false);
    }
}

void HostLane::let_go() {
    for (Side* side : {&reads_, &writes_}) {
        side->timer.stop();
        while (Request* first = side->queue.front()) resume(*side, *first);
    }
}

}  // namespace weft::nvmf
