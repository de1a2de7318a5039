// The commands of the Zoned Namespace Command Set (1.1, 3.4), on devices that have zones.
#pragma once

#include "nvmf/request.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// plan_io()'s part: bytes that the command moves (for Zone Append: those of its blocks), and what is wrong with it.
nvme::Status plan_zone_command(const nvme::Command& command, const NamespaceView& ns, uint64_t& bytes);

// The namespace is in use by the request, and has zones.
void execute_zone_append(Request& request);
void execute_zone_management_send(Request& request);
void execute_zone_management_receive(Request& request);

}  // namespace weft::nvmf
