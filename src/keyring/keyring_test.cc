// The keyring by its methods, with real files.
#include "keyring/keyring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "bdev/test_runtime.h"
#include "env/linux/test_folder.h"
#include "keyring/keyring_rpc.h"
#include "rpc/registry.h"

namespace weft::keyring {
namespace {

class KeyringTest : public testing::Test {
protected:
    KeyringTest() {
        add_keyring_methods(methods_, ring_, files());
        methods_.set_state(rpc::runtime);
        ring_.on_change = [this](const std::string& name) { changes_ += name + ' '; };
    }
    env::Files& files() { return world_.environment().files(); }
    std::string make_file(const std::string& name, const std::string& contents, mode_t mode = 0600) {
        const std::string path = folder_ / name;
        std::ofstream(path) << contents;
        EXPECT_EQ(chmod(path.c_str(), mode), 0);
        return path;
    }
    rpc::Response call(const std::string& method, Json params = Json::object()) {
        return world_.run(methods_.call(method, std::move(params)));
    }
    rpc::Response add(const std::string& name, const std::string& path) {
        return call("keyring_file_add_key", {{"name", name}, {"path", path}});
    }
    int code_of_add(const std::string& name, const std::string& path) {
        const rpc::Response answer = add(name, path);
        return answer ? 0 : answer.error().code;
    }
    std::string message_of_add(const std::string& name, const std::string& path) {
        const rpc::Response answer = add(name, path);
        return answer ? "" : answer.error().message;
    }
    Json keys() { return *call("keyring_get_keys"); }

    env::TestFolder folder_;
    bdev::TestRuntime world_;
    rpc::Registry methods_;
    Keyring ring_;
    std::string changes_;
};

TEST_F(KeyringTest, AKeyIsAddedListedReadAndRemoved) {
    const std::string path = make_file("k", "the key\n");
    ASSERT_TRUE(add("key0", path));
    EXPECT_EQ(keys(), Json::parse(R"([{"name":"key0","module":"keyring_file","removed":false,"probed":false,"refcnt":1,
                                       "path":")" +
                                  path + R"("}])"));
    EXPECT_EQ(read(files(), **ring_.find("key0"))->text(), "the key");
    EXPECT_EQ(code_of_add("key0", path), -EEXIST);
    ASSERT_TRUE(call("keyring_file_remove_key", {{"name", "key0"}}));
    EXPECT_EQ(keys(), Json::array());
    EXPECT_FALSE(ring_.find("key0"));
    const rpc::Response again = call("keyring_file_remove_key", {{"name", "key0"}});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, -ENOKEY);
    EXPECT_EQ(changes_, "key0 key0 ");
}

TEST_F(KeyringTest, WhoUsesARemovedKeyKeepsIt) {
    ASSERT_TRUE(add("key0", make_file("k", "one")));
    KeyRef held = *ring_.find("key0");
    EXPECT_EQ(keys()[0]["refcnt"], 2);
    ASSERT_TRUE(call("keyring_file_remove_key", {{"name", "key0"}}));
    EXPECT_EQ(keys(),
              Json::parse(R"([{"name":"key0","module":"keyring_file","removed":true,"probed":false,"refcnt":1}])"));
    EXPECT_EQ(read(files(), *held)->text(), "one");
    ASSERT_TRUE(add("key0", make_file("other", "two")));  // another key of that name
    EXPECT_EQ(keys().size(), 2U);
    EXPECT_EQ(read(files(), *held)->text(), "one");
    EXPECT_EQ(read(files(), **ring_.find("key0"))->text(), "two");
    held = KeyRef();
    EXPECT_EQ(keys().size(), 1U);
}

TEST_F(KeyringTest, TheFileIsReadEachTime) {
    ASSERT_TRUE(add("key0", make_file("k", "one")));
    const KeyRef key = *ring_.find("key0");
    make_file("k", "two");
    EXPECT_EQ(read(files(), *key)->text(), "two");
    make_file("k", " \n");
    EXPECT_EQ(read(files(), *key).error().code, Errc::invalid_argument);
    make_file("k", "two", 0644);
    EXPECT_EQ(read(files(), *key).error().code, Errc::permission_denied);
}

