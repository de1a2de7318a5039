#include "env/linux/service.h"

#include <systemd/sd-daemon.h>

namespace weft::env {

void tell_service_manager(const std::string& state) { (void)sd_notify(0, state.c_str()); }

std::optional<TimeNs> watchdog_interval() {
    uint64_t interval_us = 0;
    if (sd_watchdog_enabled(0, &interval_us) <= 0 || interval_us == 0) return std::nullopt;
    return interval_us * ns_per_us;
}

}  // namespace weft::env
