// Every op of the software module against what a plain loop says, at every length and alignment.
#include "accel/operation.h"

#include "accel/test_bench.h"
#include "base/crc32c.h"

namespace weft::accel {
namespace {

using OperationTest = AccelTest;

TEST_F(OperationTest, NamesAreTheFields) {
    EXPECT_EQ(name_of(Op::copy), "copy");
    EXPECT_EQ(name_of(Op::xor_all), "xor");
    EXPECT_EQ(name_of(Op::dix_verify), "dix_verify");
    for (size_t at = 0; at < op_count; ++at) EXPECT_EQ(op_named(name_of(static_cast<Op>(at))), static_cast<Op>(at));
    EXPECT_FALSE(op_named("").has_value());
    EXPECT_FALSE(op_named("copy ").has_value());
}

TEST_F(OperationTest, CopyFillDualcastAndCompareAsAPlainLoop) {
    for (size_t bytes = 0; bytes < 3000; bytes += bytes < 300 ? 1 : 97) {
        const Memory data = random_memory(bytes, random_);
        const Scattered from(data, random_);
        const Scattered to(bytes, random_);
        const Scattered too(bytes, random_);
        ASSERT_EQ(run(copy(to.pieces(), from.pieces())), Status::success);
        ASSERT_EQ(to.content(), data) << bytes;
        ASSERT_EQ(run(compare(to.pieces(), from.pieces())), Status::success);
        const auto value = static_cast<uint8_t>(random_());
        ASSERT_EQ(run(fill(to.pieces(), value)), Status::success);
        ASSERT_EQ(to.content(), Memory(bytes, std::byte{value})) << bytes;
        ASSERT_EQ(run(dualcast(to.pieces(), too.pieces(), from.pieces())), Status::success);
        ASSERT_EQ(to.content(), data);
        ASSERT_EQ(too.content(), data);
        if (bytes == 0) continue;
        Memory other = data;
        other[random_() % bytes] ^= std::byte{4};
        ASSERT_EQ(run(compare(Scattered(other, random_).pieces(), from.pieces())), Status::miscompare);
    }
}

TEST_F(OperationTest, Crc32cHasTheKnownValues) {
    const auto sum = [this](const Memory& data) {
        uint32_t state = crc32c_seed;
        EXPECT_EQ(run(crc32c(state, Scattered(data, random_).pieces())), Status::success);
        return crc32c_finish(state);
    };
    // RFC 3720, B.4.
    EXPECT_EQ(sum(Memory(32, std::byte{0})), 0x8A9136AAU);
    EXPECT_EQ(sum(Memory(32, std::byte{0xFF})), 0x62A8AB43U);
    Memory rising(32);
    for (size_t at = 0; at < rising.size(); ++at) rising[at] = static_cast<std::byte>(at);
    EXPECT_EQ(sum(rising), 0x46DD794EU);
    EXPECT_EQ(sum(Memory()), 0U);
}

// Bit by bit, as the polynomial says.
uint32_t slow_crc32c(Bytes bytes) {
    uint32_t state = 0xFFFFFFFF;
    for (const std::byte byte : bytes) {
        state ^= static_cast<uint8_t>(byte);
        for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~state;
}

TEST_F(OperationTest, ChecksumsAreTheSameWithAndWithoutACopy) {
    for (size_t bytes = 0; bytes < 40000; bytes += bytes < 200 ? 1 : 3331) {
        const Memory data = random_memory(bytes, random_);
        const Scattered from(data, random_);
        const Scattered to(bytes, random_);
        uint32_t alone = crc32c_seed;
        uint32_t copying = crc32c_seed;
        ASSERT_EQ(run(crc32c(alone, from.pieces())), Status::success);
        ASSERT_EQ(run(copy_crc32c(copying, to.pieces(), from.pieces())), Status::success);
        ASSERT_EQ(crc32c_finish(alone), slow_crc32c(data)) << bytes;
        ASSERT_EQ(copying, alone);
        ASSERT_EQ(to.content(), data);
    }
}

TEST_F(OperationTest, XorOfAnyNumberAtAnyAlignment) {
    for (size_t round = 0; round < 600; ++round) {
        const size_t sources = 1 + random_() % (round % 20 == 0 ? xor_sources_max : 9);
        const size_t bytes = random_() % 700;
        const size_t skew = round % 2 == 0 ? 0 : random_() % 40;  // the even ones are aligned
        constexpr std::align_val_t alignment{64};
        struct Free {
            void operator()(std::byte* memory) const { ::operator delete[](memory, alignment); }
        };
        std::vector<std::unique_ptr<std::byte[], Free>> rooms;
        std::vector<const std::byte*> starts;
        Memory expected(bytes);
        for (size_t at = 0; at < sources; ++at) {
            rooms.emplace_back(new (alignment) std::byte[bytes + 64]);
            std::byte* const start = rooms.back().get() + skew * (at % 2);
            for (size_t byte = 0; byte < bytes; ++byte) {
                start[byte] = static_cast<std::byte>(random_());
                expected[byte] ^= start[byte];
            }
            starts.push_back(start);
        }
        rooms.emplace_back(new (alignment) std::byte[bytes + 65]);
        // Now and then the target is the first source.
        std::byte* const target = round % 5 == 0 ? rooms.front().get() : rooms.back().get() + skew;
        std::byte* const behind = round % 5 == 0 ? nullptr : target + bytes;
        if (behind != nullptr) *behind = std::byte{0x3C};
        const iovec to{.iov_base = target, .iov_len = bytes};
        ASSERT_EQ(run(xor_all({&to, 1}, starts)), Status::success);
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), target)) << sources << " of " << bytes;
        if (behind != nullptr) ASSERT_EQ(*behind, std::byte{0x3C});
    }
}

