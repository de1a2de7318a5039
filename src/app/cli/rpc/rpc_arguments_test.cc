#include "app/cli/rpc/rpc_arguments.h"

#include <gtest/gtest.h>

#include "rpc/json.h"

namespace weft::cli {
namespace {

std::string params_of(std::vector<std::string> words, const std::optional<rpc::MethodDescription>& method = {}) {
    const auto params = rpc_params(words, "add", method);
    return params ? dump_json(*params) : "error: " + params.error().message;
}

std::optional<rpc::MethodDescription> described() {
    const auto answer = parse_json(R"([{"name": "add", "aliases": ["old_add"], "text": "Adds", "states": ["runtime"],
        "result": "true", "params": [
            {"name": "name", "type": "string", "required": true},
            {"name": "count", "type": "u32", "default": 3},
            {"name": "force", "type": "bool"},
            {"name": "hosts", "type": "[string]"},
            {"name": "address", "type": "object", "fields": [{"name": "port", "type": "string"},
                                                             {"name": "weight", "type": "u32"}]}]}])");
    EXPECT_TRUE(answer);
    return description_of(*answer, "old_add");
}

TEST(RpcParams, TakesWhatLooksLikeJsonAsJsonWithoutADescription) {
    EXPECT_EQ(params_of({}), "null");
    EXPECT_EQ(params_of({"--name", "Malloc0", "--num-blocks", "1024", "--force"}),
              R"({"name":"Malloc0","num_blocks":1024,"force":true})");
    EXPECT_EQ(params_of({"--a=1", "b=x", "--c={\"d\":[2]}"}), R"({"a":1,"b":"x","c":{"d":[2]}})");
    EXPECT_EQ(params_of({"--offset", "-5"}), R"({"offset":-5})");
}

TEST(RpcParams, LeadsIntoObjectsAndMakesArrays) {
    EXPECT_EQ(params_of({"--address.traddr", "::1", "--address.trsvcid", "\"4420\"", "--host", "a", "--host", "b"}),
              R"({"address":{"traddr":"::1","trsvcid":"4420"},"host":["a","b"]})");
    EXPECT_NE(params_of({"--a", "1", "--a.b", "2"}).find("error"), std::string::npos);
}

// A method of a module, which no table here knows: the server says how rpc.py writes it.
TEST(RpcParams, LearnsPositionsFromTheServer) {
    const auto method_with = [](const std::string& words) {
        const auto answer = parse_json(R"([{"name": "bdev_dbd_create", "words": ")" + words + R"(", "params": [
            {"name": "pool", "type": "string"}, {"name": "lun", "type": "string"}, {"name": "block_size", "type": "u32"},
            {"name": "uuid", "type": "uuid"}, {"name": "name", "type": "string"}]}])");
        return description_of(*answer, "bdev_dbd_create");
    };
    const std::vector<std::string> words = {"pool", "lun_test1", "512", "-u", "497a", "--name", "test"};
    EXPECT_EQ(params_of(words, method_with("pool lun block_size -u=uuid")),
              R"({"pool":"pool","lun":"lun_test1","block_size":512,"uuid":"497a","name":"test"})");
    // Servers that say nothing of use.
    for (const std::string& said : {std::string(), std::string("  "), std::string("-u"), std::string("-u= x"),
                                    "pool " + std::string(5000, 'x')}) {
        EXPECT_NE(params_of(words, method_with(said)).find("error"), std::string::npos) << said;
    }
}

TEST(RpcParams, TakesOneJsonValueAsItIs) {
    EXPECT_EQ(params_of({R"({"name": "x", "n": 1})"}), R"({"name":"x","n":1})");
    EXPECT_NE(params_of({"{nonsense"}).find("error"), std::string::npos);
}

TEST(RpcParams, RefusesWordsThatAreNoParameters) {
    EXPECT_NE(params_of({"Malloc0"}).find("'Malloc0'"), std::string::npos);
}

TEST(RpcParams, TypesValuesByTheDescription) {
    const auto method = described();
    ASSERT_TRUE(method);
    EXPECT_EQ(params_of({"--name", "123", "--count", "0x10", "--force", "--hosts", "a", "--hosts", "b"}, method),
              R"({"name":"123","count":16,"force":true,"hosts":["a","b"]})");
    EXPECT_EQ(params_of({"--hosts", R"(["a","b"])", "--force", "false"}, method),
              R"({"hosts":["a","b"],"force":false})");
    EXPECT_EQ(params_of({"--address.port", "4420", "--address.weight", "7"}, method),
              R"({"address":{"port":"4420","weight":7}})");
    EXPECT_EQ(params_of({"--address", R"({"port":"1"})"}, method), R"({"address":{"port":"1"}})");
}

TEST(RpcParams, SaysWhatDoesNotFitTheDescription) {
    const auto method = described();
    EXPECT_NE(params_of({"--nmae", "x"}, method).find("no such parameter; there are: name"), std::string::npos);
    EXPECT_NE(params_of({"--count", "many"}, method).find("whole number"), std::string::npos);
    EXPECT_NE(params_of({"--name"}, method).find("wants a value"), std::string::npos);
    EXPECT_NE(params_of({"--address.prot", "1"}, method).find("no such parameter"), std::string::npos);
}

TEST(RpcDescription, IsReadFromTheAnswer) {
    const auto method = described();
    ASSERT_TRUE(method);
    EXPECT_EQ(method->name, "add");
    EXPECT_EQ(method->params.size(), 5u);
    EXPECT_TRUE(method->params[0].is_required);
    EXPECT_EQ(method->params[1].default_text, "3");
    EXPECT_EQ(method->params[4].fields.size(), 2u);
    EXPECT_FALSE(description_of(Json::array(), "add"));
    EXPECT_FALSE(description_of(Json("nonsense"), "add"));
}

}  // namespace
}  // namespace weft::cli
