// Connect (NVMe Base 2.0, 6.3): a connection becomes the admin queue of a new controller, or an I/O queue of one.
#pragma once

#include "nvme/command.h"
#include "nvmf/qpair.h"
#include "nvmf/request.h"

namespace weft::nvmf {

// In-capsule data that admin and fabrics commands may have, whatever the transport's option says.
inline constexpr uint32_t admin_in_capsule_max = 8192;

inline bool is_connect(const nvme::Command& command) {
    return command.is_fabrics() && command.fabrics_type() == nvme::FabricsType::connect;
}

// Starts a Connect, in state executing, with its 1024 bytes in control data. Ends in Qpair::send().
void start_connect(Request& request);

// For transports: the connection stops taking commands; later, it is destroyed next.
void qpair_closed(Qpair& qpair);
void qpair_gone(Qpair& qpair);

}  // namespace weft::nvmf
