// The tests of `weft bdevio` for what not every device does: compare, compare and write, copy, verify, metadata, zones.
#include <fmt/format.h>

#include <algorithm>

#include "app/cli/bdev/bdevio_case.h"
#include "bdev/zones.h"

namespace weft::cli {

using bdev::Op;
using bdev::Request;
using bdev::Status;
using bdev::ZoneAction;

namespace {

Task<Verdict> compare(IoCase& io) {
    if (!io.does(Op::compare)) co_return skipped("not supported");
    if (!io.does(Op::write) || !io.keeps_data()) co_return skipped("it keeps no data");
    for (const uint64_t blocks : {uint64_t{1}, uint64_t{8}, uint64_t{200}}) {
        if (blocks > io.block_count()) continue;
        const IoBuffer data(blocks * io.block_bytes());
        data.fill_pattern(io.random());
        const std::string what = text_of(Op::compare, 0, blocks);
        WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, blocks, data.bytes()), Status::success, "the write"));
        WEFT_IO_TRY(expect(co_await io.run(Op::compare, 0, blocks, data.bytes()), Status::success, what));
        const std::vector<iovec> pieces = io.cut_up(data.bytes(), 5000);
        WEFT_IO_TRY(expect(co_await io.run(Op::compare, 0, blocks, pieces), Status::success, what + " in pieces"));
        for (const size_t at : {size_t{0}, data.bytes().size() / 2, data.bytes().size() - 1}) {
            data.bytes()[at] ^= std::byte{1};
            WEFT_IO_TRY(expect(co_await io.run(Op::compare, 0, blocks, data.bytes()), Status::miscompare,
                               fmt::format("{} with another byte {}", what, at)));
            data.bytes()[at] ^= std::byte{1};
        }
        WEFT_IO_TRY(co_await io.reads_as(0, data.bytes()));
    }
    co_return Verdict{};
}

Task<Verdict> compare_and_write(IoCase& io) {
    if (!io.does(Op::compare_and_write)) co_return skipped("not supported");
    if (!io.does(Op::write) || !io.keeps_data()) co_return skipped("it keeps no data");
    const uint64_t most = std::min(io.block_count(), bdev::compare_and_write_bytes_max / io.block_bytes());
    for (const uint64_t blocks : {uint64_t{1}, uint64_t{3}, most}) {
        if (blocks > most) continue;
        const IoBuffer before(blocks * io.block_bytes());
        const IoBuffer after(blocks * io.block_bytes());
        before.fill_pattern(io.random());
        after.fill_pattern(io.random());
        WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, blocks, before.bytes()), Status::success, "the write"));
        const std::vector<iovec> expected = io.cut_up(before.bytes(), 3000);
        const std::vector<iovec> data = io.cut_up(after.bytes(), 4000);
        Request request;
        request.op = Op::compare_and_write;
        request.blocks = blocks;
        request.data = data;
        request.expected = expected;
        before.bytes().back() ^= std::byte{1};
        WEFT_IO_TRY(expect(co_await io.run(request), Status::miscompare, "compare and write of something else"));
        before.bytes().back() ^= std::byte{1};
        WEFT_IO_TRY(co_await io.reads_as(0, before.bytes()));
        WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "compare and write"));
        WEFT_IO_TRY(co_await io.reads_as(0, after.bytes()));
        WEFT_IO_TRY(expect(co_await io.run(request), Status::miscompare, "compare and write once more"));
    }
    co_return Verdict{};
}

Task<Verdict> copy(IoCase& io) {
    if (!io.does(Op::copy)) co_return skipped("not supported");
    if (io.block_count() < 16) co_return skipped("it has fewer than 16 blocks");
    const uint64_t half = std::min<uint64_t>(io.block_count() / 2, 4096);
    for (const uint64_t blocks : {uint64_t{1}, uint64_t{5}, half}) {
        const IoBuffer data(blocks * io.block_bytes());
        data.fill_pattern(io.random());
        WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, blocks, data.bytes()), Status::success, "the write"));
        Request request;
        request.op = Op::copy;
        request.lba = io.block_count() - blocks;
        request.blocks = blocks;
        WEFT_IO_TRY(expect(co_await io.run(request), Status::success, text_of(Op::copy, request.lba, blocks)));
        WEFT_IO_TRY(co_await io.reads_as(request.lba, data.bytes()));
        WEFT_IO_TRY(co_await io.reads_as(0, data.bytes()));
        request.source_lba = io.block_count() - blocks + 1;
        request.lba = 0;
        WEFT_IO_TRY(expect(co_await io.run(request), Status::out_of_range, "a copy from past the end"));
        request.source_lba = 0;
        WEFT_IO_TRY(expect(co_await io.run(request), Status::failed, "a copy onto itself"));
    }
    co_return Verdict{};
}