TEST_F(OperationTest, WhatIsCompressedComesBack) {
    for (uint8_t level = 0; level <= compress_level_max; ++level) {
        for (const size_t bytes : std::array<size_t, 6>{0, 1, 17, 511, 4096, 70000}) {
            Memory data(bytes);
            for (size_t at = 0; at < bytes; ++at)
                data[at] = static_cast<std::byte>(random_() % 7 == 0 ? random_() : at / 64);
            const Scattered from(data, random_);
            const Scattered packed(bytes + bytes / 8 + 200, random_);
            uint64_t made = 0;
            ASSERT_EQ(run(compress(made, packed.pieces(), from.pieces(), level)), Status::success) << bytes;
            ASSERT_GT(made, 0U);
            if (bytes >= 4096) EXPECT_LT(made, bytes * 3 / 4) << int{level};
            Memory stream = packed.content();
            stream.resize(made);
            uint64_t back = 0;
            const Scattered to(bytes, random_);  // exactly as much room as there must be
            ASSERT_EQ(run(decompress(back, to.pieces(), Scattered(stream, random_).pieces())), Status::success);
            EXPECT_EQ(back, bytes);
            EXPECT_EQ(to.content(), data);
            if (bytes == 0) continue;
            const Scattered narrow(made - 1, random_);
            EXPECT_EQ(run(compress(made, narrow.pieces(), from.pieces(), level)), Status::no_space);
        }
    }
}

TEST_F(OperationTest, AStreamOfAnotherLibraryIsRead) {
    // zlib 1.2.13, level 9, raw.
    const Memory stream = of_hex("cb48cdc9c957c840277514ca53d34a00");
    const std::string_view text = "hello hello hello hello, weft";
    Memory to(text.size() + 3, std::byte{'!'});
    const iovec piece = piece_of(to);
    uint64_t made = 0;
    ASSERT_EQ(run(decompress(made, {&piece, 1}, Scattered(stream, random_).pieces())), Status::success);
    EXPECT_EQ(made, text.size());
    EXPECT_EQ(text_of(to), std::string(text) + "!!!");
}

