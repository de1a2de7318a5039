#include "nvmf/io/copy.h"

#include <algorithm>

#include "nvme/copy.h"
#include "nvmf/io/copy_ranges.h"
#include "nvmf/io/metadata.h"
#include "nvmf/io/steps.h"
#include "nvmf/poll_group.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

namespace {

using nvme::Status;
namespace io_bits = nvme::io_bits;
namespace status = nvme::status;

// How much a device copies for one request: so that others have their turn.
constexpr uint64_t step_bytes_max = uint64_t{256} << 10;
// And how much in one turn, when a device does it on the spot.
constexpr uint64_t turn_bytes_max = uint64_t{1} << 20;

// Metadata goes along through our buffers.
bool copies_itself(const NamespaceView& ns) {
    return ns.metadata.metadata_bytes == 0 && ns.device->supports(bdev::Op::copy);
}
// Of a block and what of its metadata goes along, in our buffers.
uint32_t unit_bytes(const Request& request, const NamespaceView& ns) {
    return ns.block_bytes + (ns.metadata.metadata_bytes == 0 ? 0 : metadata_transferred(request.command, ns));
}
CopyRange range_at(const Request& request, const NamespaceView& ns, size_t index) {
    return copy_range_at(request, index, ns.metadata.guard);
}
// Whether the host has to do with tuples.
bool shows_tuples(const NamespaceView& ns) { return ns.metadata.has_tuple() && !ns.identity.hide_metadata; }

bool overlaps(uint64_t first, uint64_t first_blocks, uint64_t second, uint64_t second_blocks) {
    return first < second + second_blocks && second < first + first_blocks;
}

// NVM Command Set 1.1, 3.3.2: what the descriptor format and PRINFOR and PRINFOW must be for the namespace.
Status check_form(const nvme::Command& command, const NamespaceView& ns) {
    const uint32_t format = copy_format(command);
    if (!is_copy_format_known(format)) return status::invalid_field.with_dnr();
    if (!shows_tuples(ns)) return status::success;
    if ((ns.metadata.guard == bdev::Guard::crc16) != (format == 0)) {
        return status::invalid_namespace_or_format.with_dnr();
    }
    const bool is_made_anew = (command.cdw12 & io_bits::protection_action) != 0;
    const bool is_taken_away = (command.cdw12 & nvme::copy::read_protection_action) != 0;
    if (is_made_anew != is_taken_away) return status::invalid_field.with_dnr();
    return is_reference_allowed(protection_of(command, ns.metadata), ns.metadata, command.slba())
               ? status::success
               : status::invalid_protection_information.with_dnr();
}

// Before anything is copied. CDW0 of the answer says how many ranges were.
Status check(const Request& request, const NamespaceView& ns) {
    const nvme::Command& command = request.command;
    if (const Status outcome = check_form(command, ns); !outcome.is_success()) return outcome;
    const uint32_t count = copy_range_count(command);
    if (count > copy_ranges_max) return status::command_size_limit_exceeded.with_dnr();
    const uint64_t total = ns.device->block_count();
    uint64_t blocks = 0;
    for (uint32_t at = 0; at < count; ++at) {
        const CopyRange range = range_at(request, ns, at);
        blocks += range.blocks;
        if (range.blocks > copy_range_blocks_max(ns.block_shift) || blocks > copy_blocks_max(ns.block_shift)) {
            return status::command_size_limit_exceeded.with_dnr();
        }
        const bool is_outside = range.slba > total || range.blocks > total - range.slba;
        if (is_outside) return status::lba_out_of_range.with_dnr();
        if (shows_tuples(ns) && !is_reference_allowed(read_protection(command, range), ns.metadata, range.slba)) {
            return status::invalid_protection_information.with_dnr();
        }
    }
    const uint64_t to = command.slba();
    if (to > total || blocks > total - to) return status::lba_out_of_range.with_dnr();
    for (uint32_t at = 0; at < count; ++at) {
        const CopyRange range = range_at(request, ns, at);
        if (overlaps(to, blocks, range.slba, range.blocks)) return status::overlapping_io_range.with_dnr();
    }
    return status::success;
}

// Blocks that are there: ranges that are whole before this one was begun come first at the destination.
uint64_t blocks_done(const Request& request) {
    uint64_t blocks = request.range_done;
    for (uint32_t at = 0; at < request.range_next; ++at) blocks += range_at(request, *request.ns, at).blocks;
    return blocks;
}

// What the device checks and makes of the piece's tuples; the reference tags go on from piece to piece.
void protect(Request& request, const CopyRange& range, uint64_t done) {
    const NamespaceView& ns = *request.ns;
    const nvme::Command& command = request.command;
    bdev::Request& io = request.io;
    io.metadata_in_data = metadata_transferred(command, ns) != 0;
    io.protection = nullptr;
    if (!ns.metadata.has_tuple()) return;
    const bool is_read = io.op == bdev::Op::read;
    if (ns.identity.hide_metadata) {
        request.protection = protection_for_unaware(io.lba, ns.metadata);
    } else {
        request.protection = is_read ? read_protection(command, range) : protection_of(command, ns.metadata);
        if (ns.metadata.type != bdev::ProtectionType::type3) {
            request.protection.reference += is_read ? request.range_done : done;
        }
    }
    io.protection = &request.protection;
}

void finish_copy(Request& request, Status outcome) {
    // The lowest range that was not copied (3.2.2, Dword 0).
    request.completion.cdw0 = outcome.is_success() ? 0 : request.range_next;
    request.iov_count = 0;
    finish_io(request, outcome);
}

// request.io is done.
void note_step(Request& request) {
    request.is_half_done = request.io.op == bdev::Op::read;
    if (request.is_half_done) return;
    request.range_done += static_cast<uint32_t>(request.io.blocks);
    if (request.range_done < range_at(request, *request.ns, request.range_next).blocks) return;
    request.range_done = 0;
    ++request.range_next;
}

void run(Request& request);

void on_step_done(bdev::Request& io) {
    auto& request = *static_cast<Request*>(io.context);
    if (io.status != bdev::Status::success) return finish_copy(request, to_nvme(io.status));
    if (request.state() != RequestState::executing) return finish_copy(request, status::aborted_by_request);
    note_step(request);
    run(request);
}

// The next piece of the range at hand, as one request of the device.
void prepare(Request& request) {
    const NamespaceView& ns = *request.ns;
    const CopyRange range = range_at(request, ns, request.range_next);
    const uint64_t left = range.blocks - request.range_done;
    const uint64_t done = blocks_done(request);
    const uint64_t destination = request.command.slba() + done;
    bdev::Request& io = request.io;
    if (copies_itself(ns)) {
        io.op = bdev::Op::copy;
        io.source_lba = range.slba + request.range_done;
        io.lba = destination;
        io.blocks = std::min(left, std::max<uint64_t>(step_bytes_max >> ns.block_shift, 1));
        io.data = {};
    } else {
        const uint64_t held = uint64_t{request.buffer_count} * request.qpair->buffers().pool().buffer_bytes();
        const uint32_t unit = unit_bytes(request, ns);
        const uint64_t blocks = std::min(left, held / unit);
        WEFT_ASSERT(blocks > 0);
        io.op = request.is_half_done ? bdev::Op::write : bdev::Op::read;
        io.lba = request.is_half_done ? destination : range.slba + request.range_done;
        io.blocks = blocks;
        uint64_t bytes = blocks * unit;
        request.iov_count = 0;
        for (size_t at = 0; bytes > 0; ++at) {
            const uint64_t piece = std::min<uint64_t>(bytes, request.qpair->buffers().pool().buffer_bytes());
            request.iov[request.iov_count++] = {.iov_base = request.buffers[at], .iov_len = piece};
            bytes -= piece;
        }
        io.data = request.data();
        if (ns.metadata.metadata_bytes != 0) [[unlikely]]
            protect(request, range, done);
    }
    io.fua = false;
    if (io.op != bdev::Op::read) io.fua = (request.command.cdw12 & nvme::io_bits::force_unit_access) != 0;
    io.done = on_step_done;
    io.context = &request;
}

void run(Request& request) {
    const uint32_t count = copy_range_count(request.command);
    const uint8_t shift = request.ns->block_shift;
    uint64_t moved_bytes = 0;
    while (request.range_next < count) {
        if (moved_bytes >= turn_bytes_max) {
            request.qpair->group().thread().reactor().note_io();  // it goes on at once
            return retry_later(request);
        }
        if (request.is_aborted) return finish_copy(request, status::aborted_by_request);
        prepare(request);
        const bdev::Progress progress = submit_io(request);
        if (progress == bdev::Progress::retry) return retry_later(request);
        if (progress == bdev::Progress::pending) return;
        if (request.io.status != bdev::Status::success) return finish_copy(request, to_nvme(request.io.status));
        moved_bytes += request.io.blocks << shift;
        note_step(request);
    }
    finish_copy(request, status::success);
}

}  // namespace

