#include "app/state/document.h"

#include <gtest/gtest.h>

#include "bdev/bdev_rpc.h"
#include "nvmf/config_keys.h"
#include "rpc/json.h"

namespace weft::state {
namespace {

const std::string nqn = "nqn.2016-06.io.spdk:cnode1";

Json null_entry(const std::string& name, uint64_t blocks = 8) {
    return {{"method", "bdev_null_create"}, {"params", {{"name", name}, {"block_size", 512}, {"num_blocks", blocks}}}};
}
Json namespace_entry(uint32_t nsid) {
    return {{"method", "nvmf_subsystem_add_ns"},
            {"params", {{"nqn", nqn}, {"namespace", {{"nsid", nsid}, {"bdev_name", "A"}}}}}};
}
Json subsystem_entry() { return {{"method", "nvmf_create_subsystem"}, {"params", {{"nqn", nqn}}}}; }

void put(Document& document, const Json& entry) { document.put(*key_of(entry), entry); }

std::vector<std::string> methods_of(const Document& document) {
    std::vector<std::string> names;
    for (const auto& call : document.calls()) names.push_back(call.method + call.params.value("name", ""));
    return names;
}

TEST(Document, OrdersEntriesSoThatTheyCanBeApplied) {
    Document document;
    put(document, namespace_entry(2));
    put(document, subsystem_entry());
    put(document, null_entry("B"));
    put(document, null_entry("A"));
    put(document, {{"method", "bdev_set_options"}, {"params", {{"bdev_io_pool_size", 9}}}});
    EXPECT_EQ(methods_of(document),
              (std::vector<std::string>{"bdev_set_options", "bdev_null_createB", "bdev_null_createA",
                                        "nvmf_create_subsystem", "nvmf_subsystem_add_ns"}));
}

TEST(Document, IsReadBackAsItWasWritten) {
    Document document;
    EXPECT_EQ(document.to_text(), R"({"subsystems":[]})");
    for (const char* name : {"C", "A", "B"}) put(document, null_entry(name));
    put(document, subsystem_entry());
    for (uint32_t nsid = 1; nsid < 20; ++nsid) put(document, namespace_entry(nsid));
    document.erase(bdev::bdev_key("A"));
    Document copy;
    ASSERT_TRUE(copy.read_text(document.to_text()));
    EXPECT_EQ(copy.to_text(), document.to_text());
    EXPECT_EQ(copy.size(), 22U);
}

TEST(Document, SaysWhetherSomethingChanged) {
    Document document;
    const auto key = bdev::bdev_key("A");
    EXPECT_TRUE(document.put(key, null_entry("A")));
    EXPECT_FALSE(document.put(key, null_entry("A")));
    EXPECT_TRUE(document.put(key, null_entry("A", 16)));
    EXPECT_TRUE(document.erase(key));
    EXPECT_FALSE(document.erase(key));
}

TEST(Document, AChangeDoesTheSameToACopy) {
    Document document;
    put(document, null_entry("A"));
    put(document, namespace_entry(1));
    Document copy = document;
    Change change;
    const auto add = [&](const Json& entry) {
        const auto key = *key_of(entry);
        ASSERT_TRUE(document.put(key, entry));
        change.put(*document.find(key));
    };
    add(null_entry("B \"quoted\" \n é"));
    add(null_entry("A", 64));
    const auto gone = nvmf::namespace_key(nqn, 1);
    ASSERT_TRUE(document.erase(gone));
    change.erase(gone);
    ASSERT_TRUE(apply_change(change.to_text(), copy));
    EXPECT_EQ(copy.to_text(), document.to_text());
    EXPECT_EQ(change.to_text().find('\n'), std::string::npos);
}

TEST(Document, NamesAreBroughtIntoOneForm) {
    const auto listener = [](const char* name, const char* address) {
        const auto key = key_of({{"method", "nvmf_subsystem_add_listener"},
                                 {"params", {{"nqn", name}, {"listen_address", Json::parse(address)}}}});
        return key ? key->object + " " + key->part : key.error().message;
    };
    EXPECT_EQ(listener("discovery", R"({"trtype":"tcp","traddr":"127.0.0.1"})"),
              "nqn.2014-08.org.nvmexpress.discovery TCP IPv4 127.0.0.1 4420");
    EXPECT_EQ(listener("nqn.a", R"({"trtype":"TCP","adrfam":"ipv6","traddr":"0:0::1","trsvcid":"9"})"),
              "nqn.a TCP IPv6 ::1 9");
    EXPECT_EQ(key_of({{"method", "nvmf_create_transport"}, {"params", {{"trtype", "tcp"}}}})->object, "TCP");
}

// A journal and a file are read by the same: neither may call what save_config never writes.
TEST(Document, RefusesWhatSaveConfigDoesNotWrite) {
    const char* const wrong[] = {
        R"(1)",
        R"({})",
        R"({"method":1})",
        R"({"method":"spdk_kill_instance","params":{"sig_name":"SIGKILL"}})",
        R"({"method":"bdev_null_delete","params":{"name":"A"}})",
        R"({"method":"bdev_null_create"})",
        R"({"method":"bdev_null_create","params":[]})",
        R"({"method":"bdev_null_create","params":{"name":"A"},"other":1})",
        R"({"method":"bdev_set_options","params":1})",
        R"({"method":"bdev_null_create","params":{"name":7}})",
        R"({"method":"bdev_null_create","params":{"name":""}})",
        R"({"method":"nvmf_create_subsystem","params":{"nqn":"discovery"}})",
        R"({"method":"nvmf_subsystem_allow_any_host","params":{"nqn":"nqn.a","allow_any_host":true}})",
        R"({"method":"nvmf_subsystem_add_ns","params":{"nqn":"nqn.a","namespace":{"bdev_name":"A"}}})",
        R"({"method":"nvmf_subsystem_add_ns","params":{"nqn":"nqn.a","namespace":{"bdev_name":"A","nsid":0}}})",
        R"({"method":"nvmf_subsystem_add_ns","params":{"nqn":"nqn.a"}})",
        R"({"method":"nvmf_subsystem_add_listener","params":{"nqn":"nqn.a","listen_address":{"trtype":"TCP"}}})",
        R"({"method":"nvmf_subsystem_add_host","params":{"nqn":"nqn.a"}})",
        R"({"method":"nvmf_ns_add_host","params":{"nqn":"nqn.a","host":"h"}})",
        R"({"method":"nvmf_ns_add_host","params":{"nqn":"nqn.a","nsid":1}})",
        R"({"method":"nvmf_put_blockservice2transport","params":{"trtype":"TCP","blockservice":"10.0.0.1/8"}})",
        R"({"method":"nvmf_put_blockservice2transport","params":{"blockservice":"10.0.0.0/8"}})",
        R"({"method":"nvmf_discovery_add_referral","params":{"address":{"trtype":"TCP"}}})",
    };
    for (const char* entry : wrong) {
        EXPECT_FALSE(key_of(Json::parse(entry))) << entry;
        Document document;
        const std::string file = std::string(R"({"subsystems":[{"subsystem":"x","config":[)") + entry + "]}]}";
        EXPECT_FALSE(document.read_text(file)) << entry;
        EXPECT_FALSE(apply_change(std::string(R"({"changes":[{"put":)") + entry + "}]}", document)) << entry;
        EXPECT_TRUE(document.empty());
    }
}

TEST(Document, AKeyInPlainIsRefusedWithoutBeingRepeated) {
    for (const char* name : {"key", "key2"}) {
        const auto refused =
            key_of({{"method", "accel_crypto_key_create"}, {"params", {{"name", "k"}, {name, "c0ffee"}}}});
        ASSERT_FALSE(refused);
        EXPECT_NE(refused.error().message.find("keyring_key"), std::string::npos);
        EXPECT_EQ(refused.error().message.find("c0ffee"), std::string::npos);
    }
}

TEST(Document, RefusesChangesOfAnotherFormAndDoesNothing) {
    Document document;
    put(document, null_entry("A"));
    const std::string before = document.to_text();
    for (const char* text :
         {"", "[]", "{}", R"({"changes":{}})", R"({"changes":[1]})", R"({"changes":[{}]})",
          R"({"changes":[{"erase":["bdev","A"]}]})", R"({"changes":[{"erase":["bdev","A",1]}]})",
          R"({"changes":[{"erase":["bdev","A",""]},{"put":{"method":"x"}}]})", R"({"changes":[{"other":1}]})"}) {
        EXPECT_FALSE(apply_change(text, document)) << text;
        EXPECT_EQ(document.to_text(), before);
    }
}

TEST(Document, RefusesAThingThatIsThereTwice) {
    Document document;
    const std::string entry = dump_json(null_entry("A"));
    const auto done =
        document.read_text(R"({"subsystems":[{"subsystem":"bdev","config":[)" + entry + "," + entry + "]}]}");
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("bdev A is there twice"), std::string::npos) << done.error().message;
}

}  // namespace
}  // namespace weft::state