Task<Verdict> verify(IoCase& io) {
    if (!io.does(Op::verify)) co_return skipped("not supported");
    for (const uint64_t blocks : {uint64_t{1}, uint64_t{100}, std::min<uint64_t>(io.block_count(), 10000)}) {
        if (blocks > io.block_count()) continue;
        WEFT_IO_TRY(expect(co_await io.run(Op::verify, 0, blocks), Status::success, text_of(Op::verify, 0, blocks)));
    }
    co_return Verdict{};
}

Task<Verdict> uncorrectable(IoCase& io) {
    if (!io.does(Op::write_uncorrectable)) co_return skipped("not supported");
    if (io.block_count() < 4) co_return skipped("it has fewer than 4 blocks");
    const IoBuffer data(size_t{4} * io.block_bytes());
    WEFT_IO_TRY(co_await io.write_and_read(0, 4));
    WEFT_IO_TRY(expect(co_await io.run(Op::write_uncorrectable, 2, 1), Status::success, "write uncorrectable"));
    WEFT_IO_TRY(expect(co_await io.run(Op::read, 0, 4, data.bytes()), Status::read_error, "a read of a bad block"));
    WEFT_IO_TRY(expect(co_await io.run(Op::read, 0, 2, data.bytes().first(size_t{2} * io.block_bytes())),
                       Status::success, "a read beside a bad block"));
    co_return (co_await io.write_and_read(0, 4)).value_or(Verdict{});
}

Task<Verdict> metadata(IoCase& io) {
    const bdev::ProtectionFormat& format = io.device().metadata();
    if (format.metadata_bytes == 0) co_return skipped("it has none");
    if (!io.does(Op::write) || !io.keeps_data()) co_return skipped("it keeps no data");
    const uint64_t blocks = std::min<uint64_t>(io.block_count(), 9);
    const IoBuffer data(blocks * io.block_bytes());
    const IoBuffer apart(blocks * format.metadata_bytes);
    data.fill_pattern(1);
    apart.fill_pattern(2);
    const iovec data_piece{.iov_base = data.bytes().data(), .iov_len = data.bytes().size()};
    const iovec apart_piece{.iov_base = apart.bytes().data(), .iov_len = apart.bytes().size()};
    Request request;
    request.op = Op::write;
    request.blocks = blocks;
    request.data = {&data_piece, 1};
    request.metadata = {&apart_piece, 1};
    WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "a write with its metadata apart"));
    const IoBuffer sent(apart.bytes().size());
    std::ranges::copy(apart.bytes(), sent.bytes().begin());
    apart.fill(std::byte{0xEE});
    request.op = Op::read;
    WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "a read with its metadata apart"));
    if (!std::ranges::equal(apart.bytes(), sent.bytes())) co_return failed("the metadata is not what was written");

    // The same, each block followed by its own.
    const size_t whole = io.block_bytes() + format.metadata_bytes;
    const IoBuffer together(blocks * whole, std::byte{0xEE});
    const iovec together_piece{.iov_base = together.bytes().data(), .iov_len = together.bytes().size()};
    request.data = {&together_piece, 1};
    request.metadata = {};
    request.metadata_in_data = true;
    WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "a read with its metadata in the data"));
    for (uint64_t block = 0; block < blocks; ++block) {
        const Bytes found = Bytes(together.bytes()).subspan(block * whole, whole);
        const Bytes wanted = Bytes(data.bytes()).subspan(block * io.block_bytes(), io.block_bytes());
        const Bytes wanted_metadata = Bytes(sent.bytes()).subspan(block * format.metadata_bytes, format.metadata_bytes);
        if (!std::ranges::equal(found.first(io.block_bytes()), wanted) ||
            !std::ranges::equal(found.subspan(io.block_bytes()), wanted_metadata)) {
            co_return failed(fmt::format("block {} with its metadata is not what was written", block));
        }
    }
    co_return Verdict{};
}

