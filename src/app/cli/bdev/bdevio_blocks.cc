// The tests of `weft bdevio` that every device of plain blocks must pass: sizes, places, pieces, order.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/cli/bdev/bdevio_case.h"
#include "bdev/execute.h"

namespace weft::cli {

using bdev::Op;
using bdev::Request;
using bdev::Status;

namespace {

constexpr uint64_t large_bytes = uint64_t{8} << 20;

Verdict needs_writes() { return skipped("not supported: it is read-only"); }

Task<Verdict> sizes(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    for (const uint64_t bytes : {uint64_t{0}, uint64_t{4} << 10, uint64_t{12} << 10, uint64_t{64} << 10,
                                 uint64_t{132} << 10, uint64_t{1} << 20, uint64_t{3} << 20, large_bytes}) {
        const uint64_t blocks = std::max<uint64_t>(bytes / io.block_bytes(), 1);
        if (blocks <= io.block_count()) WEFT_IO_TRY(co_await io.write_and_read(0, blocks));
    }
    co_return Verdict{};
}

Task<Verdict> every_count(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    const uint64_t most = std::min<uint64_t>(io.block_count(), 40);
    for (uint64_t blocks = 1; blocks <= most; ++blocks) WEFT_IO_TRY(co_await io.write_and_read(0, blocks));
    co_return Verdict{};
}

Task<Verdict> places(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    const uint64_t count = io.block_count();
    for (const uint64_t lba : {uint64_t{0}, uint64_t{1}, count / 3, count / 2, count - 1}) {
        if (lba < count) WEFT_IO_TRY(co_await io.write_and_read(lba, 1));
    }
    if (count >= 8) WEFT_IO_TRY(co_await io.write_and_read(count - 8, 8));
    co_return Verdict{};
}

Task<Verdict> across_boundaries(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    const uint64_t count = io.block_count();
    for (const uint64_t boundary :
         {uint64_t{io.device().geometry().optimal_blocks}, uint64_t{io.device().geometry().unmap_blocks},
          (uint64_t{64} << 10) / io.block_bytes(), (uint64_t{4} << 20) / io.block_bytes()}) {
        for (const uint64_t blocks : {uint64_t{2}, boundary + 1, 2 * boundary + 2}) {
            if (boundary < 1 || blocks * io.block_bytes() > large_bytes || boundary - 1 + blocks > count) continue;
            WEFT_IO_TRY(co_await io.write_and_read(boundary - 1, blocks));
        }
    }
    co_return Verdict{};
}

Task<Verdict> past_the_end(IoCase& io) {
    const uint64_t count = io.block_count();
    const IoBuffer data(size_t{2} * io.block_bytes());
    for (const Op op : {Op::read, Op::write, Op::unmap, Op::write_zeroes, Op::compare, Op::verify}) {
        if (!io.does(op)) continue;
        const std::pair<uint64_t, uint64_t> ranges[] = {{count, 1},          {count - 1, 2},      {count + 1, 1},
                                                        {UINT64_MAX, 1},     {UINT64_MAX - 1, 2}, {UINT64_MAX, 2},
                                                        {UINT64_MAX / 2, 1}, {count * 2, 2}};
        for (const auto& [lba, blocks] : ranges) {
            const Status status = co_await io.run(op, lba, blocks, data.bytes().first(blocks * io.block_bytes()));
            WEFT_IO_TRY(expect(status, Status::out_of_range, text_of(op, lba, blocks)));
        }
    }
    for (const Op op : {Op::unmap, Op::write_zeroes, Op::verify}) {
        if (!io.does(op)) continue;
        for (const uint64_t blocks : {count + 1, UINT64_MAX, UINT64_MAX - count + 1}) {
            const Status status = co_await io.run(op, count > 1 ? 1 : 0, blocks);
            WEFT_IO_TRY(expect(status, Status::out_of_range, text_of(op, count > 1 ? 1 : 0, blocks)));
        }
    }
    co_return Verdict{};
}

Task<Verdict> wrong_lengths(IoCase& io) {
    const IoBuffer data(size_t{2} * io.block_bytes());
    for (const Op op : {Op::read, Op::write, Op::compare}) {
        if (!io.does(op)) continue;
        for (const size_t bytes :
             {size_t{0}, size_t{io.block_bytes()} - 1, size_t{io.block_bytes()} + 1, size_t{2} * io.block_bytes()}) {
            const Status status = co_await io.run(op, 0, 1, data.bytes().first(bytes));
            WEFT_IO_TRY(expect(status, Status::failed,
                               fmt::format("{} of one block with {} bytes of data", bdev::name_of(op), bytes)));
        }
    }
    co_return Verdict{};
}

Task<Verdict> no_blocks(IoCase& io) {
    for (const Op op : {Op::read, Op::write, Op::unmap, Op::write_zeroes, Op::compare, Op::verify}) {
        if (!io.does(op)) continue;
        WEFT_IO_TRY(expect(co_await io.run(op, 0, 0), Status::success, text_of(op, 0, 0)));
    }
    co_return Verdict{};
}

Task<Verdict> missing_ops(IoCase& io) {
    const IoBuffer data(io.block_bytes());
    uint32_t missing = 0;
    for (size_t at = 0; at < bdev::op_count; ++at) {
        const Op op = static_cast<Op>(at);
        if (io.does(op)) continue;
        ++missing;
        WEFT_IO_TRY(expect(co_await io.run(op, 0, 1, data.bytes()), Status::not_supported, text_of(op, 0, 1)));
    }
    co_return missing == 0 ? skipped("it does everything") : Verdict{};
}

// A write in many pieces, read back in other pieces.
Task<Verdict> in_pieces(IoCase& io, size_t piece_max, uint64_t bytes_max) {
    if (!io.does(Op::write)) co_return needs_writes();
    const uint64_t blocks = std::clamp<uint64_t>(bytes_max / io.block_bytes(), 1, io.block_count());
    for (int round = 0; round < 4; ++round) {
        const IoBuffer data(blocks * io.block_bytes());
        data.fill_pattern(io.random());
        const std::vector<iovec> sent = io.cut_up(data.bytes(), piece_max);
        WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, blocks, sent), Status::success,
                           fmt::format("{} in {} pieces", text_of(Op::write, 0, blocks), sent.size())));
        WEFT_IO_TRY(co_await io.reads_as(0, data.bytes()));
        const IoBuffer back(data.bytes().size(), std::byte{0xEE});
        const std::vector<iovec> received = io.cut_up(back.bytes(), piece_max);
        WEFT_IO_TRY(expect(co_await io.run(Op::read, 0, blocks, received), Status::success,
                           fmt::format("{} in {} pieces", text_of(Op::read, 0, blocks), received.size())));
        if (io.keeps_data() && !std::ranges::equal(back.bytes(), data.bytes())) {
            co_return failed(fmt::format("a read in {} pieces is not what was written", received.size()));
        }
    }
    co_return Verdict{};
}