TEST_F(OperationTest, ABadStreamIsRefusedAndATooLongOneStops) {
    const Memory stream = of_hex("cb48cdc9c957c840277514ca53d34a00");
    Memory to(29);
    const iovec piece = piece_of(to);
    uint64_t made = 0;
    for (size_t bytes = 0; bytes < stream.size(); ++bytes) {
        EXPECT_EQ(run(decompress(made, {&piece, 1}, Scattered(Bytes(stream).first(bytes), random_).pieces())),
                  Status::bad_data)
            << "only " << bytes;
    }
    Memory filled_up = stream;
    filled_up.resize(64);
    EXPECT_EQ(run(decompress(made, {&piece, 1}, Scattered(filled_up, random_).pieces())), Status::success);
    for (size_t bytes = 0; bytes < to.size(); ++bytes) {
        const iovec narrow{.iov_base = to.data(), .iov_len = bytes};
        EXPECT_EQ(run(decompress(made, {&narrow, 1}, Scattered(stream, random_).pieces())), Status::no_space) << bytes;
    }
    // Looks back before its start; reserved block type.
    for (const std::string_view bad : {"03020000", "07", "ffffffff", "010000"}) {
        EXPECT_EQ(run(decompress(made, {&piece, 1}, Scattered(of_hex(bad), random_).pieces())), Status::bad_data)
            << bad;
    }
    // And it still works after that.
    EXPECT_EQ(run(decompress(made, {&piece, 1}, Scattered(stream, random_).pieces())), Status::success);
}

TEST_F(OperationTest, LengthsThatDoNotFitAreRefused) {
    Memory memory(64);
    const iovec whole = piece_of(memory);
    const iovec half{.iov_base = memory.data(), .iov_len = 32};
    const std::span<const iovec> one(&whole, 1);
    const std::span<const iovec> other(&half, 1);
    uint32_t state = 0;
    uint64_t made = 0;
    EXPECT_EQ(run(copy(one, other)), Status::invalid);
    EXPECT_EQ(run(copy({}, other)), Status::invalid);
    EXPECT_EQ(run(compare(one, other)), Status::invalid);
    EXPECT_EQ(run(dualcast(one, other, one)), Status::invalid);
    EXPECT_EQ(run(dualcast(other, one, one)), Status::invalid);
    EXPECT_EQ(run(copy_crc32c(state, other, one)), Status::invalid);
    EXPECT_EQ(run({.op = Op::crc32c, .source = one}), Status::invalid);
    EXPECT_EQ(run({.op = Op::compress, .source = one, .destination = one}), Status::invalid);
    EXPECT_EQ(run(compress(made, one, one, compress_level_max + 1)), Status::invalid);
    EXPECT_EQ(run({.op = Op::encrypt, .source = one, .destination = one}), Status::invalid) << "no key";
    EXPECT_EQ(run(xor_all(one, {})), Status::invalid);
    const std::vector<const std::byte*> many(xor_sources_max + 1, memory.data());
    EXPECT_EQ(run(xor_all(one, many)), Status::invalid);
    const std::array<iovec, 2> two{half, half};
    EXPECT_EQ(run(xor_all(two, std::span(many).first(2))), Status::invalid);
    EXPECT_EQ(run({.op = Op::dif_verify, .source = one, .block_bytes = 512}), Status::invalid) << "no format";
    EXPECT_EQ(channel().statistics().of[static_cast<size_t>(Op::copy)].failed, 2U);
}

