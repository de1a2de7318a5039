// From a command that arrived to the code that does it: I/O to io_commands.h, admin commands to the controller,
// fabrics commands to connect.h and the controller. What a transport calls.
#pragma once

#include "nvmf/request.h"

namespace weft::nvmf {

// Checks what can be checked before the data phase and fills direction and data_bytes.
nvme::Status plan_command(Request& request, uint32_t sgl_bytes);

// Its data goes to the heap (DataSource::control): admin and fabrics commands.
bool uses_control_data(const Request& request);

// Starts an admin or fabrics command; ends in Qpair::send(). I/O commands go to execute_io().
void execute_command(Request& request);

// The request no longer counts as an admin command in execution.
void admin_command_over(Request& request);

}  // namespace weft::nvmf