Task<Verdict> small_pieces(IoCase& io) { return in_pieces(io, 3, 4096); }
Task<Verdict> odd_pieces(IoCase& io) { return in_pieces(io, 9973, uint64_t{256} << 10); }
Task<Verdict> long_pieces(IoCase& io) { return in_pieces(io, size_t{1} << 20, large_bytes); }

// A piece a byte (or what alignment allows), and no memory between the blocks of two pieces.
Task<Verdict> pieces_across_blocks(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    const size_t unit = io.device().geometry().alignment_bytes;
    if (unit >= io.block_bytes()) co_return skipped(fmt::format("data is aligned to {} bytes", unit));
    const uint64_t blocks = std::min<uint64_t>(io.block_count(), 4);
    const IoBuffer data(blocks * io.block_bytes());
    data.fill_pattern(io.random());
    std::vector<iovec> pieces = {{data.bytes().data(), unit}};
    for (size_t at = unit; at < data.bytes().size();) {
        const size_t bytes = std::min<size_t>(io.block_bytes(), data.bytes().size() - at);
        pieces.push_back({data.bytes().data() + at, bytes});
        at += bytes;
    }
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, blocks, pieces), Status::success, "a write out of step"));
    co_return (co_await io.reads_as(0, data.bytes())).value_or(Verdict{});
}

