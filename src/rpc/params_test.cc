#include "rpc/params.h"

#include <gtest/gtest.h>

#include "rpc/example_methods.h"
#include "rpc/spelling.h"

namespace weft::rpc {

namespace {

using example::AddListener;
using example::AnaState;
using example::CreateMalloc;
using example::CreateRaid;
using example::Echo;
using example::RaidLevel;

template <class P>
P decoded(std::string_view text) {
    auto params = decode_params<P>(*parse_json(text));
    EXPECT_TRUE(params) << params.error().message;
    return params ? std::move(*params) : P{};
}

template <class P>
std::string refusal(std::string_view text) {
    const auto params = decode_params<P>(*parse_json(text));
    EXPECT_TRUE(!params && params.error().code == Errc::invalid_argument);
    return params ? "" : params.error().message;
}

struct Numbers {
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    int32_t i32 = 0;
    int64_t i64 = 0;
    bool flag = false;

    static constexpr auto fields() {
        return rpc::fields(rpc::optional("u8", &Numbers::u8, ""), rpc::optional("u16", &Numbers::u16, ""),
                           rpc::optional("u32", &Numbers::u32, ""), rpc::optional("u64", &Numbers::u64, ""),
                           rpc::optional("i32", &Numbers::i32, ""), rpc::optional("i64", &Numbers::i64, ""),
                           rpc::optional("flag", &Numbers::flag, ""));
    }
};

TEST(DecodeParams, TakesEveryType) {
    const auto malloc = decoded<CreateMalloc>(
        R"({"num_blocks":18446744073709551615,"block_size":4096,"name":"M","uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"})");
    EXPECT_EQ(malloc.num_blocks, UINT64_MAX);
    EXPECT_EQ(malloc.block_size, 4096U);
    EXPECT_EQ(malloc.name, "M");
    EXPECT_EQ(malloc.uuid, Uuid::parse("6ba7b8109dad11d180b400c04fd430c8"));
    EXPECT_EQ(malloc.physical_block_size, 512U);

    const auto listener = decoded<AddListener>(
        R"({"nqn":"n","listen_address":{"trtype":"TCP","traddr":"::1","port":"4420"},"ana_state":"inaccessible","numa_id":-2})");
    EXPECT_EQ(listener.address.trsvcid, "4420");
    EXPECT_EQ(listener.ana_state, AnaState::inaccessible);
    EXPECT_FALSE(listener.secure_channel.has_value());
    EXPECT_EQ(listener.numa_id, -2);

    const auto raid = decoded<CreateRaid>(
        R"({"raid_level":"concat","base_bdevs":["a","b"],"addresses":[{"trtype":"t","traddr":"a"}],"states":["optimized"]})");
    EXPECT_EQ(raid.level, RaidLevel::concat);
    EXPECT_EQ(raid.base_bdevs, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(raid.addresses.at(0).traddr, "a");
    EXPECT_EQ(raid.states.at(0), AnaState::optimized);

    EXPECT_EQ(decoded<Echo>(R"({"value":{"any":[1]}})").value, *parse_json(R"({"any":[1]})"));
    EXPECT_EQ(decoded<CreateRaid>(R"({"raid_level":"0","base_bdevs":[]})").level, RaidLevel::raid0);
}

TEST(DecodeParams, TakesNothingForNoParams) {
    EXPECT_TRUE(decode_params<NoParams>(nullptr));
    EXPECT_TRUE(decode_params<NoParams>(Json::object()));
    EXPECT_EQ(refusal<NoParams>(R"({"a":1})"), "a: no such parameter; there are none");
}

TEST(DecodeParams, ChecksTheRangeOfIntegers) {
    const auto edges = decoded<Numbers>(
        R"({"u8":255,"u16":65535,"u32":4294967295,"i32":-2147483648,"i64":-9223372036854775808,"u64":1e3})");
    EXPECT_EQ(edges.u8, 255);
    EXPECT_EQ(edges.u16, 65535);
    EXPECT_EQ(edges.u32, UINT32_MAX);
    EXPECT_EQ(edges.i32, INT32_MIN);
    EXPECT_EQ(edges.i64, INT64_MIN);
    EXPECT_EQ(edges.u64, 1000U);
    EXPECT_EQ(refusal<Numbers>(R"({"u8":256})"), "u8: expected an integer from 0 to 255, got 256");
    EXPECT_EQ(refusal<Numbers>(R"({"u16":65536})"), "u16: expected an integer from 0 to 65535, got 65536");
    EXPECT_EQ(refusal<Numbers>(R"({"u32":4294967296})"),
              "u32: expected an integer from 0 to 4294967295, got 4294967296");
    EXPECT_EQ(refusal<Numbers>(R"({"u64":-1})"), "u64: expected an integer from 0 to 18446744073709551615, got -1");
    EXPECT_EQ(refusal<Numbers>(R"({"i32":2147483648})"),
              "i32: expected an integer from -2147483648 to 2147483647, got 2147483648");
    EXPECT_EQ(refusal<Numbers>(R"({"i32":-2147483649})"),
              "i32: expected an integer from -2147483648 to 2147483647, got -2147483649");
    EXPECT_EQ(refusal<Numbers>(R"({"i64":9223372036854775808})"),
              "i64: expected an integer from -9223372036854775808 to 9223372036854775807, got 9223372036854775808");
    EXPECT_EQ(refusal<Numbers>(R"({"u8":1.5})"), "u8: expected an integer from 0 to 255, got 1.5");
    EXPECT_EQ(refusal<Numbers>(R"({"u64":1e300})"),
              "u64: expected an integer from 0 to 18446744073709551615, got 1e+300");
}

TEST(DecodeParams, NamesWhatHasTheWrongType) {
    EXPECT_EQ(refusal<Numbers>(R"({"u8":"5"})"), "u8: expected an integer from 0 to 255, got \"5\"");
    EXPECT_EQ(refusal<Numbers>(R"({"flag":1})"), "flag: expected true or false, got 1");
    EXPECT_EQ(refusal<Numbers>(R"({"u8":null})"), "u8: expected an integer from 0 to 255, got null");
    EXPECT_EQ(refusal<Numbers>(R"([1])"), "expected an object of parameters, got an array");
    EXPECT_EQ(refusal<AddListener>(R"({"nqn":{}})"), "nqn: expected a string, got an object");
    EXPECT_EQ(refusal<AddListener>(R"({"nqn":"a\u0000b"})"), "nqn: contains a NUL character");
    EXPECT_EQ(refusal<AddListener>(R"({"ana_state":"Optimized"})"),
              "ana_state: expected one of optimized, non_optimized, inaccessible, got \"Optimized\"");
    EXPECT_EQ(refusal<AddListener>(R"({"listen_address":"tcp"})"), "listen_address: expected an object, got \"tcp\"");
    EXPECT_EQ(refusal<CreateMalloc>(R"({"uuid":"x"})"),
              "uuid: expected a UUID like \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\", got \"x\"");
    EXPECT_EQ(refusal<CreateRaid>(R"({"base_bdevs":["a",5]})"), "base_bdevs[1]: expected a string, got 5");
    EXPECT_EQ(refusal<CreateRaid>(R"({"addresses":[{"trtype":"t","traddr":7}]})"),
              "addresses[0].traddr: expected a string, got 7");
}

TEST(DecodeParams, NamesWhatIsUnknownAndWhatWasMeant) {
    EXPECT_EQ(refusal<AddListener>(R"({"nnq":"x"})"), "nnq: no such parameter; did you mean nqn?");
    EXPECT_EQ(refusal<AddListener>(R"({"listen_address":{"trtyp":1}})"),
              "listen_address.trtyp: no such parameter; did you mean trtype?");
    EXPECT_EQ(refusal<Echo>(R"({"\u0007\n":1})"), "\\x07\\x0a: no such parameter; there are value");
    EXPECT_EQ(refusal<AddListener>(R"({"listen_address":{"trtype":"a","traddr":"b","trsvcid":"1","port":"2"}})"),
              "listen_address.port: given twice: port is trsvcid");
}

TEST(DecodeParams, NamesWhatIsMissing) {
    EXPECT_EQ(refusal<AddListener>(R"({"nqn":"x"})"), "listen_address: required parameter is missing");
    EXPECT_EQ(refusal<AddListener>(R"({})"), "nqn, listen_address: required parameters are missing");
    EXPECT_EQ(refusal<AddListener>(R"({"nqn":"x","listen_address":{"trtype":"a"}})"),
              "listen_address.traddr: required parameter is missing");
}

TEST(EncodeParams, GivesBackWhatWasDecoded) {
    const std::string text =
        R"({"nqn":"n","listen_address":{"trtype":"TCP","traddr":"::1","trsvcid":"1"},"ana_state":"non_optimized","numa_id":-1})";
    EXPECT_EQ(dump_json(encode_params(decoded<AddListener>(text))), text);
    const std::string raid = R"({"raid_level":"concat","base_bdevs":["a"],"addresses":[],"states":["inaccessible"]})";
    EXPECT_EQ(dump_json(encode_params(decoded<CreateRaid>(raid))), raid);
    const std::string numbers =
        R"({"u8":255,"u16":65535,"u32":4294967295,"u64":18446744073709551615,"i32":-1,"i64":-9223372036854775808,"flag":true})";
    EXPECT_EQ(dump_json(encode_params(decoded<Numbers>(numbers))), numbers);
}

TEST(NearestSpelling, FindsSwapsAndSlips) {
    const std::string_view known[] = {"nsid", "nqn", "trtype", "listen_address"};
    EXPECT_EQ(nearest_spelling("nisd", known), "nsid");
    EXPECT_EQ(nearest_spelling("trtpe", known), "trtype");
    EXPECT_EQ(nearest_spelling("listenaddres", known), "listen_address");
    EXPECT_EQ(nearest_spelling("uuid", known), "nsid");
    EXPECT_EQ(nearest_spelling("listen_address_es", known), "listen_address") << "three letters more";
    EXPECT_EQ(nearest_spelling("listen_address_esx", known), "") << "four";
    EXPECT_EQ(nearest_spelling("x", known), "");
    EXPECT_EQ(nearest_spelling(std::string(100'000, 'a'), known), "");
}

}  // namespace

}  // namespace weft::rpc