// dif_* and dix_* of many blocks, for all formats, against one tuple after another.
TEST_F(OperationTest, ProtectionOfManyBlocksAsOfOneAfterAnother) {
    for (const auto guard : {Guard::crc16, Guard::crc32, Guard::crc64}) {
        for (const uint16_t metadata_bytes : std::array<uint16_t, 3>{8, 16, 64}) {
            if (guard != Guard::crc16 && metadata_bytes < 16) continue;
            for (const bool is_first : {false, true}) {
                const ProtectionFormat format{.metadata_bytes = metadata_bytes,
                                              .type = ProtectionType::type1,
                                              .guard = guard,
                                              .is_first = is_first};
                const Protection protection{.reference = 0x1234,
                                            .application_tag = 0xABCD,
                                            .application_mask = 0xFFFF,
                                            .checks_guard = true,
                                            .checks_application = true,
                                            .checks_reference = true};
                constexpr uint32_t block_bytes = 4096;
                constexpr size_t blocks = 5;
                const Memory plain = random_memory(blocks * block_bytes, random_);
                Memory extended;
                Memory all_metadata;
                for (size_t at = 0; at < blocks; ++at) {
                    const Bytes block = Bytes(plain).subspan(at * block_bytes, block_bytes);
                    Memory metadata(metadata_bytes);
                    write_tuple(format, protection, at, block, metadata);
                    extended.insert(extended.end(), block.begin(), block.end());
                    extended.insert(extended.end(), metadata.begin(), metadata.end());
                    all_metadata.insert(all_metadata.end(), metadata.begin(), metadata.end());
                }
                uint64_t bad_block = 99;
                Job job{
                    .block_bytes = block_bytes, .format = &format, .protection = &protection, .bad_block = &bad_block};
                const auto as = [&job](Op op, std::span<const iovec> source, std::span<const iovec> destination,
                                       std::span<const iovec> second = {}) {
                    Job made = job;
                    made.op = op;
                    made.source = source;
                    made.destination = destination;
                    made.second = second;
                    return made;
                };
                const Scattered from(plain, random_);
                const Scattered whole(extended, random_);
                const Scattered made(extended.size(), random_);
                ASSERT_EQ(run(as(Op::dif_generate_copy, from.pieces(), made.pieces())), Status::success);
                ASSERT_EQ(made.content(), extended);
                ASSERT_EQ(run(as(Op::dif_verify, whole.pieces(), {})), Status::success);
                const Scattered stripped(plain.size(), random_);
                ASSERT_EQ(run(as(Op::dif_verify_copy, whole.pieces(), stripped.pieces())), Status::success);
                ASSERT_EQ(stripped.content(), plain);

                Memory without = extended;
                for (size_t at = 0; at < blocks; ++at) {
                    const auto start =
                        without.begin() + static_cast<ptrdiff_t>((at + 1) * block_bytes + at * metadata_bytes);
                    std::fill_n(start, metadata_bytes, std::byte{0});
                }
                const Scattered in_place(without, random_);
                ASSERT_EQ(run(as(Op::dif_generate, {}, in_place.pieces())), Status::success);
                ASSERT_EQ(in_place.content(), extended);

                const Scattered apart(Memory(all_metadata.size()), random_);
                ASSERT_EQ(run(as(Op::dix_generate, from.pieces(), {}, apart.pieces())), Status::success);
                ASSERT_EQ(apart.content(), all_metadata);
                ASSERT_EQ(run(as(Op::dix_verify, from.pieces(), {}, apart.pieces())), Status::success);

                Memory spoilt = extended;
                spoilt[3 * (block_bytes + metadata_bytes) + 100] ^= std::byte{1};
                const Scattered bad(spoilt, random_);
                ASSERT_EQ(run(as(Op::dif_verify, bad.pieces(), {})), Status::guard_error);
                ASSERT_EQ(bad_block, 3U);
                bad_block = 99;
                ASSERT_EQ(run(as(Op::dif_verify_copy, bad.pieces(), stripped.pieces())), Status::guard_error);
                ASSERT_EQ(bad_block, 3U);
                Protection elsewhere = protection;
                elsewhere.reference = 0x1235;
                Job moved = as(Op::dix_verify, from.pieces(), {}, apart.pieces());
                moved.protection = &elsewhere;
                ASSERT_EQ(run(moved), Status::reference_tag_error);
                EXPECT_EQ(run(as(Op::dif_verify, from.pieces(), {})), Status::invalid) << "not whole blocks";
            }
        }
    }
}

}  // namespace
}  // namespace weft::accel
