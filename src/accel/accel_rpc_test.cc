// accel_* by their methods: answers as the field's clients read them, what is refused, what is saved.
#include "accel/accel_rpc.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "accel/test_bench.h"
#include "base/crc32c.h"
#include "env/linux/test_folder.h"
#include "keyring/keyring_rpc.h"
#include "rpc/json.h"

namespace weft::accel {
namespace {

constexpr const char* hex1 = "00112233445566778899aabbccddeeff";
constexpr const char* hex2 = "ffeeddccbbaa99887766554433221100";

class AccelRpcTest : public AccelTest {
protected:
    AccelRpcTest() {
        keyring::add_keyring_methods(methods_, ring_, world_.environment().files());
        add_accel_methods(methods_, {.framework = framework_,
                                     .keyring = ring_,
                                     .files = world_.environment().files(),
                                     .runtime = world_.runtime(),
                                     .on_change = [this](const rpc::ConfigKey& key) {
                                         touched_ += key.kind + ":" + key.object + " ";
                                     }});
    }
    ~AccelRpcTest() override { close(); }
    rpc::Response call(const std::string& method, Json params = Json::object()) {
        return world_.run(methods_.call(method, std::move(params)));
    }
    int code_of(const std::string& method, Json params = Json::object()) {
        const rpc::Response answer = call(method, std::move(params));
        return answer ? 0 : answer.error().code;
    }
    std::string message_of(const std::string& method, Json params) {
        const rpc::Response answer = call(method, std::move(params));
        return answer ? "" : answer.error().message;
    }
    void start() {
        framework_.start();
        methods_.set_state(rpc::runtime);
    }
    void add_file(const std::string& name, const std::string& contents) {
        const std::string path = folder_ / name;
        std::ofstream(path) << contents;
        chmod(path.c_str(), 0600);
        EXPECT_TRUE(call("keyring_file_add_key", {{"name", name}, {"path", path}}));
    }
    Json saved() {
        Json entries = Json::array();
        write_config(framework_, entries);
        return entries;
    }

    env::TestFolder folder_;
    keyring::Keyring ring_;
    rpc::Registry methods_;
    std::string touched_;
};

TEST_F(AccelRpcTest, OpsAreAssignedBeforeTheStartOnly) {
    EXPECT_EQ(code_of("accel_assign_opc", {{"opname", "crc32c"}, {"module", "error"}}), 0);
    EXPECT_EQ(code_of("accel_assign_opc", {{"opname", "crc"}, {"module", "software"}}), -32602);
    EXPECT_EQ(message_of("accel_assign_opc", {{"opname", "copy"}, {"module", "ioat"}}),
              "module: there is no ioat; there are software, error");
    EXPECT_EQ(message_of("accel_assign_opc", {{"opname", "copy"}, {"module", "error"}}),
              "module: error does not do copy");
    EXPECT_EQ(touched_, "accel_assign_opc:crc32c ");
    EXPECT_EQ(saved(), Json::parse(R"([{"method":"accel_set_options","params":{"small_cache_size":128,
        "large_cache_size":16,"task_count":2048,"sequence_count":2048,"buf_count":2048}},
        {"method":"accel_assign_opc","params":{"opname":"crc32c","module":"error"}}])"));
    start();
    EXPECT_EQ(code_of("accel_assign_opc", {{"opname", "crc32c"}, {"module", "software"}}), -1);
    const Json told = *call("accel_get_opc_assignments");
    EXPECT_EQ(told.size(), op_count);
    EXPECT_EQ(told["crc32c"], "error");
    EXPECT_EQ(told["xor"], "software");
    const Json modules = *call("accel_get_module_info");
    EXPECT_EQ(modules[0]["module"], "software");
    EXPECT_EQ(modules[0]["supported ops"].size(), op_count);
    EXPECT_EQ(modules[1], Json::parse(R"({"module":"error","supported ops":["crc32c"]})"));
}

TEST_F(AccelRpcTest, OptionsHaveLimits) {
    EXPECT_EQ(code_of("accel_set_options", {{"task_count", 7}}), -EINVAL);
    EXPECT_EQ(code_of("accel_set_options", {{"large_cache_size", 0}}), -EINVAL);
    EXPECT_EQ(code_of("accel_set_options", {{"sequence_count", 65537}}), -EINVAL);
    EXPECT_EQ(code_of("accel_set_options", {{"large_cache_size", 3}, {"task_count", 8}, {"buf_count", 0}}), 0);
    EXPECT_EQ(framework_.options(), (Options{.large_cache_size = 3, .task_count = 8, .buf_count = 0}));
    EXPECT_EQ(code_of("accel_set_driver", {{"name", "mlx5"}}), -ENODEV);
    EXPECT_EQ(code_of("accel_set_driver", {{"name", ""}}), 0);
    EXPECT_EQ(code_of("accel_set_driver"), 0);
    start();
    EXPECT_EQ(code_of("accel_set_options", {{"task_count", 100}}), -1);
    EXPECT_EQ(code_of("accel_set_driver"), -1);
}

