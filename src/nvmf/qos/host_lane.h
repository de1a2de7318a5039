// Where commands of one host wait on a poll group when the host has done as much as it may (its limits of rates in a
// subsystem). The limits are the host's on all poll groups together: a RateLimiter that their lanes share.
//
// A command passes once, before it uses anything but the buffers that its data came in; reads wait apart from writes,
// and each in order of arrival. Who waits is in state limited: it may be aborted, and goes with its connection.
// A queue whose host has no limits has no lane, and pays one test for it. On the poll group's thread.
#pragma once

#include "base/intrusive_list.h"
#include "bdev/gate/rate_limiter.h"
#include "nvmf/request.h"
#include "reactor/timer.h"

namespace weft::nvmf {

class HostLane {
public:
    // `limiter` outlives it.
    HostLane(Thread& thread, bdev::RateLimiter& limiter);
    HostLane(const HostLane&) = delete;
    HostLane& operator=(const HostLane&) = delete;
    ~HostLane();

    // Of a command in state executing. True: it goes now. False: it waits, and is resumed when its turn has come.
    bool pass(Request& request);
    // It is aborted, or its connection is gone.
    void stop_waiting(Request& request);
    // The limits are others, from now on.
    void follow();
    // There are none any more: whoever waits goes.
    void let_go();

private:
    struct Side {
        Side(HostLane& its_lane, Thread& thread, bool writes);
        HostLane& lane;
        const bool is_write;
        IntrusiveList<Request, &Request::parked_link> queue;  // the first has reserved
        Timer timer;
    };
    [[nodiscard]] Side& side_of(const Request& request) { return request.is_turn_of_write ? writes_ : reads_; }
    env::TimeNs reserve(const Request& request);
    void run(Side& side, bool has_reserved);
    static void resume(Side& side, Request& request);

    Thread& thread_;
    bdev::RateLimiter& limiter_;
    Side reads_;
    Side writes_;
};

}  // namespace weft::nvmf
