#include "nvmf/io/fused.h"

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "nvmf/io/gate.h"
#include "nvmf/io/steps.h"
#include "nvmf/poll_group.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

namespace {

using nvme::Fuse;
using nvme::IoOpcode;
using nvme::Status;
namespace status = nvme::status;

constexpr Status failed_fused = status::aborted_failed_fused;

// Locks that hosts keep on disk are a sector or a few; this bounds what a queue full of pairs takes from the heap.
constexpr uint32_t pair_bytes_max = 32 * 1024;

void unlink(Request& request) {
    if (request.partner == nullptr) return;
    request.partner->partner = nullptr;
    request.partner = nullptr;
}

void end(Request& half, Status outcome) {
    half.set_status(outcome);
    half.qpair->send(half);
}

// `half` has lost its other half, and ends with `outcome` as soon as it can: at once, or when its data has come.
void fail_alone(Request& half, Status outcome) {
    unlink(half);
    half.fused_outcome = outcome;
    switch (half.state()) {
        case RequestState::held:
        case RequestState::limited:
        case RequestState::retrying:
        case RequestState::waiting_for_partner:
            stop_waiting(half);
            end(half, outcome);
            break;
        default: break;
    }
}

bool is_pair(const Request& first, const Request& second) {
    return first.command.nsid == second.command.nsid && first.command.slba() == second.command.slba() &&
           first.command.block_count() == second.command.block_count();
}

// The second one, of which the device had both, is over.
void finish_pair(Request& second, Status outcome) {
    Request* const first = second.partner;
    WEFT_ASSERT(first != nullptr && first->command.fuse() == Fuse::first);
    unlink(second);
    const bool is_of_write = outcome.is(status::write_fault) || outcome.is(status::capacity_exceeded);
    release_namespace(second);
    if (outcome.is_success()) {
        end(*first, outcome);
        end(second, outcome);
    } else {
        end(*first, is_of_write ? failed_fused : outcome);
        end(second, is_of_write ? outcome : failed_fused);
    }
}

void on_pair_done(bdev::Request& io) { finish_pair(*static_cast<Request*>(io.context), to_nvme(io.status)); }

void submit_pair(Request& first, Request& second) {
    bdev::Request& io = second.io;
    io.op = bdev::Op::compare_and_write;
    io.lba = second.command.slba();
    io.blocks = second.command.block_count();
    io.data = second.data();
    io.expected = first.data();
    io.fua = (second.command.cdw12 & nvme::io_bits::force_unit_access) != 0;
    io.done = on_pair_done;
    io.context = &second;
    switch (submit_io(second)) {
        case bdev::Progress::done: finish_pair(second, to_nvme(io.status)); break;
        case bdev::Progress::pending: break;
        case bdev::Progress::retry:
            first.move(RequestEvent::await_partner);
            retry_later(second);
            break;
    }
}

}  // namespace

uint32_t fused_bytes_max(const TransportOptions& options) { return std::min(pair_bytes_max, options.max_io_size); }

Status plan_fused(const Request& request, const NamespaceView& ns) {
    const nvme::Command& command = request.command;
    const bool is_right = (command.fuse() == Fuse::first && command.io_opcode() == IoOpcode::compare) ||
                          (command.fuse() == Fuse::second && command.io_opcode() == IoOpcode::write);
    if (!is_right) return status::invalid_field.with_dnr();
    // Of a block, which is atomic anyway, there is always one.
    if (command.block_count() > 1 && request.data_bytes > fused_bytes_max(request.qpair->options())) {
        return status::atomic_write_unit_exceeded.with_dnr();
    }
    return ns.device->accepts(bdev::Op::compare_and_write) ? status::success : status::invalid_field.with_dnr();
}