TEST_F(KeyringTest, OnlyWellKeptFilesAreTaken) {
    for (const mode_t mode : {0600U, 0400U, 0700U}) {
        EXPECT_EQ(code_of_add("mode" + std::to_string(mode), make_file("k", "x", mode)), 0) << mode;
        chmod((folder_ / "k").c_str(), 0600);
    }
    for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U}) {
        const std::string path = make_file("k", "x", mode);
        EXPECT_EQ(code_of_add("bad", path), -EPERM) << mode;
        EXPECT_NE(message_of_add("bad", path).find("chmod 600"), std::string::npos);
    }
    if (geteuid() == 0) {
        const std::string path = make_file("foreign", "x");
        ASSERT_EQ(chown(path.c_str(), 12345, 0), 0);
        EXPECT_EQ(code_of_add("bad", path), -EPERM);
        EXPECT_NE(message_of_add("bad", path).find("chown"), std::string::npos);
    }
    ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(code_of_add("bad", folder_ / "pipe"), rpc::code::invalid_params);  // and does not wait for a writer
    EXPECT_EQ(code_of_add("bad", folder_ / ""), rpc::code::invalid_params);
    EXPECT_EQ(code_of_add("bad", folder_ / "none"), -ENOENT);
    EXPECT_EQ(code_of_add("bad", "relative"), rpc::code::invalid_params);
    EXPECT_EQ(code_of_add("bad", make_file("empty", "\n")), rpc::code::invalid_params);
    EXPECT_EQ(code_of_add("bad", make_file("large", std::string(key_bytes_max, 'x'))), -ERANGE);
    EXPECT_EQ(code_of_add("good", make_file("larger", std::string(key_bytes_max - 1, 'x'))), 0);
    EXPECT_EQ(keys().size(), 4U);
}

TEST_F(KeyringTest, NamesAreWords) {
    const std::string path = make_file("k", "x");
    for (const char* name : {"", "a b", "ring:key", "a\nb", "k\xc3\xa4se"}) {
        EXPECT_EQ(code_of_add(name, path), rpc::code::invalid_params) << name;
    }
    EXPECT_EQ(code_of_add(std::string(key_name_size_max + 1, 'a'), path), rpc::code::invalid_params);
    EXPECT_EQ(code_of_add(std::string(key_name_size_max, 'a'), path), 0);
}

TEST_F(KeyringTest, NamesStayBelowTheFoldersThatAreAllowed) {
    const std::string path = make_file("k", "x");
    std::filesystem::create_directory(folder_ / "allowed");
    const std::string inside = make_file("allowed/k", "x");
    ASSERT_TRUE(files().confine({folder_ / "allowed"}));
    EXPECT_EQ(code_of_add("outside", path), -EPERM);
    EXPECT_EQ(code_of_add("inside", inside), 0);
    ASSERT_EQ(symlink(path.c_str(), (folder_ / "allowed/link").c_str()), 0);
    EXPECT_EQ(code_of_add("link", folder_ / "allowed/link"), -EPERM);
}

TEST_F(KeyringTest, TheConfigurationHasNamesAndPathsOnly) {
    const std::string path = make_file("k", "DHHC-1:00:c2VjcmV0:");
    ASSERT_TRUE(add("key0", path));
    Json entries = Json::array();
    write_config(ring_, entries);
    const Json expected{{"method", "keyring_file_add_key"}, {"params", {{"name", "key0"}, {"path", path}}}};
    EXPECT_EQ(entries, Json::array({expected}));
    EXPECT_EQ(config_entry(ring_, config_key("key0")), expected);
    EXPECT_TRUE(config_entry(ring_, config_key("key1")).is_null());
    EXPECT_TRUE(config_entry(ring_, {"bdev", "key0", ""}).is_null());
}

}  // namespace
}  // namespace weft::keyring
