#include "rpc/json_splitter.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft::rpc {

namespace {

std::vector<std::string> take_all(JsonSplitter& splitter, bool nothing_follows = false) {
    std::vector<std::string> values;
    for (;;) {
        auto next = splitter.next(nothing_follows);
        EXPECT_TRUE(next) << next.error().message;
        if (!next || !next->has_value()) return values;
        values.push_back(std::move(**next));
    }
}

const std::string stream =
    " {\"a\":\"}\\\"]\\\\\",\"b\":[1,{\"c\":[]}]}\r\n[]{}\t\"x\\\"y\"true 12.5e-3 null[[\"[\"]]false\n-7 "
    "{\"\\u0000\":\"\xC3\xA9\"}";
const std::vector<std::string> values = {"{\"a\":\"}\\\"]\\\\\",\"b\":[1,{\"c\":[]}]}",
                                         "[]",
                                         "{}",
                                         "\"x\\\"y\"",
                                         "true",
                                         "12.5e-3",
                                         "null",
                                         "[[\"[\"]]",
                                         "false",
                                         "-7",
                                         "{\"\\u0000\":\"\xC3\xA9\"}"};

TEST(JsonSplitter, FindsTheSameValuesAtEverySplitPoint) {
    for (size_t first = 0; first <= stream.size(); ++first) {
        for (size_t second = first; second <= stream.size(); ++second) {
            JsonSplitter splitter;
            std::vector<std::string> found;
            for (const std::string_view piece :
                 {std::string_view(stream).substr(0, first), std::string_view(stream).substr(first, second - first),
                  std::string_view(stream).substr(second)}) {
                splitter.append(piece);
                for (std::string& value : take_all(splitter)) found.push_back(std::move(value));
            }
            ASSERT_EQ(found, values) << first << ", " << second;
            EXPECT_FALSE(splitter.is_inside_value());
            EXPECT_EQ(splitter.buffered_bytes(), 0U);
        }
    }
}

TEST(JsonSplitter, FindsTheSameValuesByteByByte) {
    JsonSplitter splitter;
    std::vector<std::string> found;
    for (const char byte : stream) {
        splitter.append({&byte, 1});
        for (std::string& value : take_all(splitter)) found.push_back(std::move(value));
    }
    EXPECT_EQ(found, values);
}

TEST(JsonSplitter, ANumberEndsWhereSomethingElseBeginsOrNothingFollows) {
    JsonSplitter splitter;
    splitter.append("42");
    EXPECT_TRUE(take_all(splitter).empty());
    EXPECT_TRUE(splitter.is_inside_value());
    EXPECT_EQ(take_all(splitter, true), std::vector<std::string>{"42"});
    splitter.append("4");
    EXPECT_TRUE(take_all(splitter).empty());
    splitter.append("3{}");
    EXPECT_EQ(take_all(splitter), (std::vector<std::string>{"43", "{}"}));
}

TEST(JsonSplitter, RefusesWhatCannotBeJsonAtOnceAndForGood) {
    for (const std::string_view text : {"hello\n", "POST / HTTP/1.1\r\n", "{]", "[}", "[{\"a\":[1}", "nil", "trux", "}",
                                        "]", ",", ":", "\xEF\xBB\xBF{}", "\\", "'", "\x01", "+1"}) {
        JsonSplitter splitter;
        splitter.append(text);
        ASSERT_FALSE(splitter.next()) << text;
        splitter.append("{}");
        EXPECT_FALSE(splitter.next()) << text;
        EXPECT_EQ(splitter.buffered_bytes(), 0U);
    }
}

TEST(JsonSplitter, RefusesDepthWithoutRecursion) {
    JsonSplitter splitter(1000);
    splitter.append(std::string(32, '['));
    EXPECT_TRUE(splitter.next());
    splitter.append(std::string(100'000, '['));
    EXPECT_FALSE(splitter.next());
}

TEST(JsonSplitter, RefusesAValueThatIsTooLarge) {
    const std::string fits = "[" + std::string(98, '1') + "]";
    JsonSplitter splitter(100);
    splitter.append(fits + fits);
    EXPECT_EQ(take_all(splitter).size(), 2U);
    splitter.append("[" + std::string(99, '1') + "]");
    EXPECT_FALSE(splitter.next());

    for (const std::string_view begin : {"{", "\"", "1", "[\""}) {
        JsonSplitter endless(100);
        endless.append(begin);
        endless.append(std::string(100, '1'));
        EXPECT_FALSE(endless.next()) << begin;
    }
}

TEST(JsonSplitter, KeepsNothingOfWhiteSpace) {
    JsonSplitter splitter(100);
    for (int at = 0; at < 100; ++at) {
        splitter.append(std::string(1000, ' '));
        EXPECT_TRUE(take_all(splitter).empty());
        EXPECT_EQ(splitter.buffered_bytes(), 0U);
    }
}

}  // namespace

}  // namespace weft::rpc