TEST_F(AccelRpcTest, AKeyIsNeverTold) {
    start();
    Json params{{"cipher", "AES_XTS"}, {"key", hex1}, {"key2", hex2}, {"name", "k"}};
    EXPECT_EQ(*call("accel_crypto_key_create", params), true);
    EXPECT_EQ(code_of("accel_crypto_key_create", params), -32602) << "it is there";
    EXPECT_EQ(*call("accel_crypto_keys_get"), Json::parse(R"([{"name":"k","cipher":"AES_XTS",
        "tweak_mode":"SIMPLE_LBA","key_size":16,"users":0}])"));
    EXPECT_EQ(*call("accel_crypto_keys_get", {{"key_name", "k"}}), *call("accel_crypto_keys_get"));
    EXPECT_EQ(code_of("accel_crypto_keys_get", {{"key_name", "l"}}), -32602);
    EXPECT_EQ(saved().size(), 1U) << "nor saved";
    EXPECT_EQ(touched_, "accel_crypto_key:k ");
    EXPECT_EQ(code_of("accel_crypto_key_destroy", {{"key_name", "l"}}), -32602);
    {
        const CryptoKeyRef used = *framework_.keys().find("k");
        EXPECT_EQ((*call("accel_crypto_keys_get"))[0]["users"], 1);
        EXPECT_EQ(code_of("accel_crypto_key_destroy", {{"key_name", "k"}}), -32602);
    }
    EXPECT_EQ(*call("accel_crypto_key_destroy", {{"key_name", "k"}}), true);
    EXPECT_TRUE(call("accel_crypto_keys_get")->empty());
}

TEST_F(AccelRpcTest, WhatIsWrongWithAKeyIsSaidWithoutTheKey) {
    start();
    const auto refused = [this](const Json& more) {
        Json params{{"cipher", "AES_XTS"}, {"key", hex1}, {"key2", hex2}, {"name", "k"}};
        params.update(more);
        EXPECT_EQ(code_of("accel_crypto_key_create", params), -32602);
        const std::string message = message_of("accel_crypto_key_create", params);
        EXPECT_EQ(message.find("00112233"), std::string::npos);
        return message;
    };
    EXPECT_EQ(refused({{"key", "0011"}}), "key2: has 16 bytes, key has 2: they must be as long as each other");
    EXPECT_EQ(refused({{"key", "0011"}, {"key2", "0012"}}), "key: module software has no AES_XTS with keys of 2 bytes");
    EXPECT_EQ(refused({{"key2", hex1}}), "key2: the same as key, which is not secure");
    EXPECT_EQ(refused({{"key2", ""}}), "key2: missing; AES_XTS needs two keys");
    EXPECT_EQ(refused({{"key", ""}}), "key: missing");
    EXPECT_EQ(refused({{"key", std::string(hex1) + "0"}}),
              "key: 33 characters; it must be hexadecimal, two digits a byte");
    EXPECT_EQ(refused({{"key", "zz112233445566778899aabbccddeeff"}}), "key: it is not hexadecimal");
    EXPECT_NE(refused({{"cipher", "AES_GCM"}}), "");
    EXPECT_NE(refused({{"tweak_mode", "LBA"}}), "");
    EXPECT_EQ(refused({{"cipher", "AES_CBC"}}), "key2: AES_CBC has one key only");
    EXPECT_EQ(refused({{"name", ""}}), "name: must have 1 to 255 bytes");
    EXPECT_EQ(refused({{"keyring_key", "x"}}), "key: give it, or keyring_key, not both");
    EXPECT_TRUE(call("accel_crypto_keys_get")->empty());
}

