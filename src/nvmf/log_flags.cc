#include "nvmf/log_flags.h"

namespace weft::nvmf {

log::Flag log_nvmf{"nvmf"};
log::Flag log_nvmf_tcp{"nvmf_tcp"};

void register_log_flags() {
    log::register_flag(log_nvmf);
    log::register_flag(log_nvmf_tcp);
}

}  // namespace weft::nvmf