Status arrive_fused(Request& request, Status planned) {
    Qpair& qpair = *request.qpair;
    if (qpair.is_admin() || request.command.is_fabrics()) return planned;
    Request* const first = std::exchange(qpair.fused_first, nullptr);
    const bool has_first_failed = std::exchange(qpair.fused_first_failed, false);
    qpair.awaits_fused = false;
    if (request.command.fuse() != Fuse::second) {
        if (first != nullptr) fail_alone(*first, status::aborted_missing_fused);
        if (request.command.fuse() != Fuse::first) return planned;
        qpair.awaits_fused = true;
        if (planned.is_success()) {
            qpair.fused_first = &request;
        } else {
            qpair.fused_first_failed = true;
        }
        return planned;
    }
    if (has_first_failed) return failed_fused;
    if (first == nullptr) return status::aborted_missing_fused;
    if (!planned.is_success()) {
        fail_alone(*first, failed_fused);
        return planned;
    }
    if (!is_pair(*first, request)) {
        fail_alone(*first, status::invalid_field.with_dnr());
        return status::invalid_field.with_dnr();
    }
    first->partner = &request;
    request.partner = first;
    return status::success;
}

// In state executing.
void execute_fused(Request& request) {
    if (!request.fused_outcome.is_success()) return finish_io(request, request.fused_outcome);
    Request* const other = request.partner;
    if (other == nullptr || other->state() != RequestState::waiting_for_partner) {
        return request.move(RequestEvent::await_partner);
    }
    const bool is_first = request.command.fuse() == Fuse::first;
    Request& first = is_first ? request : *other;
    Request& second = is_first ? *other : request;
    // The second one leads: it is what a pause holds, and what is tried again.
    if (is_first) {
        first.move(RequestEvent::await_partner);
        second.move(RequestEvent::execute);
    }
    NamespaceView* ns = second.qpair->find_namespace(second.command.nsid);
    Status refusal = status::success;
    if (ns == nullptr) {
        refusal = status::invalid_namespace_or_format.with_dnr();
    } else if (ns->is_paused && !mutant::on(mutant::pause_ignored)) {
        return hold(second);
    } else if (second.is_aborted) {
        refusal = second.is_preempted ? status::aborted_preempt_and_abort : status::aborted_by_request;
    } else if (const Status outcome = may_access(*second.qpair, *ns, IoOpcode::write); !outcome.is_success()) {
        refusal = outcome;  // who may write may compare
    } else if (uint64_t{second.command.block_count()} << ns->block_shift != second.data_bytes) {
        refusal = status::data_sgl_length_invalid.with_dnr();  // another namespace than when they were planned
    } else {
        refusal = check_range(second.command, *ns);
    }
    first.move(RequestEvent::execute);
    if (!refusal.is_success()) return finish_pair(second, refusal);
    use_namespace(second, *ns);
    SubsystemView& subsystem = *second.qpair->subsystem;
    ++subsystem.write_commands;
    subsystem.written_bytes += second.data_bytes;
    submit_pair(first, second);
}

void leave_fused(Request& request) {
    Qpair& qpair = *request.qpair;
    if (qpair.fused_first == &request) {
        qpair.fused_first = nullptr;
        qpair.fused_first_failed = true;
    }
    if (Request* const other = request.partner) fail_alone(*other, failed_fused);
}

void forget_fused(Request& request) {
    if (request.qpair->fused_first == &request) request.qpair->fused_first = nullptr;
    unlink(request);
}

bool abort_fused(Request& request) {
    switch (request.state()) {
        case RequestState::held:
        case RequestState::limited:
        case RequestState::retrying:
        case RequestState::waiting_for_partner:
            leave_fused(request);
            stop_waiting(request);
            end(request, status::aborted_by_request);
            return true;
        case RequestState::executing: {
            // The device has the pair by its second half.
            Request& second =
                request.command.fuse() == Fuse::second || request.partner == nullptr ? request : *request.partner;
            if (second.ns == nullptr) return false;
            second.is_aborted = true;
            return second.ns->channel->abort(second.io);
        }
        default: return false;
    }
}

}  // namespace weft::nvmf