Task<Verdict> neighbours(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    if (io.block_count() < 12) co_return skipped("it has fewer than 12 blocks");
    const IoBuffer all(size_t{12} * io.block_bytes());
    all.fill_pattern(io.random());
    for (const Op op : {Op::write, Op::write_zeroes, Op::unmap}) {
        if (!io.does(op)) continue;
        WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, 12, all.bytes()), Status::success, text_of(Op::write, 0, 12)));
        const MutableBytes middle = all.bytes().subspan(size_t{5} * io.block_bytes(), io.block_bytes());
        std::ranges::fill(middle, op == Op::write ? std::byte{0x5A} : std::byte{0});
        WEFT_IO_TRY(expect(co_await io.run(op, 5, 1, middle), Status::success, text_of(op, 5, 1)));
        WEFT_IO_TRY(co_await io.reads_as(0, all.bytes()));
    }
    co_return Verdict{};
}

Task<Verdict> zeroed_by(IoCase& io, Op op) {
    if (!io.does(op)) co_return skipped("not supported");
    const uint64_t count = io.block_count();
    for (const uint64_t blocks : {uint64_t{1}, uint64_t{7}, uint64_t{128}, large_bytes / io.block_bytes() - 3}) {
        for (const uint64_t lba : {uint64_t{0}, uint64_t{3}, count - std::min(count, blocks)}) {
            if (blocks == 0 || blocks > count || lba > count - blocks) continue;
            if (io.does(Op::write)) WEFT_IO_TRY(co_await io.write_and_read(lba, blocks));
            WEFT_IO_TRY(expect(co_await io.run(op, lba, blocks), Status::success, text_of(op, lba, blocks)));
            WEFT_IO_TRY(co_await io.reads_as_zero(lba, blocks));
        }
    }
    co_return Verdict{};
}

Task<Verdict> write_zeroes(IoCase& io) { return zeroed_by(io, Op::write_zeroes); }
Task<Verdict> unmap(IoCase& io) { return zeroed_by(io, Op::unmap); }

Task<Verdict> flush(IoCase& io) {
    if (!io.does(Op::flush)) co_return skipped("not supported");
    for (int round = 0; round < 3; ++round) {
        if (io.does(Op::write)) WEFT_IO_TRY(co_await io.write_and_read(0, 1));
        WEFT_IO_TRY(expect(co_await io.run(Op::flush, 0, 0), Status::success, "flush"));
        WEFT_IO_TRY(expect(co_await io.run(Op::flush, 0, io.block_count()), Status::success, "flush of all blocks"));
    }
    co_return Verdict{};
}

Task<Verdict> forced_unit_access(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    for (const uint64_t blocks : {uint64_t{1}, uint64_t{9}, uint64_t{300}}) {
        if (blocks <= io.block_count()) WEFT_IO_TRY(co_await io.write_and_read(0, blocks, true));
    }
    if (io.does(Op::write_zeroes)) {
        WEFT_IO_TRY(
            expect(co_await io.run(Op::write_zeroes, 0, 1, {}, true), Status::success, "write_zeroes with FUA"));
        WEFT_IO_TRY(co_await io.reads_as_zero(0, 1));
    }
    co_return Verdict{};
}

// Several requests at a time, of which each has memory of its own.
class Crowd {
public:
    Crowd(IoCase& io, size_t count, size_t bytes) : io_(io) {
        for (size_t at = 0; at < count; ++at) members_.push_back(std::make_unique<Member>(bytes));
    }
    struct Member {
        explicit Member(size_t bytes) : buffer(bytes), piece{.iov_base = buffer.bytes().data(), .iov_len = bytes} {}
        IoBuffer buffer;
        iovec piece;
        Request request;
    };
    [[nodiscard]] Member& member(size_t at) { return *members_[at]; }
    [[nodiscard]] size_t size() const { return members_.size(); }

