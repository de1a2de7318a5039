#include "bdev/gate/channel_gate.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "bdev/device.h"
#include "reactor/reactor.h"

namespace weft::bdev {

// Ends what was aborted, and asks the module again that had no room: of that nobody tells.
class ChannelGate::Chores final : public Poller {
public:
    explicit Chores(ChannelGate& gate)
        : Poller(gate.channel_.thread(), "bdev_" + gate.channel_.bdev().name(), 0), gate_(gate) {
        pause();
    }
    uint32_t poll() override { return gate_.do_chores(); }
    Sleep prepare_sleep() override { return Sleep::briefly; }

private:
    ChannelGate& gate_;
};

ChannelGate::Lane::Lane(ChannelGate& its_gate, Thread& thread, bool writes)
    : gate(its_gate),
      is_write(writes),
      timer(
          thread,
          [](void* self) {
              auto& lane = *static_cast<Lane*>(self);
              lane.gate.run(lane, true);
          },
          this) {}

ChannelGate::ChannelGate(Channel& channel)
    : channel_(channel),
      reads_(*this, channel.thread(), false),
      writes_(*this, channel.thread(), true),
      timeout_(
          channel.thread(), [](void* self) { static_cast<ChannelGate*>(self)->watch_time(); }, this),
      chores_(std::make_unique<Chores>(*this)),
      parts_(*this, channel) {}

ChannelGate::~ChannelGate() { WEFT_ASSERT(is_empty()); }

void ChannelGate::put(List& list, Request& request, GateStage stage) {
    list.push_back(request);
    request.gate_stage = stage;
}

void ChannelGate::take_out(List& list, Request& request) {
    list.remove(request);
    request.gate_stage = GateStage::none;
}

void ChannelGate::on_entered(uint32_t in_flight) { untracked_ = in_flight; }

bool ChannelGate::may_wait(const Request& request) const {
    if (request.must_not_wait) return false;
    return !has_data(request.op) || !channel_.bdev().consumes_data_inline();
}

uint64_t ChannelGate::bytes_of(const Request& request) const { return request.blocks * channel_.bdev().block_bytes(); }

// What moves data for a user counts; so it does in the field.
ChannelGate::Lane* ChannelGate::lane_for(const Request& request) {
    if (state_.limiter == nullptr) return nullptr;
    if (request.op == Op::read) return &reads_;
    return request.op == Op::write || request.op == Op::zone_append ? &writes_ : nullptr;
}

env::TimeNs ChannelGate::reserve(const Lane& lane, const Request& request) {
    return state_.limiter->reserve(channel_.thread().reactor().now(), lane.is_write, bytes_of(request));
}

Progress ChannelGate::enqueue(Lane& lane, Request& request) {
    put(lane.queue, request, lane.is_write ? GateStage::write_lane : GateStage::read_lane);
    return Progress::pending;
}

Progress ChannelGate::take(Request& request) {
    Lane* const lane = lane_for(request);
    if (lane == nullptr) return pass(request);
    // What cannot wait is counted and goes: there is some of it only when a limit has just been set.
    const bool is_first = lane->queue.empty() || request.must_not_wait;
    if (!is_first) return enqueue(*lane, request);
    const env::TimeNs slot = reserve(*lane, request);
    if (slot > channel_.thread().reactor().now() && !request.must_not_wait) {
        lane->timer.start_at(slot);
        return enqueue(*lane, request);
    }
    const Progress progress = pass(request);
    if (progress == Progress::retry) state_.limiter->give_back(lane->is_write, bytes_of(request));
    return progress;
}

void ChannelGate::run(Lane& lane, bool has_reserved) {
    const env::TimeNs now = channel_.thread().reactor().now();
    while (Request* first = lane.queue.front()) {
        if (!has_reserved) {
            if (const env::TimeNs slot = reserve(lane, *first); slot > now) return lane.timer.start_at(slot);
        }
        has_reserved = false;
        take_out(lane.queue, *first);
        pass_on(*first);
        // Whoever was told has submitted the next one, and it has reserved.
        if (lane.timer.is_running()) return;
    }
    settle();
}

// There are no limits any more.
void ChannelGate::flush(Lane& lane) {
    lane.timer.stop();
    for (size_t count = lane.queue.size(); count > 0 && !lane.queue.empty(); --count) {
        Request& first = *lane.queue.front();
        take_out(lane.queue, first);
        pass_on(first);
    }
}

bool ChannelGate::is_held(const Request& request) const {
    return std::ranges::any_of(state_.holds(), [&request](const Hold& hold) { return hold.concerns(request); });
}

Progress ChannelGate::pass(Request& request) {
    if (is_held(request)) {
        if (request.must_not_wait) return Progress::retry;
        put(held_, request, GateStage::held);
        return Progress::pending;
    }
    // Not past those who wait for room.
    if (!ready_.empty() && may_wait(request)) {
        put(ready_, request, GateStage::ready);
        return Progress::pending;
    }
    return launch(request);
}

Progress ChannelGate::launch(Request& request) {
    if (parts_.must_take(request)) return parts_.begin(request);
    const Progress progress = channel_.start(request);
    if (progress == Progress::pending) note_started(request);
    return progress;
}

void ChannelGate::pass_on(Request& request) {
    if (is_held(request)) return put(held_, request, GateStage::held);
    if (!ready_.empty()) return put(ready_, request, GateStage::ready);
    launch_waiting(request);
}

void ChannelGate::launch_waiting(Request& request) {
    request.status = Status::success;
    switch (launch(request)) {
        case Progress::done: return channel_.complete(request, request.status);
        case Progress::pending: return;
        case Progress::retry:
            ready_.push_front(request);
            request.gate_stage = GateStage::ready;
            chores_->resume();
    }
}

void ChannelGate::note_started(Request& request) {
    if (!watches()) {
        ++untracked_;
        return;
    }
    request.started_at = channel_.thread().reactor().now();
    put(started_, request, GateStage::started);
    if (state_.timeout.after != 0 && !timeout_.is_running()) timeout_.start_after(state_.timeout.after);
}

void ChannelGate::finish(Request& request, Status status) {
    const CurrentThread scope(&channel_.thread());  // as in Channel::complete()
    if (Parts::owns(request)) return parts_.on_finished(request, status);
    if (request.gate_stage == GateStage::started) {
        take_out(started_, request);
    } else {
        WEFT_ASSERT(untracked_ > 0);
        --untracked_;
    }
    channel_.complete(request, status);
    settle();
}

bool ChannelGate::abort(Request& request) {
    switch (request.gate_stage) {
        case GateStage::none:
        case GateStage::started: return channel_.abort_started(request);
        case GateStage::parts: return parts_.abort(request);
        case GateStage::aborted: return true;
        case GateStage::held: take_out(held_, request); break;
        case GateStage::ready: take_out(ready_, request); break;
        case GateStage::read_lane:
        case GateStage::write_lane: {
            Lane& lane = request.gate_stage == GateStage::read_lane ? reads_ : writes_;
            take_out(lane.queue, request);
            // What the first has reserved goes to the next.
            if (lane.queue.empty()) {
                lane.timer.stop();
                if (state_.limiter != nullptr) state_.limiter->give_back(lane.is_write, bytes_of(request));
            }
            break;
        }
    }
    put(aborted_, request, GateStage::aborted);
    chores_->resume();
    return true;
}

void ChannelGate::follow(const GateState& state) {
    const bool are_limits_new = state.limits_version != state_.limits_version;
    state_ = state;
    channel_.is_inline_closed_ = state_.closes_inline();
    if (are_limits_new) {
        for (Lane* lane : {&reads_, &writes_}) {
            lane->timer.stop();
            if (state_.limiter != nullptr) run(*lane, false);
        }
    }
    if (state_.limiter == nullptr) {
        flush(reads_);
        flush(writes_);
    }
    let_go();
    if (state_.timeout.after == 0) {
        timeout_.stop();
    } else if (Request* oldest = started_.front()) {
        timeout_.start_at(oldest->started_at + state_.timeout.after);
    }
    settle();
}

// Held requests that nothing holds any more, in their order.
void ChannelGate::let_go() {
    for (size_t count = held_.size(); count > 0 && !held_.empty(); --count) {
        Request& request = *held_.front();
        take_out(held_, request);
        pass_on(request);  // at the end, when it is still held
    }
}

uint32_t ChannelGate::start_ready() {
    uint32_t started = 0;
    for (size_t count = ready_.size(); count > 0 && !ready_.empty(); --count) {
        Request& request = *ready_.front();
        take_out(ready_, request);
        if (Parts::owns(request)) {
            parts_.start_again(request);
        } else if (is_held(request)) {
            put(held_, request, GateStage::held);
        } else {
            launch_waiting(request);
        }
        if (ready_.front() == &request) break;  // no room yet
        ++started;
    }
    return started;
}

uint32_t ChannelGate::do_chores() {
    uint32_t done = 0;
    for (size_t count = aborted_.size(); count > 0 && !aborted_.empty(); --count) {
        Request& request = *aborted_.front();
        take_out(aborted_, request);
        channel_.complete(request, Status::aborted);
        ++done;
    }
    done += start_ready();
    const bool wants_another = ready_.empty() && parts_.feed();
    const bool is_finished = aborted_.empty() && ready_.empty() && !wants_another;
    if (is_finished) chores_->pause();
    // Who drains is not called each turn for nothing: the reactor would never rest, and a clock that goes on when it
    // rests would stand still.
    if (done > 0 || is_finished) settle();
    return done + (wants_another ? 1 : 0);
}

void ChannelGate::wait_for_room(Request& part, bool again) {
    if (again) {
        ready_.push_front(part);
    } else {
        ready_.push_back(part);
    }
    part.gate_stage = GateStage::ready;
    chores_->resume();
}

void ChannelGate::stop_waiting(Request& part) { take_out(ready_, part); }

void ChannelGate::call_again() { chores_->resume(); }

void ChannelGate::note_parts(Request& whole) {
    whole.started_at = channel_.thread().reactor().now();
    put(started_, whole, GateStage::parts);
    if (state_.timeout.after != 0 && !timeout_.is_running()) timeout_.start_after(state_.timeout.after);
}

void ChannelGate::finish_parts(Request& whole, Status status) {
    if (whole.gate_link.is_linked) started_.remove(whole);
    whole.gate_stage = GateStage::none;
    channel_.complete(whole, status);
}

void ChannelGate::abort_parts(Request& whole) {
    take_out(started_, whole);
    put(aborted_, whole, GateStage::aborted);
    chores_->resume();
}

bool ChannelGate::is_empty() const {
    return reads_.queue.empty() && writes_.queue.empty() && held_.empty() && ready_.empty() && started_.empty() &&
           aborted_.empty() && parts_.is_idle();
}

// Something has changed: those who drain look again, and a gate that is of no use is left.
void ChannelGate::settle() {
    if (!drained_.empty()) drained_.wake_all();
    const bool is_wanted = state_.is_needed() || channel_.bdev().geometry().has_limits();
    if (!is_wanted && is_empty()) channel_.gate_ = nullptr;
}

bool ChannelGate::is_under_way(const Hold& hold) const {
    if (untracked_ > 0) return true;
    for (const Request* request = started_.front(); request != nullptr; request = List::next(*request)) {
        if (hold.concerns(*request)) return true;
    }
    return false;
}

Task<bool> ChannelGate::drain(Hold hold, env::TimeNs deadline) {
    Timer timer(channel_.thread(), [](void* list) { static_cast<WaitList*>(list)->wake_all(); }, &drained_);
    if (deadline != env::time_never) timer.start_at(deadline);
    while (is_under_way(hold)) {
        if (channel_.thread().reactor().now() >= deadline) co_return false;
        co_await drained_.wait();
    }
    co_return true;
}

}  // namespace weft::bdev
