#include "accel/protection/protection.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace weft::accel {
namespace {

struct Block {
    std::vector<std::byte> data = std::vector<std::byte>(4096, std::byte{0x5A});
    std::vector<std::byte> metadata;
};

struct Form {
    ProtectionType type;
    Guard guard;
    uint16_t metadata_bytes;
    bool is_first;
};

std::vector<Form> all_forms() {
    std::vector<Form> forms;
    for (const auto type : {ProtectionType::type1, ProtectionType::type2, ProtectionType::type3}) {
        for (const auto guard : {Guard::crc16, Guard::crc32, Guard::crc64}) {
            for (const uint16_t bytes : {uint16_t{16}, uint16_t{64}}) {
                for (const bool is_first : {false, true}) forms.push_back({type, guard, bytes, is_first});
            }
        }
        forms.push_back({type, Guard::crc16, 8, false});
    }
    return forms;
}

class EveryForm : public testing::TestWithParam<Form> {
protected:
    [[nodiscard]] static ProtectionFormat format() {
        const Form& form = GetParam();
        return {
            .metadata_bytes = form.metadata_bytes, .type = form.type, .guard = form.guard, .is_first = form.is_first};
    }
    [[nodiscard]] static Protection all_checks() {
        return {.reference = 0x12345678,
                .storage_tag = static_cast<uint16_t>(format().storage_tag_bits() == 0 ? 0 : 0xBEEF),
                .application_tag = 0xABCD,
                .application_mask = 0xFFFF,
                .checks_guard = true,
                .checks_application = true,
                .checks_reference = true,
                .checks_storage = true};
    }
    static Block made(uint64_t index) {
        Block block;
        block.metadata.assign(format().metadata_bytes, std::byte{0x11});
        write_tuple(format(), all_checks(), index, block.data, block.metadata);
        return block;
    }
    static Verdict check(const Block& block, uint64_t index, const Protection& protection = all_checks()) {
        return check_tuple(format(), protection, index, block.data, block.metadata);
    }
};

TEST_P(EveryForm, WhatIsMadeIsRight) {
    ASSERT_TRUE(check_format(format(), 4096).has_value());
    EXPECT_EQ(check(made(0), 0), Verdict::right);
    EXPECT_EQ(check(made(77), 77), Verdict::right);
}

TEST_P(EveryForm, EachFlippedBitOfTheDataIsFound) {
    Block block = made(0);
    for (size_t bit = 0; bit < block.data.size() * 8; bit += 61) {
        block.data[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        EXPECT_EQ(check(block, 0), Verdict::wrong_guard) << bit;
        block.data[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    }
}

// Metadata before the tuple is guarded, metadata behind it is not.
TEST_P(EveryForm, MetadataBeforeTheTupleIsGuarded) {
    Block block = made(0);
    if (format().metadata_bytes == format().tuple_bytes()) return;
    const size_t other = format().is_first ? format().metadata_bytes - 1U : 0;
    block.metadata[other] ^= std::byte{1};
    EXPECT_EQ(check(block, 0), format().is_first ? Verdict::right : Verdict::wrong_guard);
}

TEST_P(EveryForm, EveryBitOfTheTupleCounts) {
    for (size_t bit = 0; bit < size_t{format().tuple_bytes()} * 8; ++bit) {
        Block block = made(0);
        block.metadata[format().tuple_offset() + bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        const size_t guard_bytes = format().guard == Guard::crc16 ? 2 : format().guard == Guard::crc32 ? 4 : 8;
        const Verdict verdict = check(block, 0);
        if (bit / 8 < guard_bytes) {
            EXPECT_EQ(verdict, Verdict::wrong_guard) << bit;
        } else if (bit / 8 < guard_bytes + 2) {
            EXPECT_EQ(verdict, Verdict::wrong_application) << bit;
        } else if (bit / 8 < guard_bytes + 2 + format().storage_tag_bits() / 8U) {
            EXPECT_EQ(verdict, Verdict::wrong_storage) << bit;
        } else {
            EXPECT_EQ(verdict, format().type == ProtectionType::type3 ? Verdict::right : Verdict::wrong_reference)
                << bit;
        }
    }
}

TEST_P(EveryForm, ABlockFromElsewhereIsFound) {
    const Verdict expected = format().type == ProtectionType::type3 ? Verdict::right : Verdict::wrong_reference;
    EXPECT_EQ(check(made(3), 4), expected);
}

TEST_P(EveryForm, OnlyWhatIsAskedForIsChecked) {
    Block block = made(0);
    block.data[0] ^= std::byte{1};
    Protection protection = all_checks();
    protection.checks_guard = false;
    EXPECT_EQ(check(block, 0, protection), Verdict::right);
    protection.application_tag = 0xABC0;
    EXPECT_EQ(check(block, 0, protection), Verdict::wrong_application);
    protection.application_mask = 0xFFF0;
    EXPECT_EQ(check(block, 0, protection), Verdict::right);
    protection.reference += 1;
    EXPECT_EQ(check(block, 0, protection),
              format().type == ProtectionType::type3 ? Verdict::right : Verdict::wrong_reference);
    protection.checks_reference = false;
    EXPECT_EQ(check(block, 0, protection), Verdict::right);
}

TEST_P(EveryForm, TheEscapeTurnsAllChecksOff) {
    Block block = made(0);
    write_escape(format(), block.metadata);
    EXPECT_EQ(check(block, 5), Verdict::right);
    // The application tag alone does so but for type 3.
    block = made(0);
    const size_t application = format().tuple_offset() + (format().guard == Guard::crc16   ? 2U
                                                          : format().guard == Guard::crc32 ? 4U
                                                                                           : 8U);
    block.metadata[application] = block.metadata[application + 1] = std::byte{0xFF};
    block.data[0] ^= std::byte{1};
    EXPECT_EQ(check(block, 0), format().type == ProtectionType::type3 ? Verdict::wrong_guard : Verdict::right);
}

TEST_P(EveryForm, TheReferenceTagWrapsAtItsWidth) {
    Protection protection = all_checks();
    protection.reference = format().reference_mask();
    Block block;
    block.metadata.resize(format().metadata_bytes);
    write_tuple(format(), protection, 1, block.data, block.metadata);
    protection.reference = 0;
    if (format().type == ProtectionType::type3) return;
    EXPECT_EQ(check(block, 0, protection), Verdict::right);
}

std::string name_of_form(const testing::TestParamInfo<Form>& instance) {
    const Form& form = instance.param;
    constexpr std::array guards{"crc16", "crc32", "crc64"};
    return "type" + std::to_string(static_cast<int>(form.type)) + guards[static_cast<size_t>(form.guard)] + "of" +
           std::to_string(form.metadata_bytes) + (form.is_first ? "first" : "last");
}
INSTANTIATE_TEST_SUITE_P(Protection, EveryForm, testing::ValuesIn(all_forms()), name_of_form);

// SCSI's and NVMe's common form, byte for byte: guard, application tag, reference tag, big-endian.
TEST(ProtectionLayout, IsTheStandards) {
    const std::vector<std::byte> data(512, std::byte{0});
    std::array<std::byte, 8> metadata{};
    write_tuple({.metadata_bytes = 8, .type = ProtectionType::type1},
                {.reference = 0x01020304, .application_tag = 0x0506}, 0, data, metadata);
    const std::array expected{0x00, 0x00, 0x05, 0x06, 0x01, 0x02, 0x03, 0x04};
    for (size_t at = 0; at < expected.size(); ++at) EXPECT_EQ(static_cast<int>(metadata[at]), expected[at]) << at;
}

TEST(ProtectionFormats, ThoseThatCannotBeAreRefused) {
    const auto is_good = [](const ProtectionFormat& format, uint32_t block_bytes) {
        return check_format(format, block_bytes).has_value();
    };
    EXPECT_TRUE(is_good({}, 512));
    EXPECT_TRUE(is_good({.metadata_bytes = 1}, 512));
    EXPECT_TRUE(is_good({.metadata_bytes = 64}, 512));
    EXPECT_FALSE(is_good({.metadata_bytes = 65}, 512));
    EXPECT_FALSE(is_good({.type = ProtectionType::type1}, 512));
    EXPECT_FALSE(is_good({.metadata_bytes = 7, .type = ProtectionType::type1}, 512));
    EXPECT_TRUE(is_good({.metadata_bytes = 8, .type = ProtectionType::type1}, 512));
    EXPECT_FALSE(is_good({.metadata_bytes = 8, .type = ProtectionType::type1, .guard = Guard::crc64}, 4096));
    EXPECT_FALSE(is_good({.metadata_bytes = 16, .type = ProtectionType::type1, .guard = Guard::crc32}, 512));
    EXPECT_TRUE(is_good({.metadata_bytes = 16, .type = ProtectionType::type3, .guard = Guard::crc64}, 4096));
}

}  // namespace
}  // namespace weft::accel
