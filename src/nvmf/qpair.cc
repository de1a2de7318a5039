#include "nvmf/qpair.h"

#include "nvmf/auth/qpair_auth.h"

namespace weft::nvmf {

Qpair::Qpair(PollGroup& group, const TransportOptions& options, uint64_t uid)
    : group_(group), options_(options), uid_(uid) {}
Qpair::~Qpair() { WEFT_ASSERT(outstanding.empty()); }

// NVMe Base 2.0, 3.3.2 and 8.13.2: first Connect, then, if the controller demands it, authentication.
nvme::Status Qpair::check_early(const nvme::Command& command) const {
    using nvme::FabricsType;
    const bool is_fabrics = command.is_fabrics();
    if (is_fabrics && command.fabrics_type() == FabricsType::connect) return nvme::status::success;
    if (state != State::authenticating) return nvme::status::command_sequence_error;
    const bool is_auth = is_fabrics && (command.fabrics_type() == FabricsType::authentication_send ||
                                        command.fabrics_type() == FabricsType::authentication_receive);
    return is_auth ? nvme::status::success : nvme::status::authentication_required;
}

uint16_t Qpair::next_sqhd() {
    if (!has_flow_control || queue_size == 0) return nvme::sqhd_none;
    sqhd_ = static_cast<uint16_t>((sqhd_ + 1) % queue_size);
    return sqhd_;
}

void Qpair::set_attached(uint32_t nsid, bool is_so) {
    const size_t word = (nsid - 1) / 64;
    const uint64_t bit = uint64_t{1} << (nsid - 1) % 64;
    if (is_so) {
        if (attached_.size() <= word) attached_.resize(word + 1);
        attached_[word] |= bit;
    } else if (word < attached_.size()) {
        attached_[word] &= ~bit;
    }
}

}  // namespace weft::nvmf
