// The log flags of this room.
#pragma once

#include "base/log.h"

namespace weft::nvmf {

extern log::Flag log_nvmf;      // "nvmf"
extern log::Flag log_nvmf_tcp;  // "nvmf_tcp"

void register_log_flags();

}  // namespace weft::nvmf
