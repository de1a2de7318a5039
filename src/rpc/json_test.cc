#include "rpc/json.h"

#include <gtest/gtest.h>

namespace weft {

namespace {

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
    const auto parsed = parse_json(text, limits);
    return parsed ? "" : parsed.error().message;
}

TEST(ParseJson, KeepsIntegersExactInSixtyFourBits) {
    EXPECT_EQ(parse_json("18446744073709551615")->get<uint64_t>(), UINT64_MAX);
    EXPECT_EQ(parse_json("-9223372036854775808")->get<int64_t>(), INT64_MIN);
    EXPECT_EQ(parse_json("9007199254740993")->get<uint64_t>(), 9007199254740993U);
    EXPECT_EQ(error_of("18446744073709551616"), "18446744073709551616 does not fit 64 bits");
    EXPECT_EQ(error_of("-9223372036854775809"), "-9223372036854775809 does not fit 64 bits");
    EXPECT_EQ(error_of(R"({"params":{"a":[1,{"num_blocks":18446744073709551616}]}})"),
              "params.a.num_blocks: 18446744073709551616 does not fit 64 bits");
    EXPECT_DOUBLE_EQ(parse_json("1.5e3")->get<double>(), 1500.0);
    EXPECT_NE(error_of("1e999"), "");
}

TEST(ParseJson, RefusesWhatIsNotJson) {
    for (const std::string_view text : {"", " ", "{", "}", "[1,]", "{\"a\":}", "{a:1}", "01", "nul", "1 2", "[1]x",
                                        "\"\\x\"", "\"\x01\"", "/* */1", "'a'", "\"\\ud800\"", "+1", "NaN"}) {
        const auto parsed = parse_json(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, Errc::protocol_error) << text;
    }
}

TEST(ParseJson, RefusesInvalidUtf8) {
    for (const std::string_view text :
         {"\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF5\x80\x80\x80\"", "{\"\xFE\":1}"}) {
        EXPECT_FALSE(parse_json(text));
    }
    EXPECT_TRUE(parse_json("\"\xC3\xA9\""));
}

TEST(ParseJson, KeepsNulInsideStrings) {
    EXPECT_EQ(parse_json(R"("a\u0000b")")->get<std::string>(), std::string("a\0b", 3));
}

TEST(ParseJson, BoundsDepth) {
    const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_TRUE(parse_json(nested(32)));
    EXPECT_EQ(error_of(nested(33)), "nested deeper than 32");
    EXPECT_FALSE(parse_json(std::string(100'000, '[')));
    EXPECT_FALSE(parse_json(nested(500'000), large_json_limits));
}

TEST(ParseJson, BoundsTheNumberOfValues) {
    const auto array = [](size_t count) {
        std::string text = "[0";
        for (size_t at = 1; at < count; ++at) text += ",0";
        return text + "]";
    };
    EXPECT_TRUE(parse_json(array(8191)));
    EXPECT_EQ(error_of(array(8192)), "more than 8192 values");
    EXPECT_TRUE(parse_json(array(100'000), large_json_limits));
}

TEST(ParseJson, BoundsSize) {
    EXPECT_TRUE(parse_json("[1]", {.size_bytes_max = 3}));
    EXPECT_FALSE(parse_json("[1] ", {.size_bytes_max = 3}));
}

TEST(ParseJson, RefusesANameGivenTwice) {
    EXPECT_EQ(error_of(R"({"a":1,"a":2})"), "a: given twice");
    EXPECT_EQ(error_of(R"({"params":{"nqn":1,"x":2,"nqn":{"deep":[]}}})"), "params.nqn: given twice");
    EXPECT_EQ(error_of(R"([{"a":1},{"a":2}])"), "");
    EXPECT_EQ(error_of(R"({"a":{"a":{"a":1}}})"), "");
}

TEST(ParseJson, KeepsTheOrderOfNames) {
    EXPECT_EQ(dump_json(*parse_json(R"({"z":1,"a":{"y":[1,"2",null,true,-3]},"m":{}})")),
              R"({"z":1,"a":{"y":[1,"2",null,true,-3]},"m":{}})");
}

TEST(ParseJsonDocument, KeepsTheOutlineOfWhatItRefuses) {
    std::string text = R"({"jsonrpc":"2.0","params":[0)";
    for (int at = 0; at < 10'000; ++at) text += ",[1,{\"a\":2}]";
    text += R"(],"method":"x","id":"abc"})";
    const auto document = parse_json_document(text, {});
    ASSERT_TRUE(document);
    ASSERT_TRUE(document->fault);
    EXPECT_EQ(*document->fault, "params: more than 8192 values");
    EXPECT_EQ(document->fault_member, "params");
    EXPECT_EQ(document->value["id"], "abc");
    EXPECT_EQ(document->value["method"], "x");
    EXPECT_LE(document->value["params"].size(), 8192U);
}

TEST(ParseJsonDocument, AnOutlineIsSmall) {
    std::string text = R"({"a":18446744073709551616)";
    for (int at = 0; at < 5000; ++at) text += ",\"b" + std::to_string(at) + "\":1";
    text += "}";
    const auto document = parse_json_document(text, {});
    ASSERT_TRUE(document && document->fault);
    EXPECT_LE(document->value.size(), 16U);
}

TEST(ParseJsonDocument, StillWantsTheRestToBeJson) {
    EXPECT_FALSE(parse_json_document(R"({"a":18446744073709551616,"b":})", {}));
}

TEST(DumpJson, ReplacesInvalidUtf8) { EXPECT_EQ(dump_json(Json("a\xFF")), "\"a\xEF\xBF\xBD\""); }

}  // namespace

}  // namespace weft
