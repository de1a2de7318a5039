#include "bdev_modules/gpt/gpt_table.h"

#include <gtest/gtest.h>

#include <functional>

#include "bdev_modules/gpt/test_gpt_builder.h"

namespace weft::bdev {
namespace {

constexpr const char* type = "6527994e-2c5a-4eec-9613-8f5944074e8b";
constexpr const char* first_guid = "aaaaaaaa-0000-4000-8000-000000000001";
constexpr const char* second_guid = "aaaaaaaa-0000-4000-8000-000000000002";
constexpr uint64_t block_count = 1000;

GptBuilder good(uint32_t block_bytes = 512) {
    GptBuilder builder(block_bytes, block_count);
    builder.add(type, first_guid, 100, 199, u"one");
    builder.add(type, second_guid, 200, 299, u"zw\u00F6lf \U0001F600");
    return builder;
}

Result<std::vector<GptPartition>> parse(const std::vector<std::byte>& bytes, uint32_t block_bytes, uint64_t lba) {
    const GptDisk disk{.block_bytes = block_bytes, .block_count = bytes.size() / block_bytes};
    const auto header = parse_gpt_header(Bytes(bytes).subspan(lba * block_bytes, block_bytes), lba, disk);
    if (!header) return std::unexpected(header.error());
    return parse_gpt_entries(Bytes(bytes).subspan(header->entries_lba * block_bytes, header->entries_bytes()), *header);
}

TEST(GptTable, BothCopiesTellThePartitions) {
    for (const uint32_t block_bytes : {512U, 4096U}) {
        const auto bytes = good(block_bytes).write();
        EXPECT_TRUE(has_protective_mbr(Bytes(bytes).first(block_bytes), {block_bytes, block_count}));
        for (const uint64_t lba : {uint64_t{1}, block_count - 1}) {
            const auto partitions = parse(bytes, block_bytes, lba);
            ASSERT_TRUE(partitions.has_value()) << partitions.error().message;
            ASSERT_EQ(partitions->size(), 2U);
            EXPECT_EQ((*partitions)[0].number, 1U);
            EXPECT_EQ((*partitions)[0].type.to_string(), type);
            EXPECT_EQ((*partitions)[0].unique.to_string(), first_guid);
            EXPECT_EQ((*partitions)[0].first, 100U);
            EXPECT_EQ((*partitions)[0].last, 199U);
            EXPECT_EQ((*partitions)[0].name, "one");
            EXPECT_EQ((*partitions)[1].name, "zw\xC3\xB6lf \xF0\x9F\x98\x80");
        }
    }
}

TEST(GptTable, NamesThatAreNoTextAreShownAllTheSame) {
    GptBuilder builder = good();
    builder.list[0].name = {};
    builder.list[0].name[0] = 0xDC00;
    builder.list[0].name[1] = 'x';
    builder.list[0].name[2] = 0xD800;
    for (le16& unit : builder.list[1].name) unit = 'y';
    builder.list[1].name[35] = 0xD83D;
    const auto partitions = parse(builder.write(), 512, 1);
    ASSERT_TRUE(partitions.has_value());
    EXPECT_EQ((*partitions)[0].name, "\xEF\xBF\xBDx\xEF\xBF\xBD");
    EXPECT_EQ((*partitions)[1].name, std::string(35, 'y') + "\xEF\xBF\xBD");
}

TEST(GptTable, EveryLieOfAHeaderIsRefused) {
    using Change = std::function<void(GptHeaderWire&)>;
    const std::vector<std::pair<Change, const char*>> lies = {
        {[](GptHeaderWire& h) { h.signature = 1; }, "there is no header"},
        {[](GptHeaderWire& h) { h.revision = 0x00020000; }, "revision"},
        {[](GptHeaderWire& h) { h.header_bytes = 91; }, "a header of 91 bytes"},
        {[](GptHeaderWire& h) { h.header_bytes = 513; }, "a header of 513 bytes"},
        {[](GptHeaderWire& h) { h.header_bytes = UINT32_MAX; }, "a header of"},
        {[](GptHeaderWire& h) { h.own_lba = 2; }, "says that it is at block 2"},
        {[](GptHeaderWire& h) { h.other_lba = h.own_lba; }, "the other header"},
        {[](GptHeaderWire& h) { h.other_lba = block_count; }, "the other header"},
        {[](GptHeaderWire& h) { h.entry_bytes = 64; }, "entries of 64 bytes"},
        {[](GptHeaderWire& h) { h.entry_bytes = 192; }, "entries of 192 bytes"},
        {[](GptHeaderWire& h) { h.entry_bytes = 0x80000000; }, "entries of"},
        {[](GptHeaderWire& h) { h.entry_count = 0; }, "0 entries"},
        {[](GptHeaderWire& h) { h.entry_count = 1025; }, "1025 entries"},
        {[](GptHeaderWire& h) { h.entry_count = UINT32_MAX; }, "4294967295 entries"},
        {[](GptHeaderWire& h) { h.entry_count = 1024; }, "do not fit"},
        {[](GptHeaderWire& h) { h.first_usable = 1; }, "usable"},
        {[](GptHeaderWire& h) { h.first_usable = h.last_usable + 1; }, "usable"},
        {[](GptHeaderWire& h) { h.last_usable = block_count; }, "usable"},
        {[](GptHeaderWire& h) { h.last_usable = UINT64_MAX; }, "usable"},
        {[](GptHeaderWire& h) { h.entries_lba = 1; }, "do not fit"},
        {[](GptHeaderWire& h) { h.entries_lba = 500; }, "do not fit"},
        {[](GptHeaderWire& h) { h.entries_lba = UINT64_MAX; }, "do not fit"},
        {[](GptHeaderWire& h) { h.entries_lba = UINT64_MAX - 31; }, "do not fit"},
    };
    for (const bool is_backup : {false, true}) {
        for (size_t at = 0; at < lies.size(); ++at) {
            GptBuilder builder = good();
            lies[at].first(is_backup ? builder.backup : builder.primary);
            const auto refused = parse(builder.write(), 512, is_backup ? block_count - 1 : 1);
            ASSERT_FALSE(refused.has_value()) << at;
            EXPECT_NE(refused.error().message.find(lies[at].second), std::string::npos)
                << at << ": " << refused.error().message;
        }
    }
}

TEST(GptTable, EveryLieOfAnEntryIsRefused) {
    using Change = std::function<void(GptBuilder&)>;
    const std::vector<std::pair<Change, const char*>> lies = {
        {[](GptBuilder& b) { b.list[1].first = 199; }, "partitions 1 and 2 overlap"},
        {[](GptBuilder& b) { b.list[1].first = 50; }, "partitions 2 and 1 overlap"},
        {[](GptBuilder& b) { b.list[1].first = 0; }, "partition 2 is said to be"},
        {[](GptBuilder& b) { b.list[1].last = 999; }, "partition 2 is said to be"},
        {[](GptBuilder& b) { b.list[1].last = UINT64_MAX; }, "partition 2 is said to be"},
        {[](GptBuilder& b) { b.list[1].last = 198; }, "partition 2 is said to be"},
        {[](GptBuilder& b) { b.list[1].unique = b.list[0].unique; }, "the same GUID"},
        {[](GptBuilder& b) { b.list[127] = b.list[0]; }, "overlap"},
    };
    for (size_t at = 0; at < lies.size(); ++at) {
        GptBuilder builder = good();
        lies[at].first(builder);
        const auto refused = parse(builder.write(), 512, 1);
        ASSERT_FALSE(refused.has_value()) << at;
        EXPECT_NE(refused.error().message.find(lies[at].second), std::string::npos) << refused.error().message;
    }
}

TEST(GptTable, EveryBitIsGuarded) {
    auto bytes = good().write();
    const auto whole = parse(bytes, 512, 1);
    ASSERT_TRUE(whole.has_value());
    for (size_t bit = 512 * 8; bit < (512 + 92) * 8; ++bit) {
        bytes[bit / 8] ^= std::byte(1 << bit % 8);
        EXPECT_FALSE(parse(bytes, 512, 1).has_value()) << "bit " << bit;
        bytes[bit / 8] ^= std::byte(1 << bit % 8);
    }
    for (const size_t at : {1024U, 1024U + 300U, 1024U + 128U * 128U - 1U}) {
        bytes[at] ^= std::byte{1};
        EXPECT_FALSE(parse(bytes, 512, 1).has_value()) << at;
        bytes[at] ^= std::byte{1};
    }
}

TEST(GptTable, ADiskThatHasGrownKeepsItsTable) {
    auto bytes = good().write();
    bytes.resize(bytes.size() * 2);
    EXPECT_TRUE(has_protective_mbr(Bytes(bytes).first(512), {512, block_count * 2}));
    EXPECT_TRUE(parse(bytes, 512, 1).has_value());
    bytes.resize(512 * 500);
    EXPECT_FALSE(has_protective_mbr(Bytes(bytes).first(512), {512, 500})) << "but none that has shrunk";
    EXPECT_FALSE(parse(bytes, 512, 1).has_value());
}

TEST(GptTable, OnlyAProtectiveMbrIsOne) {
    const auto is_one = [](auto change) {
        GptBuilder builder = good();
        change(builder.mbr);
        const auto bytes = builder.write();
        return has_protective_mbr(Bytes(bytes).first(512), {512, block_count});
    };
    EXPECT_TRUE(is_one([](MbrWire&) {}));
    EXPECT_TRUE(is_one([](MbrWire& mbr) { mbr.records[0].block_count = UINT32_MAX; }));
    EXPECT_TRUE(is_one([](MbrWire& mbr) { std::swap(mbr.records[0], mbr.records[3]); }));
    EXPECT_FALSE(is_one([](MbrWire& mbr) { mbr.signature = 0x55AA; }));
    EXPECT_FALSE(is_one([](MbrWire& mbr) { mbr.records[0].os_type = 0x83; }));
    EXPECT_FALSE(is_one([](MbrWire& mbr) { mbr.records[0].first_lba = 0; }));
    EXPECT_FALSE(is_one([](MbrWire& mbr) { mbr.records[0].block_count = 0; }));
    EXPECT_FALSE(is_one([](MbrWire& mbr) { mbr.records[0].block_count = block_count; }));
    EXPECT_FALSE(has_protective_mbr({}, {512, block_count}));
    EXPECT_FALSE(has_protective_mbr({}, {512, 1}));
}

}  // namespace
}  // namespace weft::bdev
