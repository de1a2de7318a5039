#include "app/cli/bdev/bdevio_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/endian.h"
#include "bdev/execute.h"

namespace weft::cli {

using bdev::Op;
using bdev::Request;
using bdev::Status;

namespace {
constexpr std::align_val_t alignment{65536};
}

IoBuffer::IoBuffer(size_t bytes, std::byte value)
    : data_(static_cast<std::byte*>(::operator new(std::max<size_t>(bytes, 1), alignment))), size_(bytes) {
    fill(value);
}
IoBuffer::~IoBuffer() { ::operator delete(data_, alignment); }

void IoBuffer::fill(std::byte value) const { std::ranges::fill(bytes(), value); }

void IoBuffer::fill_pattern(uint64_t seed) const {
    uint64_t state = seed * 0x9E3779B97F4A7C15 | 1;
    for (size_t at = 0; at + 8 <= size_; at += 8) {
        state = state * 6364136223846793005 + 1442695040888963407;
        store(bytes().subspan(at), state);
    }
}

bool IoBuffer::holds(std::byte value) const {
    return std::ranges::all_of(bytes(), [value](std::byte byte) { return byte == value; });
}

IoCase::IoCase(bdev::Channel& channel, uint32_t seed) : channel_(channel), random_state_((uint64_t{seed} << 1) | 1) {}

Task<Status> IoCase::run(Request& request) { return bdev::execute(channel_, request); }

Task<Status> IoCase::run(Op op, uint64_t lba, uint64_t blocks, MutableBytes data, bool fua) {
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    Request request;
    request.op = op;
    request.lba = lba;
    request.blocks = blocks;
    request.fua = fua;
    if (has_data(op)) request.data = {&piece, 1};
    co_return co_await bdev::execute(channel_, request);
}

Task<Status> IoCase::run(Op op, uint64_t lba, uint64_t blocks, std::span<const iovec> data) {
    Request request;
    request.op = op;
    request.lba = lba;
    request.blocks = blocks;
    request.data = data;
    co_return co_await bdev::execute(channel_, request);
}

Task<std::optional<Verdict>> IoCase::write_and_read(uint64_t lba, uint64_t blocks, bool fua) {
    const IoBuffer data(blocks * block_bytes());
    data.fill_pattern(next_pattern_++);
    const Status written = co_await run(Op::write, lba, blocks, data.bytes(), fua);
    if (auto wrong = expect(written, Status::success, text_of(Op::write, lba, blocks))) co_return wrong;
    co_return co_await reads_as(lba, data.bytes());
}

Task<std::optional<Verdict>> IoCase::reads_as(uint64_t lba, Bytes expected) {
    const uint64_t blocks = expected.size() / block_bytes();
    const IoBuffer data(expected.size(), std::byte{0xEE});
    const Status status = co_await run(Op::read, lba, blocks, data.bytes());
    if (auto wrong = expect(status, Status::success, text_of(Op::read, lba, blocks))) co_return wrong;
    if (!keeps_data_) co_return std::nullopt;
    const auto differs = std::ranges::mismatch(data.bytes(), expected);
    if (differs.in1 == data.bytes().end()) co_return std::nullopt;
    const auto at = static_cast<uint64_t>(differs.in1 - data.bytes().begin());
    co_return failed(fmt::format("{}: byte {} of block {} is {:#04x}, not {:#04x}", text_of(Op::read, lba, blocks),
                                 at % block_bytes(), lba + at / block_bytes(), static_cast<unsigned>(*differs.in1),
                                 static_cast<unsigned>(*differs.in2)));
}

Task<std::optional<Verdict>> IoCase::reads_as_zero(uint64_t lba, uint64_t blocks) {
    const IoBuffer zeroes(blocks * block_bytes());
    co_return co_await reads_as(lba, zeroes.bytes());
}

std::vector<iovec> IoCase::cut_up(MutableBytes memory, size_t piece_max) {
    const size_t unit = device().geometry().alignment_bytes;
    std::vector<iovec> pieces;
    while (!memory.empty()) {
        const size_t units = std::min(memory.size() / unit, std::max<size_t>(piece_max / unit, 1));
        const size_t bytes = unit * random_below(units + 1);  // sometimes none
        pieces.push_back({memory.data(), bytes});
        memory = memory.subspan(bytes);
    }
    pieces.push_back({nullptr, 0});
    return pieces;
}

std::string text_of(Op op, uint64_t lba, uint64_t blocks) {
    return fmt::format("{} of {} block{} at {}", bdev::name_of(op), blocks, blocks == 1 ? "" : "s", lba);
}

std::optional<Verdict> expect(Status found, Status expected, const std::string& what) {
    if (found == expected) return std::nullopt;
    return failed(
        fmt::format("{}: it ended with \"{}\", not with \"{}\"", what, bdev::name_of(found), bdev::name_of(expected)));
}

}  // namespace weft::cli
