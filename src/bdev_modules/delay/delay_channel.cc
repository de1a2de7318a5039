#include "bdev_modules/delay/delay_channel.h"

#include <algorithm>
#include <span>

#include "reactor/reactor.h"

namespace weft::bdev {

DelayChannel::DelayChannel(DelayDevice& device)
    : StackedChannel(device),
      device_(device),
      timer_(Thread::current(), [](void* self) { static_cast<DelayChannel*>(self)->release_due(); }, this) {
    Thread::current().reactor().environment().random().fill(std::as_writable_bytes(std::span(&random_, 1)));
}

// The field's device delays reads and writes only.
env::TimeNs DelayChannel::delay_of(Op op) {
    const bool is_read = op == Op::read;
    if (!is_read && op != Op::write && op != Op::zone_append) return 0;
    random_ = random_ * 6364136223846793005 + 1442695040888963407;  // Knuth, MMIX: its high bits are good enough
    const bool is_slow = (random_ >> 33) % 100 == 0;
    const LatencyKind kind = is_read ? (is_slow ? LatencyKind::p99_read : LatencyKind::avg_read)
                                     : (is_slow ? LatencyKind::p99_write : LatencyKind::avg_write);
    return device_.latency_us(kind) * env::ns_per_us;
}

void DelayChannel::child_ended(Child& child) {
    StackedChannel::child_ended(child);
    Request& request = *child.parent;
    const env::TimeNs delay = delay_of(request.op);
    if (delay != 0) hold_until(request, thread().reactor().now() + delay);
}

void DelayChannel::hold_until(Request& request, env::TimeNs due) {
    hold(request);
    held_.push_back({due, count_++, &request});
    std::ranges::push_heap(held_, is_later);
    timer_.start_at(held_.front().due);
}

// Ends what was due when it began: who is told may send more.
void DelayChannel::release_due() {
    const env::TimeNs now = thread().reactor().now();
    while (!held_.empty() && held_.front().due <= now) {
        std::ranges::pop_heap(held_, is_later);
        Request& request = *held_.back().request;
        held_.pop_back();
        let_go(request);
    }
    if (!held_.empty()) timer_.start_at(held_.front().due);
}

bool DelayChannel::abort_started(Request& request) {
    const auto found = std::ranges::find(held_, &request, &Held::request);
    if (found == held_.end()) return StackedChannel::abort_started(request);
    status_of(request) = Status::aborted;
    found->due = 0;
    std::ranges::make_heap(held_, is_later);
    timer_.start_at(thread().reactor().now());
    return true;
}

}  // namespace weft::bdev
