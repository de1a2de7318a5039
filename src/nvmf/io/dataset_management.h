// Dataset Management (NVM Command Set 1.0, 3.2.3): deallocates one range after another. Other attributes are hints.
#pragma once

#include "nvmf/request.h"

namespace weft::nvmf {

// Of the ranges that the command brings.
constexpr uint32_t dataset_management_bytes(const nvme::Command& command) {
    return ((command.cdw10 & 0xFF) + 1) * sizeof(nvme::DatasetManagementRange);
}

// The namespace is in use by the request; the ranges lie in its first buffer.
void execute_dataset_management(Request& request);

}  // namespace weft::nvmf