// A tuple that we make is right when it is checked, and a spoilt one is found.
Task<Verdict> protection(IoCase& io) {
    const bdev::ProtectionFormat& format = io.device().metadata();
    if (!format.has_tuple()) co_return skipped("it has no protection information");
    if (!io.does(Op::write) || !io.keeps_data()) co_return skipped("it keeps no data");
    const uint64_t blocks = std::min<uint64_t>(io.block_count(), 5);
    const IoBuffer data(blocks * io.block_bytes());
    const IoBuffer apart(blocks * format.metadata_bytes);
    data.fill_pattern(3);
    const iovec data_piece{.iov_base = data.bytes().data(), .iov_len = data.bytes().size()};
    const iovec apart_piece{.iov_base = apart.bytes().data(), .iov_len = apart.bytes().size()};
    const bdev::Protection check{.reference = 0, .checks_guard = true, .checks_reference = true};
    for (uint64_t block = 0; block < blocks; ++block) {
        write_tuple(format, check, block, Bytes(data.bytes()).subspan(block * io.block_bytes(), io.block_bytes()),
                    apart.bytes().subspan(block * format.metadata_bytes, format.metadata_bytes));
    }
    Request request;
    request.op = Op::write;
    request.blocks = blocks;
    request.data = {&data_piece, 1};
    request.metadata = {&apart_piece, 1};
    request.protection = &check;
    WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "a write whose protection is checked"));
    request.op = Op::read;
    WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "a read whose protection is checked"));
    data.bytes().front() ^= std::byte{1};
    request.op = Op::write;
    WEFT_IO_TRY(expect(co_await io.run(request), Status::guard_error, "a write of a spoilt block"));
    co_return Verdict{};
}

constexpr IoTest specials[] = {
    {"compare and miscompare", compare},
    {"compare and write", compare_and_write},
    {"copy", copy},
    {"verify", verify},
    {"write uncorrectable", uncorrectable},
    {"metadata", metadata},
    {"protection information", protection},
};

// Zones.

Task<Status> manage(IoCase& io, ZoneAction action, uint64_t lba, bool all = false) {
    Request request;
    request.op = Op::zone_management;
    request.zone_action = action;
    request.lba = lba;
    request.all_zones = all;
    co_return co_await io.run(request);
}

Task<std::optional<Verdict>> reset_all(IoCase& io) {
    co_return expect(co_await manage(io, ZoneAction::reset, 0, true), Status::success, "reset of all zones");
}

Task<Verdict> zone_writes(IoCase& io) {
    const bdev::ZoneGeometry& zones = io.device().zones()->zone_geometry();
    WEFT_IO_TRY(co_await reset_all(io));
    for (const uint64_t index : {uint64_t{0}, zones.zone_count / 2, zones.zone_count - 1}) {
        const uint64_t start = index * zones.zone_blocks;
        uint64_t at = 0;
        for (const uint64_t blocks : {uint64_t{1}, uint64_t{2}, uint64_t{5}}) {
            if (at + blocks > zones.capacity_blocks) continue;
            WEFT_IO_TRY(co_await io.write_and_read(start + at, blocks));
            at += blocks;
            if (io.device().zones()->zone(index).write_pointer != start + at) {
                co_return failed(fmt::format("zone {}: its write pointer did not move along", index));
            }
        }
    }
    co_return Verdict{};
}

Task<Verdict> zone_wrong_places(IoCase& io) {
    const bdev::ZoneGeometry& zones = io.device().zones()->zone_geometry();
    WEFT_IO_TRY(co_await reset_all(io));
    if (zones.capacity_blocks < 4) co_return skipped("a zone has fewer than 4 blocks");
    const IoBuffer data(size_t{2} * io.block_bytes());
    const MutableBytes one = data.bytes().first(io.block_bytes());
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 1, 1, one), Status::zone_invalid_write, "a write before its turn"));
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, 2, data.bytes()), Status::success, "a write where it belongs"));
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, 1, one), Status::zone_invalid_write, "a write once more"));
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 3, 1, one), Status::zone_invalid_write, "a write with a gap"));
    const uint64_t count = io.block_count();
    WEFT_IO_TRY(expect(co_await io.run(Op::write, count, 1, one), Status::out_of_range, "a write past the end"));
    WEFT_IO_TRY(expect(co_await io.run(Op::read, count, 1, one), Status::out_of_range, "a read past the end"));
    co_return Verdict{};
}