uint32_t copy_bytes(const nvme::Command& command) {
    return std::min(copy_range_count(command), copy_ranges_max) * copy_range_bytes(copy_format(command));
}

uint64_t copied_blocks(const Request& request) {
    const nvme::Command& command = request.command;
    if (!is_copy_format_known(copy_format(command))) return 0;
    const uint32_t count = std::min(copy_range_count(command), copy_ranges_max);
    uint64_t blocks = 0;
    for (uint32_t at = 0; at < count; ++at) blocks += copy_range_at(request, at, bdev::Guard::crc16).blocks;
    return blocks;
}

void execute_copy(Request& request) {
    NamespaceView& ns = *request.ns;
    // Its data is here; from now on it waits for buffers of its own.
    request.direction = nvme::TransferDirection::none;
    // When a pause has come in between, the namespace may be another one.
    if (request.stream_opening == 0) request.stream_opening = ns.opening;
    if (request.stream_opening != ns.opening) {
        return finish_copy(request, status::invalid_namespace_or_format.with_dnr());
    }
    if (const Status outcome = check(request, ns); !outcome.is_success()) return finish_copy(request, outcome);
    if (!copies_itself(ns) && request.buffer_count == 0) {
        release_namespace(request);  // a pause need not wait for buffers
        const uint32_t unit = request.qpair->buffers().pool().buffer_bytes();
        if (!get_buffers(request, std::max(unit, unit_bytes(request, ns)))) return;
        use_namespace(request, ns);
    }
    run(request);
}

}  // namespace weft::nvmf
