#include "nvmf/io/copy.h"

#include <algorithm>

#include "nvmf/io/steps.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

namespace {

using nvme::CopySourceRange;
using nvme::Status;
namespace status = nvme::status;

// How much a device copies for one request: so that others have their turn.
constexpr uint64_t step_bytes_max = uint64_t{256} << 10;
// And how much in one turn, when a device does it on the spot.
constexpr uint64_t turn_bytes_max = uint64_t{1} << 20;

uint32_t range_count(const nvme::Command& command) { return (command.cdw12 & 0xFF) + 1; }

CopySourceRange range_at(const Request& request, size_t index) {
    return load<CopySourceRange>(
        Bytes(request.control.get(), request.data_bytes).subspan(index * sizeof(CopySourceRange)));
}
uint32_t blocks_of(const CopySourceRange& range) { return uint32_t{range.block_count} + 1; }

bool overlaps(uint64_t first, uint64_t first_blocks, uint64_t second, uint64_t second_blocks) {
    return first < second + second_blocks && second < first + first_blocks;
}

// Before anything is copied. CDW0 of the answer says how many ranges were.
Status check(const Request& request, const NamespaceView& ns) {
    const nvme::Command& command = request.command;
    // Metadata would have to go along.
    if (ns.device->metadata().metadata_bytes != 0) return status::invalid_opcode.with_dnr();
    if (nvme::copy::format.of(command.cdw12.value()) != 0) return status::invalid_field.with_dnr();
    const uint32_t count = range_count(command);
    if (count > copy_ranges_max) return status::command_size_limit_exceeded.with_dnr();
    const uint64_t total = ns.device->block_count();
    uint64_t blocks = 0;
    for (uint32_t at = 0; at < count; ++at) {
        const CopySourceRange range = range_at(request, at);
        blocks += blocks_of(range);
        if (blocks_of(range) > copy_range_blocks_max(ns.block_shift) || blocks > copy_blocks_max(ns.block_shift)) {
            return status::command_size_limit_exceeded.with_dnr();
        }
        const bool is_outside = range.slba > total || blocks_of(range) > total - range.slba;
        if (is_outside) return status::lba_out_of_range.with_dnr();
    }
    const uint64_t to = command.slba();
    if (to > total || blocks > total - to) return status::lba_out_of_range.with_dnr();
    for (uint32_t at = 0; at < count; ++at) {
        const CopySourceRange range = range_at(request, at);
        if (overlaps(to, blocks, range.slba, blocks_of(range))) return status::overlapping_io_range.with_dnr();
    }
    return status::success;
}

// Ranges that are whole before this one was begun come first at the destination.
uint64_t destination(const Request& request) {
    uint64_t lba = request.command.slba() + request.range_done;
    for (uint32_t at = 0; at < request.range_next; ++at) lba += blocks_of(range_at(request, at));
    return lba;
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
    if (request.range_done < blocks_of(range_at(request, request.range_next))) return;
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
    const CopySourceRange range = range_at(request, request.range_next);
    const uint64_t left = blocks_of(range) - request.range_done;
    bdev::Request& io = request.io;
    if (ns.device->supports(bdev::Op::copy)) {
        io.op = bdev::Op::copy;
        io.source_lba = range.slba + request.range_done;
        io.lba = destination(request);
        io.blocks = std::min(left, std::max<uint64_t>(step_bytes_max >> ns.block_shift, 1));
        io.data = {};
    } else {
        const uint64_t held = uint64_t{request.buffer_count} * request.qpair->buffers().pool().buffer_bytes();
        const uint64_t blocks = std::min(left, held >> ns.block_shift);
        WEFT_ASSERT(blocks > 0);
        io.op = request.is_half_done ? bdev::Op::write : bdev::Op::read;
        io.lba = request.is_half_done ? destination(request) : range.slba + request.range_done;
        io.blocks = blocks;
        uint64_t bytes = blocks << ns.block_shift;
        request.iov_count = 0;
        for (size_t at = 0; bytes > 0; ++at) {
            const uint64_t piece = std::min<uint64_t>(bytes, request.qpair->buffers().pool().buffer_bytes());
            request.iov[request.iov_count++] = {.iov_base = request.buffers[at], .iov_len = piece};
            bytes -= piece;
        }
        io.data = request.data();
    }
    io.fua = false;
    if (io.op != bdev::Op::read) io.fua = (request.command.cdw12 & nvme::io_bits::force_unit_access) != 0;
    io.done = on_step_done;
    io.context = &request;
}

void run(Request& request) {
    const uint32_t count = range_count(request.command);
    const uint8_t shift = request.ns->block_shift;
    uint64_t moved_bytes = 0;
    while (request.range_next < count) {
        if (moved_bytes >= turn_bytes_max) return retry_later(request);
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
    return std::min(range_count(command), copy_ranges_max) * sizeof(CopySourceRange);
}

uint64_t copied_blocks(const Request& request) {
    const uint32_t count = std::min(range_count(request.command), copy_ranges_max);
    uint64_t blocks = 0;
    for (uint32_t at = 0; at < count; ++at) blocks += blocks_of(range_at(request, at));
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
    if (!ns.device->supports(bdev::Op::copy) && request.buffer_count == 0) {
        release_namespace(request);  // a pause need not wait for buffers
        const uint32_t unit = request.qpair->buffers().pool().buffer_bytes();
        if (!get_buffers(request, std::max(unit, ns.block_bytes))) return;
        use_namespace(request, ns);
    }
    run(request);
}

}  // namespace weft::nvmf
