#include "nvmf/request.h"

#include <algorithm>

#include "nvmf/qpair.h"
#include "reactor/trace_here.h"

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

// What the field calls the states between which this was.
void Request::trace_move(RequestState from, RequestEvent event) {
    using trace::Point;
    if (from == RequestState::waiting_for_buffer) trace_at(Point::tcp_req_have_buffer);
    switch (event) {
        case RequestEvent::need_buffer: return trace_at(Point::tcp_req_need_buffer);
        case RequestEvent::receive: return;  // where the data comes from is the transport's to tell
        case RequestEvent::hold:
        case RequestEvent::limit:
        case RequestEvent::await_partner:
        case RequestEvent::withdraw: return trace_at(Point::tcp_req_held);
        case RequestEvent::execute:
            return trace_at(Point::tcp_req_executing,
                            {.c = data_bytes, .d = static_cast<uint16_t>(command.nsid.value())});
        case RequestEvent::retry: return trace_at(Point::tcp_req_retry);
        case RequestEvent::complete:
            if (from == RequestState::executing) trace_at(Point::tcp_req_executed);
            return trace_at(Point::tcp_req_rdy_to_complete,
                            {.d = static_cast<uint16_t>(completion.status.value() >> 1)});
        case RequestEvent::sent:
            return trace_at(Point::tcp_req_completed, {.c = static_cast<uint32_t>(qpair->outstanding.size())});
        case RequestEvent::connection_lost:
            if (state_ == RequestState::draining) return trace_at(Point::tcp_req_draining);
            [[fallthrough]];
        case RequestEvent::drained:
            return trace_at(Point::tcp_req_lost, {.c = static_cast<uint32_t>(qpair->outstanding.size())});
    }
}

void Request::write_trace(trace::Point point, const trace::Arguments& arguments) {
    if (trace_id_ == 0) trace_id_ = io.trace_owner = new_trace_object();
    trace_here(point, trace_id_, arguments);
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
    range_done = 0;
    is_half_done = false;
    WEFT_ASSERT(partner == nullptr);
    fused_outcome = {};
    stream_opening = 0;
    stored_bytes = 0;
    partial_bytes = 0;
    is_aborted = false;
    is_preempted = false;
    has_turn = false;
    trace_id_ = 0;
    io.trace_owner = 0;
    control.reset();
}

}  // namespace weft::nvmf
