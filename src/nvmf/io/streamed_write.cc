#include "nvmf/io/streamed_write.h"

#include <algorithm>
#include <cstring>

#include "base/mutants.h"
#include "nvmf/io/gate.h"
#include "nvmf/io/io_commands.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

namespace {

using nvme::Status;
namespace status = nvme::status;

NamespaceView* namespace_of(const Request& request) { return request.qpair->find_namespace(request.command.nsid); }

// Whole blocks, which come next.
Status store(Request& request, const NamespaceView& ns, Bytes blocks) {
    const iovec data{.iov_base = const_cast<std::byte*>(blocks.data()), .iov_len = blocks.size()};
    bdev::Request& io = request.io;
    io.op = bdev::Op::write;
    io.fua = false;  // what consumes data inline has no cache
    io.lba = request.command.slba() + (request.stored_bytes >> ns.block_shift);
    if (mutant::on(mutant::pieces_at_first_block)) io.lba = request.command.slba();
    io.blocks = blocks.size() >> ns.block_shift;
    io.data = {&data, 1};
    ns.channel->store(io);
    io.data = {};
    if (io.status != bdev::Status::success) return to_nvme(io.status);
    request.stored_bytes += static_cast<uint32_t>(blocks.size());
    return status::success;
}

// The namespace is paused, or its device holds requests: what comes now waits on the heap, and goes the way of every
// held command.
void keep_rest(Request& request) {
    const uint32_t rest = request.data_bytes - request.stored_bytes;
    auto kept = std::make_unique_for_overwrite<std::byte[]>(rest);
    std::memcpy(kept.get(), request.iov[0].iov_base, request.partial_bytes);
    request.control = std::move(kept);
    request.source = DataSource::control;
    request.iov[0] = {.iov_base = request.control.get(), .iov_len = rest};
}

// Adds to what is there of a block, or of the kept rest; takes what fits off the front of `data`.
void gather(Request& request, Bytes& data, size_t size) {
    const size_t count = std::min(size - request.partial_bytes, data.size());
    std::memcpy(static_cast<std::byte*>(request.iov[0].iov_base) + request.partial_bytes, data.data(), count);
    request.partial_bytes += static_cast<uint32_t>(count);
    data = data.subspan(count);
}

}  // namespace

bool can_stream(const Request& request, uint32_t buffer_bytes) {
    if (request.command.io_opcode() != nvme::IoOpcode::write) return false;
    if (request.qpair->lane != nullptr) return false;  // it may have to wait
    const NamespaceView* ns = namespace_of(request);
    return ns != nullptr && !ns->is_paused && ns->device->consumes_data_inline() && ns->block_bytes <= buffer_bytes;
}

bool is_stream_intact(const Request& request, const NamespaceView& ns) {
    return request.stream_opening == 0 || request.stream_opening == ns.opening;
}

void start_stream(Request& request, std::byte* block) {
    // Gone while the command waited for its buffer: stream() says so.
    const NamespaceView* ns = namespace_of(request);
    request.stream_opening = ns != nullptr ? ns->opening : UINT64_MAX;
    request.source = DataSource::streamed;
    request.iov[0] = {.iov_base = block, .iov_len = 0};
    request.iov_count = 1;
    request.stored_bytes = 0;
    request.partial_bytes = 0;
}

Status stream(Request& request, Bytes data) {
    if (request.source == DataSource::control) {
        gather(request, data, request.iov[0].iov_len);
        return status::success;
    }
    NamespaceView* ns = namespace_of(request);
    if (ns == nullptr || !is_stream_intact(request, *ns)) return status::invalid_namespace_or_format.with_dnr();
    // The device may have stopped to take data piece by piece meanwhile (bdev/gate/).
    if (ns->is_paused || !ns->device->consumes_data_inline()) {
        keep_rest(request);
        gather(request, data, request.iov[0].iov_len);
        return status::success;
    }
    // What began before the host lost its right to write goes no further.
    if (request.is_preempted) return status::aborted_preempt_and_abort;
    if (const Status outcome = may_access(*request.qpair, *ns, nvme::IoOpcode::write); !outcome.is_success()) {
        return outcome;
    }
    if (request.partial_bytes > 0) {
        gather(request, data, ns->block_bytes);
        if (request.partial_bytes < ns->block_bytes) return status::success;
        const Bytes block(static_cast<const std::byte*>(request.iov[0].iov_base), ns->block_bytes);
        if (const Status outcome = store(request, *ns, block); !outcome.is_success()) return outcome;
        request.partial_bytes = 0;
    }
    const Bytes whole = data.first(data.size() & ~size_t{ns->block_bytes - 1});
    data = data.subspan(whole.size());
    if (!whole.empty()) {
        if (const Status outcome = store(request, *ns, whole); !outcome.is_success()) return outcome;
    }
    if (!data.empty()) gather(request, data, ns->block_bytes);
    return status::success;
}

}  // namespace weft::nvmf
