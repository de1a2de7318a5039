// One command in execution: the part of a transport's request slot that the transport-independent code knows.
//
// Lives in its transport poll group's slot pool, at a fixed address, on that group's thread. Nothing is allocated
// for an I/O command; admin and fabrics commands get their data from the heap (they must never wait for buffers).
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "base/probe.h"
#include "base/trace.h"
#include "bdev/request.h"
#include "memory/buffer_pool.h"
#include "nvme/command.h"
#include "nvme/status.h"
#include "nvmf/request_state.h"

namespace weft::nvmf {

class Qpair;
struct NamespaceView;

// Where the command's data is while the target has it.
enum class DataSource : uint8_t {
    none,
    received,  // in the transport's receive buffer: dies with the turn
    buffers,   // in buffers of the pool
    control,   // on the heap: admin and fabrics commands
    lent,      // in the device itself: lent anew whenever it is about to be sent
    streamed,  // in the device already, all but what there is of one block: see streamed_write.h
};

struct Request {  // NOLINT(cppcoreguidelines-pro-type-member-init): data are written before they are read
    // max_io_size / io_unit_size is at most this (checked when a transport is created).
    static constexpr size_t buffer_max = 16;

    nvme::Command command;
    nvme::Completion completion;  // sqhd and cid are the transport's to fill
    Qpair* qpair = nullptr;
    NamespaceView* ns = nullptr;  // whose `outstanding` counts this request; nullptr when none does
    uint32_t data_bytes = 0;      // of the data phase, either way
    nvme::TransferDirection direction = nvme::TransferDirection::none;
    DataSource source = DataSource::none;
    uint8_t buffer_count = 0;
    uint8_t iov_count = 0;
    uint16_t range_next = 0;      // Dataset Management, Copy: the range to do next
    uint32_t range_done = 0;      // Copy: blocks of it that are there
    bool is_half_done = false;    // Copy: the piece at hand was read, and is to be written
    Request* partner = nullptr;   // fused: the other half of the pair, while both are there
    nvme::Status fused_outcome;   // fused: it is alone, and ends with this when its data has come
    uint64_t stream_opening = 0;  // streamed: NamespaceView::opening of where it goes
    uint32_t stored_bytes = 0;    // streamed: in the device
    uint32_t partial_bytes = 0;   // streamed: after these, in iov[0], arrived but not stored
    env::TimeNs began = 0;        // the turn in which its capsule arrived
    bool is_aborted = false;      // Abort asked for it while the device had it
    bool is_preempted = false;    // the same, for a Preempt and Abort
    bool has_turn = false;        // it has paid what it costs of its host's limits: qos/host_lane.h
    bool is_turn_of_write = false;  // how it pays, or paid
    uint64_t turn_bytes = 0;
    bool is_admin_counted = false;  // counts in SubsystemView::admin_outstanding

    ListLink<Request> outstanding_link;  // of its qpair
    ListLink<Request> parked_link;       // held, limited, retrying

    // The data: what the device reads into or writes from, and what the transport sends.
    std::array<iovec, buffer_max + 1> iov;
    std::array<std::byte*, buffer_max> buffers;
    BufferWaiter buffer_waiter;
    std::unique_ptr<std::byte[]> control;
    bdev::Request io;
    bdev::Protection protection;  // what io.protection points at, when it points at something

    [[nodiscard]] RequestState state() const { return state_; }
    // The only assignment to the state.
    void move(RequestEvent event) {
        const RequestState from = state_;
        state_ = next_state(state_, event);
        WEFT_PROBE(request_state, this, static_cast<uint8_t>(from), static_cast<uint8_t>(state_), command.opcode);
        if (trace::is_on(trace::Group::nvmf_tcp)) [[unlikely]]
            trace_move(from, event);
    }
    // An entry of a trace, when `point` is on. The stages that are states are move()'s to tell.
    void trace_at(trace::Point point, const trace::Arguments& arguments = {}) {
        if (trace::is_on(point)) [[unlikely]]
            write_trace(point, arguments);
    }

    [[nodiscard]] std::span<const iovec> data() const { return std::span(iov).first(iov_count); }
    // Control data, data_bytes long.
    [[nodiscard]] MutableBytes control_data() { return {control.get(), data_bytes}; }
    // Gives the command its control data, zeroed.
    void allocate_control(uint32_t bytes);
    // Points iov at the first data_bytes of the buffers.
    void use_buffers(uint32_t buffer_bytes);
    void use_lent(Bytes memory);

    void set_status(nvme::Status status) { completion.status = status.to_wire(); }
    [[nodiscard]] nvme::Status status() const { return nvme::Status::from_wire(completion.status); }
    // Back to how a slot is before its command arrives; the links must be out of their lists.
    void reset();

private:
    void trace_move(RequestState from, RequestEvent event);
    void write_trace(trace::Point point, const trace::Arguments& arguments);

    uint64_t trace_id_ = 0;  // of the command, in a trace; 0 until the first entry
    RequestState state_ = RequestState::free;
};

}  // namespace weft::nvmf
