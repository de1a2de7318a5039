#include "bdev/control_io.h"

#include "base/assert.h"
#include "bdev/execute.h"

namespace weft::bdev {

namespace {

Task<Status> run_here(Device& device, Request& request) {
    auto channel = device.channel();
    if (!channel) co_return Status::failed;
    co_return co_await execute(**channel, request);
}

}  // namespace

Task<Status> run_request(Registry& registry, Device& device, Request& request) {
    Thread& home = Thread::current();
    co_await resume_on(registry.io_thread());
    const Status status = co_await run_here(device, request);
    co_await resume_on(home);
    co_return status;
}

namespace {

Task<Status> move_blocks(Registry& registry, Device& device, Op op, uint64_t lba, iovec piece, bool fua) {
    WEFT_ASSERT(piece.iov_len % device.block_bytes() == 0);
    Request request;
    request.op = op;
    request.fua = fua;
    request.lba = lba;
    request.blocks = piece.iov_len / device.block_bytes();
    request.data = {&piece, 1};
    co_return co_await run_request(registry, device, request);
}

}  // namespace

Task<Status> read_blocks(Registry& registry, Device& device, uint64_t lba, MutableBytes into) {
    return move_blocks(registry, device, Op::read, lba, {.iov_base = into.data(), .iov_len = into.size()}, false);
}

Task<Status> write_blocks(Registry& registry, Device& device, uint64_t lba, Bytes from, bool fua) {
    const iovec piece{.iov_base = const_cast<std::byte*>(from.data()), .iov_len = from.size()};
    return move_blocks(registry, device, Op::write, lba, piece, fua);
}

Task<Status> flush_device(Registry& registry, Device& device) {
    Request request;
    request.op = Op::flush;
    co_return co_await run_request(registry, device, request);
}

}  // namespace weft::bdev
