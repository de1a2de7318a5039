// The service directory of Linux machines: Avahi, asked through D-Bus.
#pragma once

#include <memory>

#include "env/service_directory.h"

namespace weft::env {

std::unique_ptr<ServiceDirectory> make_avahi_directory();

}  // namespace weft::env
