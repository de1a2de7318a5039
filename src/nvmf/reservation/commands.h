// The four reservation commands (NVMe Base 2.0, 7.2 to 7.5), on the poll group's thread. Reports are answered from the
// group's copy; the others go to the app thread and come back.
#pragma once

#include "nvmf/request.h"
#include "nvmf/views.h"

namespace weft::nvmf {

inline bool is_reservation_command(nvme::IoOpcode opcode) {
    return opcode == nvme::IoOpcode::reservation_register || opcode == nvme::IoOpcode::reservation_report ||
           opcode == nvme::IoOpcode::reservation_acquire || opcode == nvme::IoOpcode::reservation_release;
}

// As plan_io(): how much data there is, and whether it can be at all.
nvme::Status plan_reservation(Request& request, uint32_t sgl_bytes);

// In state executing, with its data. Ends in Qpair::send().
void execute_reservation(Request& request, const NamespaceView& ns);

}  // namespace weft::nvmf