    // Starts all, and waits for the last.
    Task<std::optional<Verdict>> run() {
        left_ = members_.size();
        for (const auto& member : members_) spawn(run_one(*member));
        while (left_ > 0) co_await yield();
        for (const auto& member : members_) {
            const Request& request = member->request;
            if (auto wrong =
                    expect(request.status, Status::success, text_of(request.op, request.lba, request.blocks))) {
                co_return wrong;
            }
        }
        co_return std::nullopt;
    }

private:
    Task<void> run_one(Member& member) {
        static_cast<void>(co_await io_.run(member.request));
        --left_;
    }
    IoCase& io_;
    std::vector<std::unique_ptr<Member>> members_;
    size_t left_ = 0;
};

// Every block that many write at a time is one of theirs, as a whole; whoever reads meanwhile sees whole blocks too.
Task<Verdict> overlapping(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    const uint64_t blocks = std::min<uint64_t>(io.block_count(), 16);
    const size_t bytes = blocks * io.block_bytes();
    const auto is_whole = [&](const IoBuffer& data) {
        for (uint64_t block = 0; block < blocks; ++block) {
            const Bytes one = Bytes(data.bytes()).subspan(block * io.block_bytes(), io.block_bytes());
            if (std::ranges::any_of(one, [&](std::byte byte) { return byte != one.front(); })) return false;
        }
        return true;
    };
    const IoBuffer start(bytes, std::byte{0xFF});
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, blocks, start.bytes()), Status::success, "the first write"));
    for (int round = 0; round < 8; ++round) {
        Crowd crowd(io, 48, bytes);
        for (size_t at = 0; at < crowd.size(); ++at) {
            Crowd::Member& member = crowd.member(at);
            const uint64_t first = round % 2 == 0 ? 0 : io.random_below(blocks);
            member.request.op = at % 3 == 2 ? Op::read : Op::write;
            member.request.lba = first;
            member.request.blocks = blocks - first;
            member.piece.iov_len = (blocks - first) * io.block_bytes();
            member.request.data = {&member.piece, 1};
            member.buffer.fill(static_cast<std::byte>(at + 1));
        }
        WEFT_IO_TRY(co_await crowd.run());
        for (size_t at = 2; at < crowd.size() && io.keeps_data(); at += 3) {
            if (!is_whole(crowd.member(at).buffer))
                co_return failed("a read saw a part of a block that was being written");
        }
        const IoBuffer data(bytes);
        WEFT_IO_TRY(expect(co_await io.run(Op::read, 0, blocks, data.bytes()), Status::success, "the read at the end"));
        if (!is_whole(data)) co_return failed("a block has parts of two writes");
    }
    co_return Verdict{};
}

Task<Verdict> many_at_once(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    constexpr size_t depth = 256;
    const uint64_t each = std::min<uint64_t>(std::max<uint64_t>(16384 / io.block_bytes(), 1), io.block_count() / depth);
    if (each == 0) co_return skipped(fmt::format("it has fewer than {} blocks", depth));
    const size_t bytes = each * io.block_bytes();
    for (const Op op : {Op::write, Op::read}) {
        Crowd crowd(io, depth, bytes);
        for (size_t at = 0; at < depth; ++at) {
            Crowd::Member& member = crowd.member(at);
            member.request.op = op;
            member.request.lba = at * each;
            member.request.blocks = each;
            member.request.data = {&member.piece, 1};
            member.buffer.fill(op == Op::write ? static_cast<std::byte>(at) : std::byte{0xEE});
        }
        WEFT_IO_TRY(co_await crowd.run());
        if (op == Op::write || !io.keeps_data()) continue;
        for (size_t at = 0; at < depth; ++at) {
            if (!crowd.member(at).buffer.holds(static_cast<std::byte>(at))) {
                co_return failed(fmt::format("{} of {} is not what was written", text_of(op, at * each, each), depth));
            }
        }
    }
    co_return Verdict{};
}