TEST_F(AccelRpcTest, AKeyOfTheKeyringIsSavedByName) {
    start();
    add_file("f1", std::string(hex1) + "\n");
    add_file("f2", hex2);
    add_file("bad", "no key at all");
    const Json params{{"cipher", "AES_XTS"},
                      {"keyring_key", "f1"},
                      {"keyring_key2", "f2"},
                      {"tweak_mode", "INCR_512_UPPER_LBA"},
                      {"name", "k"}};
    EXPECT_EQ(*call("accel_crypto_key_create", params), true);
    const CryptoKeyRef key = *framework_.keys().find("k");
    EXPECT_EQ(hex_of(key->key()), hex1);
    EXPECT_EQ(hex_of(key->key2()), hex2);
    EXPECT_EQ(saved().back(), Json::parse(R"({"method":"accel_crypto_key_create","params":{"name":"k",
        "cipher":"AES_XTS","tweak_mode":"INCR_512_UPPER_LBA","keyring_key":"f1","keyring_key2":"f2"}})"));
    EXPECT_EQ(config_entry(framework_, crypto_key_key("k")), saved().back());
    EXPECT_TRUE(config_entry(framework_, crypto_key_key("l")).is_null());
    // Half of it in plain: not saved.
    EXPECT_TRUE(
        call("accel_crypto_key_create", {{"cipher", "AES_XTS"}, {"keyring_key", "f1"}, {"key2", hex2}, {"name", "h"}}));
    EXPECT_TRUE(config_entry(framework_, crypto_key_key("h")).is_null());
    EXPECT_EQ(message_of("accel_crypto_key_create", {{"cipher", "AES_CBC"}, {"keyring_key", "bad"}, {"name", "b"}}),
              "keyring_key: the file of key bad: 13 characters; it must be hexadecimal, two digits a byte");
    EXPECT_EQ(code_of("accel_crypto_key_create", {{"cipher", "AES_CBC"}, {"keyring_key", "none"}, {"name", "b"}}),
              -32602);
}

TEST_F(AccelRpcTest, ErrorsAreInjectedWhereTheModuleIsAssigned) {
    EXPECT_TRUE(call("accel_assign_opc", {{"opname", "crc32c"}, {"module", "error"}}));
    start();
    EXPECT_EQ(code_of("accel_error_inject_error", {{"opcode", "copy"}, {"type", "failure"}}), -EINVAL);
    EXPECT_EQ(code_of("accel_error_inject_error", {{"opcode", "crc32c"}, {"type", "no"}}), -32602);
    const Memory data(100, std::byte{3});
    const auto sum = [&] {
        uint32_t state = crc32c_seed;
        Memory copied = data;
        const iovec piece = piece_of(copied);
        const Status status = run(crc32c(state, {&piece, 1}));
        if (status != Status::success) return std::string(name_of(status));
        return std::string(crc32c_finish(state) == weft::crc32c(data) ? "right" : "wrong");
    };
    EXPECT_EQ(sum(), "right");
    EXPECT_TRUE(
        call("accel_error_inject_error", {{"opcode", "crc32c"}, {"type", "corrupt"}, {"count", 2}, {"interval", 3}}));
    EXPECT_EQ(saved().back(), Json::parse(R"({"method":"accel_error_inject_error","params":{"opcode":"crc32c",
        "type":"corrupt","count":2,"interval":3,"errcode":0}})"));
    std::string outcomes;
    for (int at = 0; at < 9; ++at) outcomes += sum()[0];
    EXPECT_EQ(outcomes, "rrwrrwrrr");
    EXPECT_TRUE(call("accel_error_inject_error", {{"opcode", "crc32c"}, {"type", "failure"}, {"count", 1}}));
    EXPECT_EQ(sum(), "failed");
    EXPECT_EQ(sum(), "right");
    EXPECT_TRUE(call("accel_error_inject_error", {{"opcode", "crc32c"}, {"type", "failure"}}));
    EXPECT_EQ(sum(), "failed");
    EXPECT_TRUE(call("accel_error_inject_error", {{"opcode", "crc32c"}, {"type", "disable"}}));
    EXPECT_EQ(sum(), "right");
    EXPECT_EQ(saved().size(), 2U);
}

TEST_F(AccelRpcTest, FiguresAreThoseOfAllChannelsAlsoOfThoseThatAreGone) {
    start();
    Memory data(1000);
    const iovec piece = piece_of(data);
    EXPECT_EQ(run(fill({&piece, 1}, 1)), Status::success);
    EXPECT_EQ(run(copy({&piece, 1}, {})), Status::invalid);
    const Json expected = Json::parse(R"({"sequence_executed":0,"sequence_failed":0,"sequence_outstanding":0,
        "task_outstanding":0,"operations":[
        {"opcode":"copy","module_name":"software","executed":1,"failed":1,"num_bytes":0},
        {"opcode":"fill","module_name":"software","executed":1,"failed":0,"num_bytes":1000}],
        "retry_task":0,"retry_sequence":0,"retry_iobuf":0,"retry_bufdesc":0})");
    EXPECT_EQ(*call("accel_get_stats"), expected);
    close();
    EXPECT_EQ(*call("accel_get_stats"), expected);
    EXPECT_TRUE(framework_.channel_threads().empty());
}

}  // namespace
}  // namespace weft::accel
