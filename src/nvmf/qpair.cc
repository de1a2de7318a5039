#include "nvmf/qpair.h"

namespace weft::nvmf {

uint16_t Qpair::next_sqhd() {
    if (!has_flow_control || queue_size == 0) return nvme::sqhd_none;
    sqhd_ = static_cast<uint16_t>((sqhd_ + 1) % queue_size);
    return sqhd_;
}

}  // namespace weft::nvmf
