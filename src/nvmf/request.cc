#include "nvmf/request.h"

#include <algorithm>

namespace weft::nvmf {

void Request::allocate_control(uint32_t bytes) {
    control = std::make_unique<std::byte[]>(bytes);
    data_bytes = bytes;
    source = DataSource::control;
    iov[0] = {.iov_base = control.get(), .iov_len = bytes};
    iov_count = bytes > 0 ? 1 : 0;
}

void Request::use_buffers(uint32_t buffer_bytes) {
    source = DataSource::buffers;
    uint32_t left = data_bytes;
    iov_count = 0;
    for (size_t at = 0; at < buffer_count && left > 0; ++at) {
        const uint32_t piece = std::min(left, buffer_bytes);
        iov[iov_count++] = {.iov_base = buffers[at], .iov_len = piece};
        left -= piece;
    }
    WEFT_ASSERT(left == 0);
}

void Request::use_lent(Bytes memory) {
    // iovec has no const; nobody writes through it.
    iov[0] = {.iov_base = const_cast<std::byte*>(memory.data()), .iov_len = memory.size()};
    iov_count = 1;
}

void Request::reset() {
    WEFT_ASSERT(state_ == RequestState::free);
    WEFT_ASSERT(buffer_count == 0 && ns == nullptr && !is_admin_counted);
    completion = {};
    qpair = nullptr;
    data_bytes = 0;
    direction = nvme::TransferDirection::none;
    source = DataSource::none;
    iov_count = 0;
    range_next = 0;
    stream_opening = 0;
    stored_bytes = 0;
    partial_bytes = 0;
    is_aborted = false;
    control.reset();
}

}  // namespace weft::nvmf
