#include "nvmf/io/io_commands.h"

#include <algorithm>

#include "base/mutants.h"
#include "bdev/device.h"
#include "nvmf/io/copy.h"
#include "nvmf/io/dataset_management.h"
#include "nvmf/io/fused.h"
#include "nvmf/io/gate.h"
#include "nvmf/io/metadata.h"
#include "nvmf/io/opcodes.h"
#include "nvmf/io/steps.h"
#include "nvmf/io/streamed_write.h"
#include "nvmf/io/zones/zone_commands.h"
#include "nvmf/poll_group.h"
#include "nvmf/qpair.h"
#include "nvmf/reservation/commands.h"

namespace weft::nvmf {

namespace {

using nvme::IoOpcode;
using nvme::Status;
namespace status = nvme::status;

void on_io_done(bdev::Request& io) { finish_io(*static_cast<Request*>(io.context), to_nvme(io.status)); }

}  // namespace

// A read keeps its namespace while its data is device memory yet to be sent.
void finish_io(Request& request, Status outcome) {
    if (request.is_preempted && outcome.is(status::aborted_by_request)) outcome = status::aborted_preempt_and_abort;
    if (request.io.protection != nullptr || request.io.metadata_in_data) [[unlikely]] {
        request.io.protection = nullptr;
        request.io.metadata_in_data = false;
    }
    if (request.source != DataSource::lent || !outcome.is_success()) release_namespace(request);
    if (!outcome.is_success() && request.direction == nvme::TransferDirection::controller_to_host) {
        request.data_bytes = 0;
        request.iov_count = 0;
        if (request.source == DataSource::lent) request.source = DataSource::none;
    }
    request.set_status(outcome);
    request.qpair->send(request);
}

void hold(Request& request) {
    WEFT_ASSERT(request.source != DataSource::received);
    request.move(RequestEvent::hold);
    request.qpair->subsystem->held.push_back(request);
}

void retry_later(Request& request) {
    release_namespace(request);
    request.qpair->group().park_for_retry(request);
}

void use_namespace(Request& request, NamespaceView& ns) {
    request.ns = &ns;
    ++ns.outstanding;
}

// A device only refuses data in the receive buffer while another reactor copies the very block out, and that one waits
// for nobody.
bdev::Progress submit_io(Request& request) {
    bdev::Channel& channel = *request.ns->channel;
    bdev::Progress progress = channel.submit(request.io);
    while (progress == bdev::Progress::retry && request.source == DataSource::received) {
        __builtin_ia32_pause();
        progress = channel.submit(request.io);
    }
    return progress;
}

void start_io(Request& request, bdev::Op op, uint64_t lba, uint64_t blocks) {
    bdev::Request& io = request.io;
    io.op = op;
    io.lba = lba;
    io.blocks = blocks;
    io.data = bdev::has_data(op) ? request.data() : std::span<const iovec>{};
    io.done = on_io_done;
    io.context = &request;
    if (request.ns->metadata.metadata_bytes != 0) [[unlikely]] {
        if (const Status outcome = use_metadata(request); !outcome.is_success()) return finish_io(request, outcome);
    }
    switch (submit_io(request)) {
        case bdev::Progress::done: finish_io(request, to_nvme(io.status)); break;
        case bdev::Progress::pending: break;
        case bdev::Progress::retry: retry_later(request); break;
    }
}

namespace {

void grant(BufferWaiter& waiter) {
    auto& request = *static_cast<Request*>(waiter.context);
    request.buffer_count = static_cast<uint8_t>(waiter.into.size());
    request.qpair->resume(request);
}

}  // namespace

bool get_buffers(Request& request, uint32_t bytes) {
    if (request.buffer_count > 0) return true;
    BufferCache& buffers = request.qpair->buffers();
    const uint32_t unit = buffers.pool().buffer_bytes();
    const auto count = (bytes + unit - 1) / unit;
    const auto into = std::span(request.buffers).first(count);
    if (!buffers.take(into)) {
        request.move(RequestEvent::need_buffer);
        request.buffer_waiter.into = into;
        request.buffer_waiter.claim = BufferClaim::ordinary;
        request.buffer_waiter.granted = grant;
        request.buffer_waiter.context = &request;
        buffers.wait(request.buffer_waiter);
        return false;
    }
    request.buffer_count = static_cast<uint8_t>(count);
    return true;
}

namespace {

void execute_read(Request& request) {
    NamespaceView& ns = *request.ns;
    if (ns.device->lends(request.command.block_count())) {
        // The device's memory is looked up when the socket takes the data: see Channel::lend.
        request.source = DataSource::lent;
        ns.channel->prefetch(request.command.slba());
        finish_io(request, status::success);
        return;
    }
    if (request.buffer_count == 0) {
        release_namespace(request);  // a pause need not wait for buffers
        if (!get_buffers(request, request.data_bytes)) return;
        use_namespace(request, ns);
    }
    request.use_buffers(request.qpair->buffers().pool().buffer_bytes());
    request.io.fua = false;
    start_io(request, bdev::Op::read, request.command.slba(), request.command.block_count());
}

// Of a streamed Write all is done, or a pause has left a rest.
void execute_write(Request& request) {
    if (!is_stream_intact(request, *request.ns))
        return finish_io(request, status::invalid_namespace_or_format.with_dnr());
    if (request.source == DataSource::streamed) {
        WEFT_ASSERT(request.stored_bytes == request.data_bytes);
        request.ns->channel->count_stored_write(request.data_bytes);
        return finish_io(request, status::success);
    }
    const uint64_t stored = request.stored_bytes >> request.ns->block_shift;
    start_io(request, bdev::Op::write, request.command.slba() + stored, request.command.block_count() - stored);
}

void execute_write_zeroes(Request& request) {
    const nvme::Command& command = request.command;
    // DEAC asks for deallocation; what is deallocated reads as zero on every device (DLFEAT).
    const bool deallocate = (command.cdw12 & nvme::io_bits::deallocate) != 0 && !request.io.fua &&
                            request.ns->device->supports(bdev::Op::unmap);
    const bdev::Op op = deallocate ? bdev::Op::unmap : bdev::Op::write_zeroes;
    const uint64_t blocks =
        command.block_count() - (mutant::on(mutant::last_block_not_zeroed) && command.block_count() > 1);
    start_io(request, op, command.slba(), blocks);
}

// What has not been executed yet of a command that passed all checks, and uses its namespace.
void execute_checked(Request& request) {
    const nvme::Command& command = request.command;
    switch (command.io_opcode()) {
        case IoOpcode::read: return execute_read(request);
        case IoOpcode::write: return execute_write(request);
        case IoOpcode::compare: return start_io(request, bdev::Op::compare, command.slba(), command.block_count());
        case IoOpcode::verify: return start_io(request, bdev::Op::verify, command.slba(), command.block_count());
        case IoOpcode::write_uncorrectable:
            return start_io(request, bdev::Op::write_uncorrectable, command.slba(), command.block_count());
        case IoOpcode::write_zeroes: return execute_write_zeroes(request);
        case IoOpcode::flush:
            if (mutant::on(mutant::flush_not_passed_on)) return finish_io(request, status::success);
            return start_io(request, bdev::Op::flush, 0, 0);
        case IoOpcode::dataset_management: return execute_dataset_management(request);
        case IoOpcode::copy: return execute_copy(request);
        case IoOpcode::zone_append: return execute_zone_append(request);
        case IoOpcode::zone_management_send: return execute_zone_management_send(request);
        case IoOpcode::zone_management_receive: return execute_zone_management_receive(request);
        default: return finish_io(request, status::invalid_opcode.with_dnr());
    }
}

}  // namespace

Status check_range(const nvme::Command& command, const NamespaceView& ns) {
    const uint64_t total = ns.device->block_count();
    if (command.slba() > total || command.block_count() > total - command.slba()) {
        return status::lba_out_of_range.with_dnr();
    }
    return status::success;
}

Status to_nvme(bdev::Status outcome) {
    switch (outcome) {
        case bdev::Status::success: return status::success;
        case bdev::Status::failed: return status::internal_error;
        case bdev::Status::out_of_range: return status::lba_out_of_range.with_dnr();
        case bdev::Status::not_supported: return status::invalid_opcode.with_dnr();
        case bdev::Status::read_error: return status::unrecovered_read_error;
        case bdev::Status::write_error:
            if (mutant::on(mutant::write_error_hidden)) return status::success;
            return status::write_fault;
        case bdev::Status::no_space: return status::capacity_exceeded;
        case bdev::Status::no_memory: return status::command_interrupted;
        case bdev::Status::gone: return status::internal_error;  // a path problem: DNR stays clear
        case bdev::Status::aborted: return status::aborted_by_request;
        case bdev::Status::zone_full: return status::zone_is_full.with_dnr();
        case bdev::Status::zone_read_only: return status::zone_is_read_only.with_dnr();
        case bdev::Status::zone_offline: return status::zone_is_offline.with_dnr();
        case bdev::Status::zone_boundary: return status::zone_boundary_error.with_dnr();
        case bdev::Status::zone_invalid_write: return status::zone_invalid_write.with_dnr();
        case bdev::Status::zone_invalid_transition: return status::invalid_zone_state_transition.with_dnr();
        case bdev::Status::too_many_active_zones: return status::too_many_active_zones;
        case bdev::Status::too_many_open_zones: return status::too_many_open_zones;
        case bdev::Status::guard_error: return status::guard_check_error;
        case bdev::Status::application_tag_error: return status::application_tag_check_error;
        case bdev::Status::reference_tag_error: return status::reference_tag_check_error;
        case bdev::Status::storage_tag_error: return status::storage_tag_check_error;
        case bdev::Status::miscompare:
            if (mutant::on(mutant::compare_always_equal)) return status::success;
            return status::compare_failure.with_dnr();
    }
    return status::internal_error;
}

Status plan_io(Request& request, uint32_t sgl_bytes) {
    const nvme::Command& command = request.command;
    const uint8_t traits = traits_of(command);
    request.direction = nvme::TransferDirection::none;
    request.data_bytes = 0;
    if ((traits & io_trait::known) == 0) return status::invalid_opcode.with_dnr();
    const NamespaceView* ns = request.qpair->find_namespace(command.nsid);
    if (ns == nullptr) return status::invalid_namespace_or_format.with_dnr();
    // Asked again when the command begins; here so that no data is sent for nothing.
    if (const Status outcome = may_access(*request.qpair, *ns, command.io_opcode()); !outcome.is_success()) {
        return outcome;
    }
    if (is_reservation_command(command.io_opcode())) [[unlikely]] {
        return is_fused(request) ? status::invalid_field.with_dnr() : plan_reservation(request, sgl_bytes);
    }

    uint64_t bytes = 0;
    if ((traits & io_trait::range) != 0) {
        if (const Status outcome = check_range(command, *ns); !outcome.is_success()) return outcome;
        if ((traits & io_trait::blocks) != 0) bytes = transfer_bytes(command, *ns);
    } else if (command.io_opcode() == IoOpcode::dataset_management) {
        bytes = dataset_management_bytes(command);
    } else if (command.io_opcode() == IoOpcode::copy) {
        bytes = copy_bytes(command);
    } else if ((traits & io_trait::zoned) != 0) {
        if (const Status outcome = plan_zone_command(command, *ns, bytes); !outcome.is_success()) return outcome;
    }
    // MDTS bounds the transfer (NVMe Base 2.0, Figure 275), the SGL must hold it (4.1.2).
    if (bytes > request.qpair->options().max_io_size) return status::invalid_field.with_dnr();
    if (bytes > sgl_bytes) return status::data_sgl_length_invalid.with_dnr();
    if (bytes > 0) {
        request.data_bytes = static_cast<uint32_t>(bytes);
        request.direction = nvme::transfer_direction(command.opcode);
    }
    if (is_fused(request)) [[unlikely]]
        return plan_fused(request, *ns);
    return status::success;
}

bool uses_heap(const Request& request) {
    return ((traits_of(request.command) & io_trait::parameters) != 0) || is_fused(request);
}

bool takes_received_data(const Request& request) {
    const IoOpcode opcode = request.command.io_opcode();
    if (opcode != IoOpcode::write && opcode != IoOpcode::compare) return false;
    if (request.qpair->lane != nullptr) return false;  // it may have to wait
    const NamespaceView* ns = request.qpair->find_namespace(request.command.nsid);
    return ns != nullptr && !ns->is_paused && ns->device->consumes_data_inline();
}

void execute_io(Request& request) {
    // To ask a device again that was busy is no I/O: the reactor may rest in between.
    if (request.state() != RequestState::retrying) request.qpair->group().thread().reactor().note_io();
    request.move(RequestEvent::execute);
    if (request.qpair->lane != nullptr && !request.qpair->lane->pass(request)) [[unlikely]]
        return;
    if (is_fused(request)) [[unlikely]]
        return execute_fused(request);
    const nvme::Command& command = request.command;
    const uint8_t traits = traits_of(command);
    const uint32_t less = mutant::on(mutant::nsid_off_by_one) && command.nsid > 1 ? 1 : 0;
    NamespaceView* ns = request.qpair->find_namespace(command.nsid - less);
    if (ns == nullptr) return finish_io(request, status::invalid_namespace_or_format.with_dnr());
    if (ns->is_paused && !mutant::on(mutant::pause_ignored)) return hold(request);
    if (request.is_aborted) return finish_io(request, status::aborted_by_request);
    if (const Status outcome = may_access(*request.qpair, *ns, command.io_opcode()); !outcome.is_success()) {
        return finish_io(request, outcome);
    }
    if (is_reservation_command(command.io_opcode())) [[unlikely]]
        return execute_reservation(request, *ns);
    // The namespace may be another one than when the command was planned.
    if ((traits & io_trait::range) != 0) {
        if (const Status outcome = check_range(command, *ns); !outcome.is_success()) return finish_io(request, outcome);
        if ((traits & io_trait::blocks) != 0 && transfer_bytes(command, *ns) != request.data_bytes) {
            return finish_io(request, status::data_sgl_length_invalid.with_dnr());
        }
    } else if ((traits & io_trait::zoned) != 0) {
        uint64_t bytes = 0;
        const Status outcome = plan_zone_command(command, *ns, bytes);
        if (!outcome.is_success()) return finish_io(request, outcome);
        if (bytes != request.data_bytes) return finish_io(request, status::data_sgl_length_invalid.with_dnr());
    }
    use_namespace(request, *ns);
    SubsystemView& subsystem = *request.qpair->subsystem;
    if (command.io_opcode() == IoOpcode::read) {
        ++subsystem.read_commands;
        subsystem.read_bytes += request.data_bytes;
    } else if (command.io_opcode() == IoOpcode::write) {
        ++subsystem.write_commands;
        subsystem.written_bytes += request.data_bytes;
    }
    request.io.fua = (command.cdw12 & nvme::io_bits::force_unit_access) != 0;
    if (mutant::on(mutant::fua_ignored)) request.io.fua = false;
    execute_checked(request);
}

void release_namespace(Request& request) {
    NamespaceView* ns = request.ns;
    if (ns == nullptr) return;
    request.ns = nullptr;
    WEFT_ASSERT(ns->outstanding > 0);
    const bool is_drained = --ns->outstanding == 0 && ns->is_paused;
    if (is_drained || ns->watchers > 0) ns->drained.wake_all();
}

void stop_waiting(Request& request) {
    switch (request.state()) {
        case RequestState::waiting_for_buffer: request.qpair->buffers().stop_waiting(request.buffer_waiter); break;
        case RequestState::held: request.qpair->subsystem->held.remove(request); break;
        case RequestState::limited: request.qpair->lane->stop_waiting(request); break;
        case RequestState::retrying: request.qpair->group().unpark(request); break;
        default: break;
    }
}

}  // namespace weft::nvmf
