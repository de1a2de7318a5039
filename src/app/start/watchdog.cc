#include "app/start/watchdog.h"

#include "env/linux/service.h"
#include "reactor/reactor.h"

namespace weft::app {

Watchdog::Watchdog(Runtime& runtime)
    : runtime_(runtime),
      period_(env::watchdog_interval().value_or(0) / 2),
      timer_(runtime.app_thread(), [](void* self) { spawn(static_cast<Watchdog*>(self)->ask_all()); }, this) {}

void Watchdog::start() {
    if (period_ > 0) spawn(ask_all());
}

Task<void> Watchdog::stop() {
    timer_.stop();
    co_await asking_.close();
}

// A message to each reactor and back: what does not answer keeps the sign of life from being given.
Task<void> Watchdog::ask_all() {
    if (!asking_.try_enter()) co_return;
    for (Reactor* reactor : runtime_.reactors()) {
        co_await resume_on(reactor->first_thread());
    }
    co_await resume_on(runtime_.app_thread());
    env::tell_service_manager("WATCHDOG=1");
    if (!asking_.is_closing()) timer_.start_after(period_);
    asking_.leave();
}

}  // namespace weft::app
