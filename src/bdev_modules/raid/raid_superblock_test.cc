#include "bdev_modules/raid/raid_superblock.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/endian.h"

namespace weft::bdev {
namespace {

RaidSuperblock example() {
    RaidSuperblock superblock{.uuid = Uuid::from_names({"raid"}),
                              .name = "mirror",
                              .block_count = 6144,
                              .block_bytes = 512,
                              .level = RaidLevel::raid1,
                              .strip_blocks = 0,
                              .sequence = 7,
                              .slots = 3,
                              .members = {}};
    for (uint8_t slot = 0; slot < 3; ++slot) {
        superblock.members.push_back({.uuid = Uuid::from_names({"base", std::string(1, static_cast<char>('a' + slot))}),
                                      .data_offset = 2048,
                                      .data_size = 6144,
                                      .state = slot == 1 ? MemberState::failed : MemberState::configured,
                                      .slot = slot});
    }
    return superblock;
}

std::string refusal(Bytes bytes) {
    const auto parsed = parse_superblock(bytes);
    if (!parsed) return parsed.error().message;
    return *parsed ? "taken" : "none";
}

// With the right checksum: a liar, no accident.
std::string refusal_of_lie(size_t at, std::vector<uint8_t> bytes, std::vector<std::byte> all) {
    for (size_t each = 0; each < bytes.size(); ++each) all[at + each] = static_cast<std::byte>(bytes[each]);
    std::fill_n(all.begin() + 16, 4, std::byte{0});
    const le32 crc = crc32c_update(0, all);
    std::memcpy(all.data() + 16, &crc, 4);
    return refusal(all);
}

TEST(RaidSuperblock, ComesBackAsItWas) {
    const auto parsed = parse_superblock(serialize(example()));
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    ASSERT_TRUE(parsed->has_value());
    EXPECT_EQ(**parsed, example());
    RaidSuperblock striped = example();
    striped.level = RaidLevel::raid5f;
    striped.strip_blocks = 128;
    striped.block_count = 2 * 6144;
    const auto other = parse_superblock(serialize(striped));
    ASSERT_TRUE(other.has_value()) << other.error().message;
    EXPECT_EQ(**other, striped);
}

TEST(RaidSuperblock, LiesWhereTheFieldHasIt) {
    const std::vector<std::byte> bytes = serialize(example());
    ASSERT_EQ(bytes.size(), 256U + 3 * 64);
    EXPECT_EQ(std::memcmp(bytes.data(), "SPDKRAID\1\0\0\0", 12), 0);
    EXPECT_EQ(std::memcmp(bytes.data() + 40, "mirror", 7), 0);
    EXPECT_EQ(bytes[128], std::byte{7}) << "the sequence";
    EXPECT_EQ(bytes[136], std::byte{3}) << "how many base bdevs";
    EXPECT_EQ(bytes[255], std::byte{3}) << "how many are described";
    EXPECT_EQ(bytes[256 + 64 + 32], std::byte{2}) << "the state of the second";
}

// What SPDK 26.09-pre wrote for a raid0 of three files of 16 MiB: the checksum covers every byte.
TEST(RaidSuperblock, IsTheOneThatSpdkWrites) {
    RaidSuperblock superblock{.uuid = *Uuid::parse("99999999-2222-3333-4444-555555555555"),
                              .name = "Peer",
                              .block_count = 92160,
                              .block_bytes = 512,
                              .level = RaidLevel::raid0,
                              .strip_blocks = 128,
                              .sequence = 1,
                              .slots = 3,
                              .members = {}};
    for (uint8_t slot = 0; slot < 3; ++slot) {
        const std::string uuid = "1111111" + std::to_string(slot) + "-2222-3333-4444-555555555555";
        superblock.members.push_back({.uuid = *Uuid::parse(uuid),
                                      .data_offset = 2048,
                                      .data_size = 30720,
                                      .state = MemberState::configured,
                                      .slot = slot});
    }
    const std::vector<std::byte> bytes = serialize(superblock);
    EXPECT_EQ(bytes.size(), 0x1C0U);
    EXPECT_EQ(load<le32>(Bytes(bytes).subspan(16)), 0x3158E1B7U);
}

TEST(RaidSuperblock, WhatIsNoneIsNone) {
    EXPECT_EQ(refusal({}), "none");
    EXPECT_EQ(refusal(std::vector<std::byte>(4096)), "none");
    EXPECT_EQ(refusal(Bytes(serialize(example())).first(255)), "none");
}

TEST(RaidSuperblock, EveryFlippedBitIsFound) {
    const std::vector<std::byte> good = serialize(example());
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::vector<std::byte> bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        ASSERT_NE(refusal(bad), "taken") << bit;
    }
    for (size_t bytes = 256; bytes < good.size(); ++bytes) {
        ASSERT_NE(refusal(Bytes(good).first(bytes)), "taken") << bytes;
    }
}

TEST(RaidSuperblock, EveryLieIsRefusedWithItsReason) {
    const std::vector<std::byte> good = serialize(example());
    const auto expect = [&good](size_t at, const std::vector<uint8_t>& bytes, std::string_view reason) {
        const std::string said = refusal_of_lie(at, bytes, good);
        EXPECT_NE(said.find(reason), std::string::npos) << "at " << at << ": " << said;
    };
    expect(8, {2}, "version");
    expect(12, {0, 1}, "length");
    expect(12, {0xFF, 0xFF, 0xFF, 0xFF}, "length");
    expect(24, std::vector<uint8_t>(16, 0), "no UUID");
    expect(40, std::vector<uint8_t>(64, 'x'), "no end");
    expect(40, {0}, "empty");
    expect(40, {'\n'}, "control");
    expect(104, std::vector<uint8_t>(8, 0), "at least one block");
    expect(104, std::vector<uint8_t>(8, 0xFF), "2^63");
    expect(104, {1}, "the base bdevs hold");
    expect(112, {1, 2}, "power of two");
    expect(112, {0, 0, 1, 0}, "");
    expect(116, {7}, "level");
    expect(116, {0}, "strip");
    expect(120, {8}, "no strips");
    expect(136, {1}, "too few");
    expect(136, {2}, "more base bdevs");
    expect(255, {2}, "length");
    expect(256, std::vector<uint8_t>(16, 0), "it has no UUID");
    expect(256 + 16, {0, 0}, "first MiB");
    expect(256 + 16, std::vector<uint8_t>(8, 0xFF), "2^63");
    expect(256 + 24, std::vector<uint8_t>(8, 0xFF), "2^63");
    expect(256 + 32, {4}, "state");
    expect(256 + 40, {3}, "no such slot");
    expect(256 + 40, {1}, "twice");
    std::vector<uint8_t> other;
    for (size_t at = 0; at < 16; ++at) other.push_back(static_cast<uint8_t>(good[256 + 128 + at]));
    expect(256, other, "another has its UUID");
}

TEST(RaidSuperblock, TooFewMembersAreNoRaid) {
    RaidSuperblock superblock = example();
    superblock.level = RaidLevel::raid0;
    superblock.strip_blocks = 8;
    superblock.block_count = 2 * 6144;
    EXPECT_NE(refusal(serialize(superblock)).find("too few"), std::string::npos);
}

}  // namespace
}  // namespace weft::bdev
