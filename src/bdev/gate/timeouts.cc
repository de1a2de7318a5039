// The time-outs of a channel's gate: what the module has for too long is aborted, or the device is reset.
#include "base/log.h"
#include "bdev/device.h"
#include "bdev/gate/channel_gate.h"
#include "reactor/reactor.h"

namespace weft::bdev {

void ChannelGate::watch_time() {
    const env::TimeNs now = channel_.thread().reactor().now();
    const env::TimeNs after = state_.timeout.after;
    if (after == 0) return;
    for (size_t count = started_.size(); count > 0 && !started_.empty(); --count) {
        Request& oldest = *started_.front();
        if (now - oldest.started_at < after) break;
        // At the end again, so that it is asked once more when as long has passed.
        started_.remove(oldest);
        oldest.started_at = now;
        started_.push_back(oldest);
        act_on_timeout(oldest);
    }
    if (const Request* oldest = started_.front()) timeout_.start_at(oldest->started_at + after);
}

void ChannelGate::act_on_timeout(Request& request) {
    WEFT_WARNLOG("bdev \"{}\": {} of {} blocks at {} takes more than {} ms", log::quoted(channel_.bdev().name()),
                 name_of(request.op), request.blocks, request.lba, state_.timeout.after / env::ns_per_ms);
    if (state_.timeout.action == IoTimeout::Action::abort) {
        (void)abort(request);
    } else {
        spawn(reset_device(channel_, state_.timeout.drain_for));
    }
}

Task<void> ChannelGate::reset_device(Channel& channel, env::TimeNs drain_for) {
    ChannelRef<Channel> kept(channel);  // and with it the device
    Thread& mine = Thread::current();
    co_await yield();
    co_await kept->bdev().gate().go_home();
    const auto outcome = co_await kept->bdev().gate().reset(drain_for);
    if (!outcome && outcome.error().code != Errc::busy) {
        WEFT_ERRLOG("bdev \"{}\": reset: {}", log::quoted(kept->bdev().name()), outcome.error().message);
    }
    co_await resume_on(mine);
}

}  // namespace weft::bdev
