// What a controller's refusal means to whoever asked for more than a command: an Error that names the step.
#pragma once

#include <string_view>

#include "base/result.h"
#include "nvme/command.h"
#include "nvme_host/io.h"

namespace weft::nvme_host {

// "Identify Controller: INVALID FIELD (00/02)". `fabrics`: of a fabrics command, whose statuses have names of
// their own; of a Connect that was refused for a parameter, the message says which.
Error status_error(std::string_view step, const nvme::Completion& completion, bool fabrics = false);

}  // namespace weft::nvme_host
