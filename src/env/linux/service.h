// The service manager that started this program (systemd), if one did: what it is told, and what it wants to hear.
#pragma once

#include <optional>
#include <string>

#include "env/clock.h"

namespace weft::env {

// Sends `state`, lines of NAME=VALUE as sd_notify(3) has them. Without a service manager it does nothing.
void tell_service_manager(const std::string& state);

// It ends this program unless it hears WATCHDOG=1 within each such time; nullopt: it does not wait for that.
std::optional<TimeNs> watchdog_interval();

}  // namespace weft::env
