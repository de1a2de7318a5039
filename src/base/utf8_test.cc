#include "base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace weft {
namespace {

std::string encoded(uint32_t point) {
    const auto following = [&](unsigned shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
    if (point < 0x80) return {static_cast<char>(point)};
    if (point < 0x800) return {static_cast<char>(0xC0 | (point >> 6)), following(0)};
    if (point < 0x10000) return {static_cast<char>(0xE0 | (point >> 12)), following(6), following(0)};
    return {static_cast<char>(0xF0 | (point >> 18)), following(12), following(6), following(0)};
}

TEST(Utf8, EveryCodePointIsKnownButSurrogates) {
    for (uint32_t point = 0; point <= 0x10FFFF; ++point) {
        const std::string text = encoded(point);
        const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
        ASSERT_EQ(utf8_length(text + "\x80"), is_surrogate ? 0 : text.size()) << point;
        if (text.size() > 1) ASSERT_EQ(utf8_length(text.substr(0, text.size() - 1)), 0U) << point;
    }
    EXPECT_EQ(utf8_length(encoded(0x110000)), 0U);
}

// RFC 3629, 10: who takes them sees what a check before did not.
TEST(Utf8, OverlongFormsAreNone) {
    EXPECT_FALSE(is_utf8("\xC0\xAF"));
    EXPECT_FALSE(is_utf8("\xC1\xBF"));
    EXPECT_FALSE(is_utf8("\xE0\x80\xAF"));
    EXPECT_FALSE(is_utf8("\xE0\x9F\xBF"));
    EXPECT_FALSE(is_utf8("\xF0\x80\x80\xAF"));
    EXPECT_FALSE(is_utf8("\xF0\x8F\xBF\xBF"));
}

TEST(Utf8, ATextIsWhatAllOfItIs) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("Gr\u00FC\u00DFe \u20AC \U0001F600\n"));
    EXPECT_FALSE(is_utf8("a\x80"));
    EXPECT_FALSE(is_utf8("a\xFF"));
    EXPECT_FALSE(is_utf8("a\xE2\x82"));
    EXPECT_FALSE(
        is_utf8("a\xC3("
                "b"));
}

}  // namespace
}  // namespace weft
