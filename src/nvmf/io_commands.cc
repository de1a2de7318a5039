#include "nvmf/io_commands.h"

#include <algorithm>

#include "base/mutants.h"
#include "bdev/device.h"
#include "nvmf/poll_group.h"
#include "nvmf/qpair.h"
#include "nvmf/streamed_write.h"

namespace weft::nvmf {

namespace {

using nvme::IoOpcode;
using nvme::Status;
namespace status = nvme::status;

void on_io_done(bdev::Request& io);
void run_ranges(Request& request);

// The command is over. A read keeps its namespace while its data is device memory yet to be sent.
void finish(Request& request, Status outcome) {
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

// Gives the device request.io. Data in the receive buffer cannot wait for a later turn, so a device that takes such
// data is asked until it takes it: it only refuses while another reactor copies the very block out, and that
// one waits for nobody.
bdev::Progress submit(Request& request) {
    bdev::Channel& channel = *request.ns->channel;
    bdev::Progress progress = channel.submit(request.io);
    while (progress == bdev::Progress::retry && request.source == DataSource::received) {
        __builtin_ia32_pause();
        progress = channel.submit(request.io);
    }
    return progress;
}

void start(Request& request, bdev::Op op, uint64_t lba, uint64_t blocks) {
    bdev::Request& io = request.io;
    io.op = op;
    io.lba = lba;
    io.blocks = blocks;
    io.data = op == bdev::Op::read || op == bdev::Op::write || op == bdev::Op::compare ? request.data()
                                                                                       : std::span<const iovec>{};
    io.done = on_io_done;
    io.context = &request;
    switch (submit(request)) {
        case bdev::Progress::done: finish(request, to_nvme(io.status)); break;
        case bdev::Progress::pending: break;
        case bdev::Progress::retry:
            release_namespace(request);
            request.qpair->group().park_for_retry(request);
            break;
    }
}

void on_io_done(bdev::Request& io) {
    auto& request = *static_cast<Request*>(io.context);
    if (request.command.io_opcode() == IoOpcode::dataset_management && io.status == bdev::Status::success &&
        request.state() == RequestState::executing) {
        run_ranges(request);
        return;
    }
    finish(request, to_nvme(io.status));
}

// Dataset Management, Deallocate: one range after another; the ranges lie in the request's first buffer.
void run_ranges(Request& request) {
    const uint32_t count = mutant::on(mutant::first_range_only) ? 1 : (request.command.cdw10 & 0xFF) + 1;
    const Bytes ranges(static_cast<const std::byte*>(request.iov[0].iov_base), request.iov[0].iov_len);
    while (request.range_next < count) {
        const auto range = load<nvme::DatasetManagementRange>(
            ranges.subspan(request.range_next * sizeof(nvme::DatasetManagementRange)));
        const uint64_t total = request.ns->device->block_count();
        if (range.slba > total || range.block_count > total - range.slba) {
            finish(request, status::lba_out_of_range.with_dnr());
            return;
        }
        if (range.block_count == 0) {
            ++request.range_next;
            continue;
        }
        bdev::Request& io = request.io;
        io.op = bdev::Op::unmap;
        io.fua = false;
        io.lba = range.slba;
        io.blocks = range.block_count;
        if (mutant::on(mutant::range_one_too_long) && range.slba + range.block_count < total) ++io.blocks;
        io.data = {};
        io.done = on_io_done;
        io.context = &request;
        const bdev::Progress progress = submit(request);
        if (progress == bdev::Progress::retry) {
            release_namespace(request);
            request.qpair->group().park_for_retry(request);
            return;
        }
        ++request.range_next;
        if (progress == bdev::Progress::pending) return;
        if (io.status != bdev::Status::success) {
            finish(request, to_nvme(io.status));
            return;
        }
    }
    finish(request, status::success);
}

void grant(BufferWaiter& waiter);

// Buffers for a read that the device cannot lend. False: the request waits for them.
bool get_read_buffers(Request& request) {
    if (request.buffer_count > 0) return true;
    BufferCache& buffers = request.qpair->buffers();
    const uint32_t unit = buffers.pool().buffer_bytes();
    const auto count = (request.data_bytes + unit - 1) / unit;
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

void grant(BufferWaiter& waiter) {
    auto& request = *static_cast<Request*>(waiter.context);
    request.buffer_count = static_cast<uint8_t>(waiter.into.size());
    request.qpair->resume(request);
}

void execute_read(Request& request) {
    NamespaceView& ns = *request.ns;
    if (ns.device->lends(request.command.block_count())) {
        // The device's memory is looked up when the socket takes the data: see Channel::lend.
        request.source = DataSource::lent;
        ns.channel->prefetch(request.command.slba());
        finish(request, status::success);
        return;
    }
    if (request.buffer_count == 0) {
        release_namespace(request);  // a pause need not wait for buffers
        if (!get_read_buffers(request)) return;
        request.ns = &ns;
        ++ns.outstanding;
    }
    request.use_buffers(request.qpair->buffers().pool().buffer_bytes());
    request.io.fua = false;
    start(request, bdev::Op::read, request.command.slba(), request.command.block_count());
}

// Of a streamed Write all is done, or a pause has left a rest.
void execute_write(Request& request) {
    if (!is_stream_intact(request, *request.ns)) return finish(request, status::invalid_namespace_or_format.with_dnr());
    if (request.source == DataSource::streamed) {
        WEFT_ASSERT(request.stored_bytes == request.data_bytes);
        request.ns->channel->count_stored_write(request.data_bytes);
        return finish(request, status::success);
    }
    const uint64_t stored = request.stored_bytes >> request.ns->block_shift;
    start(request, bdev::Op::write, request.command.slba() + stored, request.command.block_count() - stored);
}

bool has_lba_range(IoOpcode opcode) {
    return opcode == IoOpcode::read || opcode == IoOpcode::write || opcode == IoOpcode::compare ||
           opcode == IoOpcode::write_zeroes;
}

Status check_range(const nvme::Command& command, const NamespaceView& ns) {
    const uint64_t total = ns.device->block_count();
    if (command.slba() > total || command.block_count() > total - command.slba()) {
        return status::lba_out_of_range.with_dnr();
    }
    return status::success;
}

}  // namespace

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
        case bdev::Status::miscompare:
            if (mutant::on(mutant::compare_always_equal)) return status::success;
            return status::compare_failure.with_dnr();
    }
    return status::internal_error;
}

Status plan_io(Request& request, uint32_t sgl_bytes) {
    const nvme::Command& command = request.command;
    const IoOpcode opcode = command.io_opcode();
    request.direction = nvme::TransferDirection::none;
    request.data_bytes = 0;
    switch (opcode) {
        case IoOpcode::flush:
        case IoOpcode::write:
        case IoOpcode::read:
        case IoOpcode::compare:
        case IoOpcode::write_zeroes:
        case IoOpcode::dataset_management: break;
        default: return status::invalid_opcode.with_dnr();
    }
    if (command.fuse() != nvme::Fuse::none) return status::invalid_field.with_dnr();
    const NamespaceView* ns = request.qpair->subsystem->find(command.nsid);
    if (ns == nullptr) return status::invalid_namespace_or_format.with_dnr();

    uint64_t bytes = 0;
    if (has_lba_range(opcode)) {
        if (const Status outcome = check_range(command, *ns); !outcome.is_success()) return outcome;
        if (opcode == IoOpcode::write_zeroes) return status::success;
        bytes = uint64_t{command.block_count()} << ns->block_shift;
    } else if (opcode == IoOpcode::dataset_management) {
        bytes = uint64_t{(command.cdw10 & 0xFF) + 1} * sizeof(nvme::DatasetManagementRange);
    } else {
        return status::success;
    }
    // MDTS bounds the transfer (NVMe Base 2.0, Figure 275), the SGL must hold it (4.1.2).
    if (bytes > request.qpair->options().max_io_size) return status::invalid_field.with_dnr();
    if (bytes > sgl_bytes) return status::data_sgl_length_invalid.with_dnr();
    request.data_bytes = static_cast<uint32_t>(bytes);
    request.direction = opcode == IoOpcode::read ? nvme::TransferDirection::controller_to_host
                                                 : nvme::TransferDirection::host_to_controller;
    return status::success;
}

bool takes_received_data(const Request& request) {
    const IoOpcode opcode = request.command.io_opcode();
    if (opcode != IoOpcode::write && opcode != IoOpcode::compare) return false;
    const NamespaceView* ns = request.qpair->subsystem->find(request.command.nsid);
    return ns != nullptr && !ns->is_paused && ns->device->consumes_data_inline();
}

void execute_io(Request& request) {
    request.move(RequestEvent::execute);
    request.qpair->group().thread().reactor().note_io();
    const nvme::Command& command = request.command;
    const IoOpcode opcode = command.io_opcode();
    const uint32_t less = mutant::on(mutant::nsid_off_by_one) && command.nsid > 1 ? 1 : 0;
    NamespaceView* ns = request.qpair->subsystem->find(command.nsid - less);
    if (ns == nullptr) return finish(request, status::invalid_namespace_or_format.with_dnr());
    if (ns->is_paused && !mutant::on(mutant::pause_ignored)) return hold(request);
    if (request.is_aborted) return finish(request, status::aborted_by_request);
    // The namespace may be another one than when the command was planned.
    if (has_lba_range(opcode)) {
        if (const Status outcome = check_range(command, *ns); !outcome.is_success()) return finish(request, outcome);
        if (opcode != IoOpcode::write_zeroes &&
            uint64_t{command.block_count()} << ns->block_shift != request.data_bytes) {
            return finish(request, status::data_sgl_length_invalid.with_dnr());
        }
    }
    request.ns = ns;
    ++ns->outstanding;
    SubsystemView& subsystem = *request.qpair->subsystem;
    if (opcode == IoOpcode::read) {
        ++subsystem.read_commands;
        subsystem.read_bytes += request.data_bytes;
    } else if (opcode == IoOpcode::write) {
        ++subsystem.write_commands;
        subsystem.written_bytes += request.data_bytes;
    }

    request.io.fua = (command.cdw12 & nvme::io_bits::force_unit_access) != 0;
    if (mutant::on(mutant::fua_ignored)) request.io.fua = false;
    switch (opcode) {
        case IoOpcode::read: return execute_read(request);
        case IoOpcode::write: return execute_write(request);
        case IoOpcode::compare: return start(request, bdev::Op::compare, command.slba(), command.block_count());
        case IoOpcode::write_zeroes: {
            // DEAC asks for deallocation; what is deallocated reads as zero on every device (DLFEAT).
            const bool deallocate = (command.cdw12 & nvme::io_bits::deallocate) != 0 && !request.io.fua;
            const bdev::Op op = deallocate ? bdev::Op::unmap : bdev::Op::write_zeroes;
            const uint64_t blocks =
                command.block_count() - (mutant::on(mutant::last_block_not_zeroed) && command.block_count() > 1);
            return start(request, op, command.slba(), blocks);
        }
        case IoOpcode::flush:
            if (mutant::on(mutant::flush_not_passed_on)) return finish(request, status::success);
            return start(request, bdev::Op::flush, 0, 0);
        case IoOpcode::dataset_management:
            // Attributes other than Deallocate are hints.
            if ((command.cdw11 & nvme::dataset_management::deallocate) == 0) return finish(request, status::success);
            return run_ranges(request);
        default: return finish(request, status::invalid_opcode.with_dnr());
    }
}

void release_namespace(Request& request) {
    NamespaceView* ns = request.ns;
    if (ns == nullptr) return;
    request.ns = nullptr;
    WEFT_ASSERT(ns->outstanding > 0);
    if (--ns->outstanding == 0 && ns->is_paused) ns->drained.wake_all();
}

void stop_waiting(Request& request) {
    switch (request.state()) {
        case RequestState::waiting_for_buffer: request.qpair->buffers().stop_waiting(request.buffer_waiter); break;
        case RequestState::held: request.qpair->subsystem->held.remove(request); break;
        case RequestState::retrying: request.qpair->group().unpark(request); break;
        default: break;
    }
}

}  // namespace weft::nvmf