// What a plain array would give.
Task<Verdict> like_an_array(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    if (!io.keeps_data()) co_return skipped("it keeps no data");
    const uint64_t count = std::min<uint64_t>(io.block_count(), (uint64_t{4} << 20) / io.block_bytes());
    const IoBuffer model(count * io.block_bytes());
    model.fill_pattern(io.random());
    WEFT_IO_TRY(expect(co_await io.run(Op::write, 0, count, model.bytes()), Status::success, "the first write"));
    for (int round = 0; round < 400; ++round) {
        const Op op =
            std::array{Op::read, Op::write, Op::write, Op::compare, Op::unmap, Op::write_zeroes}[io.random() % 6];
        if (!io.does(op)) continue;
        const uint64_t lba = io.random_below(count);
        const uint64_t blocks = 1 + io.random_below(std::min<uint64_t>(count - lba, 64));
        const MutableBytes place = model.bytes().subspan(lba * io.block_bytes(), blocks * io.block_bytes());
        const IoBuffer data(place.size());
        data.fill_pattern(io.random());
        Status expected = Status::success;
        if (op == Op::write) std::ranges::copy(data.bytes(), place.begin());
        if (op == Op::unmap || op == Op::write_zeroes) std::ranges::fill(place, std::byte{0});
        if (op == Op::compare && round % 2 == 0) std::ranges::copy(place, data.bytes().begin());
        if (op == Op::compare && round % 2 != 0) expected = Status::miscompare;
        const std::vector<iovec> pieces = io.cut_up(data.bytes(), 20000);
        const std::span<const iovec> moved = has_data(op) ? std::span<const iovec>(pieces) : std::span<const iovec>();
        WEFT_IO_TRY(expect(co_await io.run(op, lba, blocks, moved), expected, text_of(op, lba, blocks)));
        if (op == Op::read && !std::ranges::equal(data.bytes(), place)) {
            co_return failed(fmt::format("round {}: {} is not what was written", round, text_of(op, lba, blocks)));
        }
    }
    co_return (co_await io.reads_as(0, model.bytes())).value_or(Verdict{});
}

// Of pending requests, as many as the device lets go; all of them end.
Task<Verdict> abort(IoCase& io) {
    if (!io.does(Op::write)) co_return needs_writes();
    const uint64_t blocks = std::min<uint64_t>(io.block_count(), 8);
    Crowd crowd(io, 64, blocks * io.block_bytes());
    uint32_t pending = 0;
    uint32_t left = 0;
    for (size_t at = 0; at < crowd.size(); ++at) {
        Crowd::Member& member = crowd.member(at);
        member.request.op = Op::write;
        member.request.blocks = blocks;
        member.request.data = {&member.piece, 1};
        member.request.context = &left;
        member.request.done = [](Request& request) { --*static_cast<uint32_t*>(request.context); };
        if (io.channel().submit(member.request) != bdev::Progress::pending) continue;
        ++pending;
        ++left;
        static_cast<void>(io.channel().abort(member.request));
    }
    while (left > 0) co_await yield();
    for (size_t at = 0; at < crowd.size(); ++at) {
        const Status status = crowd.member(at).request.status;
        if (status != Status::success && status != Status::aborted) {
            co_return failed(fmt::format("an aborted write ended with \"{}\"", bdev::name_of(status)));
        }
    }
    if (pending == 0) co_return skipped("it does all on the spot");
    co_return (co_await io.write_and_read(0, blocks)).value_or(Verdict{});
}

constexpr IoTest tests[] = {
    {"sizes from one block to 8 MiB", sizes},
    {"every number of blocks up to 40", every_count},
    {"at the start, in the middle, at the end", places},
    {"across boundaries", across_boundaries},
    {"past the end", past_the_end},
    {"data of a wrong length", wrong_lengths},
    {"no blocks at all", no_blocks},
    {"what it does not do", missing_ops},
    {"pieces of a byte, and empty ones", small_pieces},
    {"pieces of odd lengths", odd_pieces},
    {"long pieces", long_pieces},
    {"pieces out of step with blocks", pieces_across_blocks},
    {"neighbours stay as they are", neighbours},
    {"write zeroes", write_zeroes},
    {"unmap", unmap},
    {"flush", flush},
    {"forced unit access", forced_unit_access},
    {"overlapping at the same time", overlapping},
    {"256 at once", many_at_once},
    {"as an array would", like_an_array},
    {"abort", abort},
    {"reset with requests pending", reset_with_pending},
};

}  // namespace

std::span<const IoTest> block_tests() { return tests; }

}  // namespace weft::cli