// Up to its capacity and not beyond; then it is full, until it is reset.
Task<Verdict> zone_fill(IoCase& io) {
    const bdev::ZoneGeometry& zones = io.device().zones()->zone_geometry();
    WEFT_IO_TRY(co_await reset_all(io));
    const uint64_t step = std::min<uint64_t>(zones.capacity_blocks, 256);
    uint64_t at = 0;
    for (; at + step <= zones.capacity_blocks; at += step) WEFT_IO_TRY(co_await io.write_and_read(at, step));
    const uint64_t rest = zones.capacity_blocks - at;
    const IoBuffer more((rest + 1) * io.block_bytes());
    if (rest > 0) {
        WEFT_IO_TRY(expect(co_await io.run(Op::write, at, rest + 1, more.bytes()), Status::zone_boundary,
                           "a write across the end of a zone"));
        WEFT_IO_TRY(co_await io.write_and_read(at, rest));
    }
    if (io.device().zones()->zone(0).state != bdev::ZoneState::full)
        co_return failed("a zone that was written is not full");
    const Status status = co_await io.run(Op::write, 0, 1, more.bytes().first(io.block_bytes()));
    WEFT_IO_TRY(expect(status, Status::zone_full, "a write to a full zone"));
    WEFT_IO_TRY(expect(co_await manage(io, ZoneAction::reset, 0), Status::success, "reset of a zone"));
    if (io.device().zones()->zone(0).state != bdev::ZoneState::empty)
        co_return failed("a zone that was reset is not empty");
    WEFT_IO_TRY(co_await io.reads_as_zero(0, 1));
    co_return (co_await io.write_and_read(0, 1)).value_or(Verdict{});
}

Task<Verdict> zone_append(IoCase& io) {
    if (!io.does(Op::zone_append)) co_return skipped("not supported");
    const bdev::ZoneGeometry& zones = io.device().zones()->zone_geometry();
    WEFT_IO_TRY(co_await reset_all(io));
    const IoBuffer data(io.block_bytes());
    const iovec piece{.iov_base = data.bytes().data(), .iov_len = data.bytes().size()};
    for (uint64_t at = 0; at < std::min<uint64_t>(zones.capacity_blocks, 8); ++at) {
        data.fill_pattern(at);
        Request request;
        request.op = Op::zone_append;
        request.lba = 0;
        request.blocks = 1;
        request.data = {&piece, 1};
        WEFT_IO_TRY(expect(co_await io.run(request), Status::success, "append"));
        if (request.lba != at) co_return failed(fmt::format("append {} says that it went to {}", at, request.lba));
        WEFT_IO_TRY(co_await io.reads_as(at, data.bytes()));
    }
    co_return Verdict{};
}

Task<Verdict> zone_states(IoCase& io) {
    using State = bdev::ZoneState;
    bdev::Zones& zones = *io.device().zones();
    WEFT_IO_TRY(co_await reset_all(io));
    WEFT_IO_TRY(expect(co_await manage(io, ZoneAction::open, 0), Status::success, "open"));
    if (zones.zone(0).state != State::explicitly_opened) co_return failed("an opened zone is not open");
    WEFT_IO_TRY(co_await io.write_and_read(0, 1));
    WEFT_IO_TRY(expect(co_await manage(io, ZoneAction::close, 0), Status::success, "close"));
    if (zones.zone(0).state != State::closed) co_return failed("a closed zone is not closed");
    WEFT_IO_TRY(expect(co_await manage(io, ZoneAction::finish, 0), Status::success, "finish"));
    if (zones.zone(0).state != State::full) co_return failed("a finished zone is not full");
    WEFT_IO_TRY(
        expect(co_await manage(io, ZoneAction::open, 0), Status::zone_invalid_transition, "open of a full zone"));
    WEFT_IO_TRY(co_await reset_all(io));
    for (uint64_t index = 0; index < std::min<uint64_t>(zones.zone_geometry().zone_count, 100); ++index) {
        if (zones.zone(index).state != State::empty) co_return failed("a zone is not empty after the reset of all");
    }
    co_return Verdict{};
}

Task<Verdict> zone_limit(IoCase& io) {
    const bdev::ZoneGeometry& zones = io.device().zones()->zone_geometry();
    if (zones.active_max == 0 || zones.active_max >= zones.zone_count) co_return skipped("all zones may be active");
    WEFT_IO_TRY(co_await reset_all(io));
    const IoBuffer data(io.block_bytes());
    for (uint64_t index = 0; index < zones.active_max; ++index) {
        WEFT_IO_TRY(expect(co_await io.run(Op::write, index * zones.zone_blocks, 1, data.bytes()), Status::success,
                           "a write to one more zone"));
    }
    const Status status = co_await io.run(Op::write, zones.active_max * zones.zone_blocks, 1, data.bytes());
    WEFT_IO_TRY(expect(status, Status::too_many_active_zones, "a write to one zone too many"));
    co_return (co_await reset_all(io)).value_or(Verdict{});
}

constexpr IoTest zone_list[] = {
    {"writes at the write pointer", zone_writes}, {"writes elsewhere", zone_wrong_places},
    {"a zone filled and reset", zone_fill},       {"zone append", zone_append},
    {"open, close, finish, reset", zone_states},  {"more active zones than there may be", zone_limit},
};

}  // namespace

std::span<const IoTest> special_tests() { return specials; }
std::span<const IoTest> zone_tests() { return zone_list; }

}  // namespace weft::cli
