// The command lines of the field's rpc.py, as parameters.
#include "app/cli/rpc/rpc_words.h"

#include <gtest/gtest.h>

#include "app/cli/rpc/rpc_arguments.h"
#include "rpc/json.h"

namespace weft::cli {
namespace {

std::string params_of(const std::string& line, const std::optional<rpc::MethodDescription>& description = {}) {
    auto words = split_line(line);
    if (!words) return "error: " + words.error().message;
    const std::string method = words->front();
    words->erase(words->begin());
    const auto params = rpc_params(*words, method, description);
    return params ? dump_json(*params) : "error: " + params.error().message;
}

TEST(RpcWords, TakesPositionalArgumentsAndShortOptionsInAnyOrder) {
    EXPECT_EQ(
        params_of("nvmf_create_subsystem nqn.2016-06.io.spdk:cnode1 -a -s SPDK00000000000001 -d SPDK_Controller1"),
        R"({"nqn":"nqn.2016-06.io.spdk:cnode1","allow_any_host":true,"serial_number":"SPDK00000000000001","model_number":"SPDK_Controller1"})");
    EXPECT_EQ(
        params_of("nvmf_create_subsystem -t nvmf_example -s SPDK1 -a -m 32 nqn.2016-06.io.spdk:cnode1"),
        R"({"tgt_name":"nvmf_example","serial_number":"SPDK1","allow_any_host":true,"max_namespaces":32,"nqn":"nqn.2016-06.io.spdk:cnode1"})");
    EXPECT_EQ(params_of("nvmf_create_subsystem n -ar -m32 --max-cntlid=7"),
              R"({"nqn":"n","allow_any_host":true,"ana_reporting":true,"max_namespaces":32,"max_cntlid":7})");
}

TEST(RpcWords, PutsParametersIntoTheirObjects) {
    EXPECT_EQ(
        params_of("nvmf_subsystem_add_listener -t tcp -f Ipv4 -a 192.168.0.10 -s 4420 -p nvmf_example NQN"),
        R"({"listen_address":{"trtype":"tcp","adrfam":"Ipv4","traddr":"192.168.0.10","trsvcid":"4420"},"tgt_name":"nvmf_example","nqn":"NQN"})");
    EXPECT_EQ(
        params_of("nvmf_subsystem_add_ns NQN Malloc0 -n 5 -u 41a7f127-38ea-4390-b5c6-ab0fed80f5d3"),
        R"({"nqn":"NQN","namespace":{"bdev_name":"Malloc0","nsid":5,"uuid":"41a7f127-38ea-4390-b5c6-ab0fed80f5d3"}})");
}

TEST(RpcWords, MakesBlocksOfMebibytes) {
    EXPECT_EQ(params_of("bdev_malloc_create -b Malloc0 64 512"),
              R"({"name":"Malloc0","block_size":512,"num_blocks":131072})");
    EXPECT_EQ(params_of("bdev_malloc_create 64 512 -b Malloc0"),
              R"({"block_size":512,"name":"Malloc0","num_blocks":131072})");
    EXPECT_EQ(params_of("construct_malloc_bdev -b 7 0.5 512"), R"({"name":"7","block_size":512,"num_blocks":1024})");
    EXPECT_EQ(params_of("bdev_null_create Null0 16 4096"), R"({"name":"Null0","block_size":4096,"num_blocks":4096})");
    for (const char* size : {"0", "-4", "nan", "inf", "1e300", "many", "64M"}) {
        EXPECT_NE(params_of(std::string("bdev_malloc_create ") + size + " 512").find("a number of MiB above 0"),
                  std::string::npos)
            << size;
    }
    EXPECT_NE(params_of("bdev_malloc_create 64").find("block_size is missing"), std::string::npos);
    EXPECT_NE(params_of("bdev_malloc_create 64 0").find("block_size is missing"), std::string::npos);
}

TEST(RpcWords, KnowsFlagsForFalseAndLists) {
    EXPECT_EQ(params_of("nvmf_create_transport -t TCP -p 4 -o"),
              R"({"trtype":"TCP","max_qpairs_per_ctrlr":4,"c2h_success":false})");
    EXPECT_EQ(params_of("nvmf_create_transport -t TCP --c2h-success"), R"({"trtype":"TCP","c2h_success":false})");
    EXPECT_EQ(params_of("nvmf_create_transport -t TCP --c2h-success true"), R"({"trtype":"TCP","c2h_success":true})");
    EXPECT_EQ(params_of("nvmf_subsystem_allow_any_host NQN -d"), R"({"nqn":"NQN","allow_any_host":false})");
    EXPECT_EQ(params_of("nvmf_subsystem_allow_any_host -e NQN"), R"({"allow_any_host":true,"nqn":"NQN"})");
    EXPECT_EQ(params_of("bdev_get_iostat --names Malloc0,Null0 -c"),
              R"({"names":["Malloc0","Null0"],"per_channel":true})");
    EXPECT_EQ(params_of("nvmf_subsystem_allow_any_host --no-allow-any-host NQN"),
              R"({"allow_any_host":false,"nqn":"NQN"})");
    EXPECT_EQ(params_of("nvmf_create_subsystem --allow-any-host NQN"), R"({"allow_any_host":true,"nqn":"NQN"})");
    EXPECT_EQ(params_of("nvmf_set_crdt -t1 5 -t2 6"), R"({"crdt1":5,"crdt2":6})");
}

// The description knows what is a switch: the word behind it is not its value.
TEST(RpcWords, AsksTheDescriptionForTypes) {
    const auto answer = parse_json(R"([{"name": "nvmf_create_subsystem", "params": [
        {"name": "nqn", "type": "string"}, {"name": "serial_number", "type": "string"},
        {"name": "allow_any_host", "type": "bool"}, {"name": "max_namespaces", "type": "u32"}]}])");
    ASSERT_TRUE(answer);
    const auto method = description_of(*answer, "nvmf_create_subsystem");
    EXPECT_EQ(params_of("nvmf_create_subsystem --allow-any-host NQN", method),
              R"({"allow_any_host":true,"nqn":"NQN"})");
    EXPECT_EQ(params_of("nvmf_create_subsystem --no-allow-any-host NQN", method),
              R"({"allow_any_host":false,"nqn":"NQN"})");
    EXPECT_EQ(params_of("nvmf_create_subsystem --allow_any_host false NQN", method),
              R"({"allow_any_host":false,"nqn":"NQN"})");
    EXPECT_EQ(params_of("nvmf_create_subsystem NQN --serial 12", method), R"({"nqn":"NQN","serial_number":"12"})");
    EXPECT_EQ(params_of("nvmf_create_subsystem NQN -m many", method),
              "error: --max_namespaces 'many': a whole number is wanted");
}

TEST(RpcWords, SaysWhichWordIsWrong) {
    EXPECT_EQ(params_of("bdev_malloc_delete a b"), "error: 'b' is one too many: without a name there is name only");
    EXPECT_NE(params_of("bdev_malloc_create -Z 1 512").find("-Z: no such option; the short ones are -b -u"),
              std::string::npos);
    EXPECT_EQ(params_of("bdev_malloc_create -b"), "error: -b wants a value");
    EXPECT_EQ(params_of("bdev_malloc_create -b -u x"), "error: -b wants a value");
    EXPECT_EQ(params_of("no_grammar x"), "error: 'x' is not a parameter: write --name value, or one JSON object");
}

TEST(RpcWords, SplitsLinesAsAShellDoes) {
    EXPECT_EQ(*split_line("a  'b c' \"d \\\" e\" f\\ g \"\""),
              (std::vector<std::string>{"a", "b c", "d \" e", "f g", ""}));
    EXPECT_TRUE(split_line("")->empty());
    EXPECT_FALSE(split_line("a 'b"));
}

}  // namespace
}  // namespace weft::cli
