#include "bdev/gate/depth_sampler.h"

#include <algorithm>

#include "bdev/registry.h"
#include "reactor/reactor.h"

namespace weft::bdev {

void DepthSampler::set_period(Registry& devices, const std::string& name, uint64_t period_us) {
    figures_.period_us = std::min(period_us, period_us_max);
    if (is_running_) {
        changed_.wake_all();
    } else if (period_us != 0) {
        spawn(run(devices, name));
    }
}

Task<void> DepthSampler::run(Registry& devices, std::string name) {
    const auto descriptor = devices.open(name, [this](Event event) {
        if (event != Event::removed) return;
        figures_.period_us = 0;
        changed_.wake_all();
    });
    if (!descriptor) co_return;
    is_running_ = true;
    env::TimeNs looked_at = Reactor::current().now();
    while (figures_.period_us != 0) {
        Timer timer(Thread::current(), [](void* list) { static_cast<WaitList*>(list)->wake_all(); }, &changed_);
        timer.start_after(figures_.period_us * env::ns_per_us);
        co_await changed_.wait();
        // Another period was set, or none.
        if (timer.is_running()) continue;
        uint64_t depth = 0;
        co_await for_each_channel<Channel>((*descriptor)->device(),
                                           [&depth](const Channel& channel) { depth += channel.in_flight(); });
        figures_.depth = depth;
        // To ask all threads takes time of its own: what has passed counts, not what should have.
        const env::TimeNs now = Reactor::current().now();
        const uint64_t passed_us = (now - looked_at) / env::ns_per_us;
        looked_at = now;
        if (depth == 0) continue;
        figures_.io_time_us += passed_us;
        figures_.weighted_io_time_us += passed_us * depth;
    }
    figures_.depth = 0;
    is_running_ = false;
}

}  // namespace weft::bdev
