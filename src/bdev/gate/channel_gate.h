// What stands between a channel's submit() and its module while there is anything to do there: requests wait for their
// turn (rate_limiter.h), are held while their range is quiesced (device_gate.h), are cut into parts or done by other
// ops (parts.h), and are watched for time-outs. A channel without need of one has none, and pays one test for it.
//
// A request's way, each step in order of arrival: lane → held → ready → started or parts. What waits is pending for
// whoever submitted it. On the channel's thread.
#pragma once

#include <memory>

#include "bdev/gate/device_gate.h"
#include "bdev/gate/parts.h"
#include "bdev/request.h"
#include "reactor/poller.h"
#include "reactor/task.h"
#include "reactor/timer.h"

namespace weft::bdev {

class Channel;

class ChannelGate {
public:
    explicit ChannelGate(Channel& channel);
    ChannelGate(const ChannelGate&) = delete;
    ChannelGate& operator=(const ChannelGate&) = delete;
    ~ChannelGate();

    // The channel's submit() and abort(), of a request that was checked.
    Progress take(Request& request);
    bool abort(Request& request);
    // The module is done with a request that it had.
    void finish(Request& request, Status status);

    // Its channel goes through it from now on; so many requests are with the module, which it never saw.
    void on_entered(uint32_t in_flight);
    void follow(const GateState& state);
    // Returns when nothing that `hold` is for is under way: true; or at the deadline: false. The hold is in force.
    Task<bool> drain(Hold hold, env::TimeNs deadline);

    // For Parts.
    // The request may be pending: its memory outlives the turn.
    [[nodiscard]] bool may_wait(const Request& request) const;
    [[nodiscard]] bool is_module_short() const { return !ready_.empty(); }
    // The module had no room for a part; `again`: it waited already.
    void wait_for_room(Request& part, bool again);
    void stop_waiting(Request& part);
    // Something is to be done in a later turn.
    void call_again();
    void note_parts(Request& whole);
    void finish_parts(Request& whole, Status status);
    void abort_parts(Request& whole);
    void settle();

private:
    using List = IntrusiveList<Request, &Request::gate_link>;
    class Chores;
    struct Lane {
        Lane(ChannelGate& its_gate, Thread& thread, bool writes);
        ChannelGate& gate;
        const bool is_write;
        List queue;  // the first has reserved
        Timer timer;
    };

    Lane* lane_for(const Request& request);
    [[nodiscard]] uint64_t bytes_of(const Request& request) const;
    static void put(List& list, Request& request, GateStage stage);
    static void take_out(List& list, Request& request);
    Progress enqueue(Lane& lane, Request& request);
    env::TimeNs reserve(const Lane& lane, const Request& request);
    // Lets go what is due, by new reservations when the first one's is void.
    void run(Lane& lane, bool has_reserved);
    void flush(Lane& lane);
    [[nodiscard]] bool is_held(const Request& request) const;
    Progress pass(Request& request);
    Progress launch(Request& request);
    // The same for a request that waited; whoever submitted it is told.
    void pass_on(Request& request);
    void launch_waiting(Request& request);
    void note_started(Request& request);
    void let_go();
    uint32_t start_ready();
    uint32_t do_chores();
    void watch_time();
    void act_on_timeout(Request& request);
    static Task<void> reset_device(Channel& channel, env::TimeNs drain_for);
    [[nodiscard]] bool is_empty() const;
    [[nodiscard]] bool is_under_way(const Hold& hold) const;
    [[nodiscard]] bool watches() const { return state_.is_needed(); }

    Channel& channel_;
    GateState state_;
    Lane reads_;
    Lane writes_;
    List held_;
    List ready_;  // requests and parts for which the module had no room
    List started_;  // oldest first; with the wholes of parts
    List aborted_;
    uint32_t untracked_ = 0;  // the module has them and they are in no list: they came when nobody looked
    Timer timeout_;
    WaitList drained_;
    std::unique_ptr<Chores> chores_;
    Parts parts_;
};

}  // namespace weft::bdev
