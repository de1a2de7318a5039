#include "app/cli/load/perf_reauthentication.h"

#include <fmt/format.h>

#include <algorithm>

#include "reactor/reactor.h"

namespace weft::cli {

void PerfReauthentication::start() {
    const bool is_open = running_.try_enter();
    WEFT_ASSERT(is_open);
    spawn(run());
}

Task<void> PerfReauthentication::run() {
    constexpr env::TimeNs look_interval = 20 * env::ns_per_ms;  // for the end of the load
    Reactor& reactor = Thread::current().reactor();
    env::TimeNs next = reactor.now() + interval_;
    while (!running_.is_closing() && !error_) {
        const env::TimeNs now = reactor.now();
        if (now < next) {
            co_await sleep_for(std::min(next - now, look_interval));
            continue;
        }
        const auto done = co_await controller_.authenticate_again();
        if (done) {
            ++count_;
        } else {
            error_ = Error{done.error().code, fmt::format("--reauthenticate: {}", done.error().message)};
        }
        next = reactor.now() + interval_;
    }
    running_.leave();
}

Task<Result<uint32_t>> PerfReauthentication::stop() {
    co_await running_.close();
    if (error_) co_return std::unexpected(*error_);
    co_return count_;
}

}  // namespace weft::cli
