#include "app/state/plan.h"

#include <gtest/gtest.h>

#include "app/state/apply.h"
#include "rpc/json.h"

namespace weft::state {
namespace {

const std::string nqn = "nqn.a";

Json entry(const char* method, const char* params) { return {{"method", method}, {"params", Json::parse(params)}}; }

// Two devices, one shown as namespace 1, a host, a listener.
Json sample() {
    return Json::array(
        {entry("bdev_set_options", R"({"bdev_io_pool_size":9})"),
         entry("bdev_malloc_create", R"({"name":"R","num_blocks":64,"block_size":512,"uuid":"aa"})"),
         entry("bdev_null_create", R"({"name":"N","num_blocks":2048,"block_size":512,"uuid":"bb"})"),
         entry("nvmf_create_transport", R"({"trtype":"TCP","max_queue_depth":128})"),
         entry("nvmf_create_subsystem", R"({"nqn":"nqn.a","allow_any_host":false,"serial_number":"S"})"),
         entry("nvmf_subsystem_add_host", R"({"nqn":"nqn.a","host":"h"})"),
         entry("nvmf_subsystem_add_ns",
               R"({"nqn":"nqn.a","namespace":{"nsid":1,"bdev_name":"N","nguid":"AB","uuid":"cc"}})"),
         entry(
             "nvmf_subsystem_add_listener",
             R"({"nqn":"nqn.a","listen_address":{"trtype":"TCP","adrfam":"IPv4","traddr":"127.0.0.1","trsvcid":"4420"}})")});
}

class PlanTest : public testing::Test {
protected:
    // The differences and calls from the sample to what `change` makes of it.
    template <class Change>
    void plan(Change change) {
        Json wanted = sample();
        change(wanted);
        plan(sample(), wanted);
    }
    void plan(const Json& running, const Json& wanted) {
        texts.clear();
        calls.clear();
        const auto made = make_plan(*document_of(running), *document_of(wanted));
        refusal = made ? "" : made.error().message;
        if (!made) return;
        for (const Difference& difference : made->differences) texts.push_back(difference.text);
        for (const rpc::ConfigCall& call : made->calls) calls.push_back(call.method + " " + dump_json(call.params));
    }
    using Lines = std::vector<std::string>;
    Lines texts;
    Lines calls;
    std::string refusal;
};

TEST_F(PlanTest, RaidsGoWithTheirBases) {
    const auto with_raid = [](const char* level, int blocks) {
        Json all = Json::array(
            {entry("bdev_null_create", R"({"name":"N","num_blocks":2048,"block_size":512})"),
             entry("bdev_null_create", R"({"name":"M","num_blocks":2048,"block_size":512})"),
             entry("bdev_raid_create", R"({"name":"Low","strip_size_kb":4,"base_bdevs":["N","M"]})"),
             entry("bdev_null_create", R"({"name":"O","num_blocks":4096,"block_size":512})"),
             entry("bdev_raid_create", R"({"name":"Top","base_bdevs":["Low","O"]})"),
             entry("nvmf_create_subsystem", R"({"nqn":"nqn.a"})"),
             entry("nvmf_subsystem_add_ns", R"({"nqn":"nqn.a","namespace":{"nsid":1,"bdev_name":"Top"}})")});
        all[0]["params"]["num_blocks"] = blocks;
        all[2]["params"]["raid_level"] = "raid0";
        all[4]["params"]["raid_level"] = level;
        return all;
    };
    plan(with_raid("concat", 2048), with_raid("concat", 1024));
    EXPECT_EQ(refusal, "");
    const Lines methods = [this] {
        Lines names;
        for (const std::string& call : calls) names.push_back(call.substr(0, call.find("\",\"")));
        return names;
    }();
    EXPECT_EQ(methods, (Lines{R"(nvmf_subsystem_remove_ns {"nqn":"nqn.a)", R"(bdev_raid_delete {"name":"Top"})",
                              R"(bdev_raid_delete {"name":"Low"})", R"(bdev_null_delete {"name":"N"})",
                              R"(bdev_null_create {"name":"N)", R"(bdev_raid_create {"name":"Low)",
                              R"(bdev_raid_create {"name":"Top)", R"(nvmf_subsystem_add_ns {"nqn":"nqn.a)"}));
    plan(with_raid("raid1", 2048), with_raid("raid1", 1024));
    EXPECT_NE(refusal.find("bdev_raid_remove_base_bdev"), std::string::npos) << refusal;
    EXPECT_NE(refusal.find("Low"), std::string::npos) << refusal;
    Json with_another = with_raid("raid1", 2048);
    with_another[4]["params"]["base_bdevs"][1] = "M";
    plan(with_raid("raid1", 2048), with_another);
    EXPECT_NE(refusal.find("other base bdevs"), std::string::npos) << refusal;
    plan(with_raid("raid1", 2048), with_raid("raid1", 2048));
    EXPECT_TRUE(calls.empty() && refusal.empty());
}

// A crypto bdev on N, with a key of the keyring; a file of its keys is another one.
TEST_F(PlanTest, WhatHangsOnAKeyIsMadeAnewWithIt) {
    const auto with_key = [](const char* path) {
        Json all =
            Json::array({entry("keyring_file_add_key", R"({"name":"f","path":"/old"})"),
                         entry("accel_crypto_key_create", R"({"name":"k","cipher":"AES_CBC","keyring_key":"f"})"),
                         entry("bdev_null_create", R"({"name":"N","num_blocks":2048,"block_size":512,"uuid":"bb"})"),
                         entry("bdev_crypto_create", R"({"name":"C","base_bdev_name":"N","key_name":"k"})"),
                         entry("nvmf_create_subsystem", R"({"nqn":"nqn.a"})"),
                         entry("nvmf_subsystem_add_ns", R"({"nqn":"nqn.a","namespace":{"nsid":1,"bdev_name":"C"}})")});
        all[0]["params"]["path"] = path;
        return all;
    };
    plan(with_key("/old"), with_key("/new"));
    EXPECT_EQ(texts.size(), 1U);
    EXPECT_EQ(calls,
              (Lines{R"(nvmf_subsystem_remove_ns {"nqn":"nqn.a","nsid":1})", R"(bdev_crypto_delete {"name":"C"})",
                     R"(accel_crypto_key_destroy {"key_name":"k"})", R"(keyring_file_remove_key {"name":"f"})",
                     R"(keyring_file_add_key {"name":"f","path":"/new"})",
                     R"(accel_crypto_key_create {"name":"k","cipher":"AES_CBC","keyring_key":"f"})",
                     R"(bdev_crypto_create {"name":"C","base_bdev_name":"N","key_name":"k"})",
                     R"(nvmf_subsystem_add_ns {"nqn":"nqn.a","namespace":{"nsid":1,"bdev_name":"C"}})"}));
}

TEST_F(PlanTest, InjectedErrorsAreTakenBackAndAssignmentsStay) {
    const Json injected = entry("accel_error_inject_error", R"({"opcode":"crc32c","type":"failure"})");
    plan(Json::array({injected}), Json::array());
    EXPECT_EQ(calls, (Lines{R"(accel_error_inject_error {"opcode":"crc32c","type":"disable"})"}));
    plan(Json::array(), Json::array({entry("accel_assign_opc", R"({"opname":"crc32c","module":"error"})")}));
    EXPECT_NE(refusal.find("before the start"), std::string::npos) << refusal;
    plan(Json::array({entry("accel_set_options", R"({"task_count":9})")}), Json::array());
    EXPECT_EQ(calls, Lines());
}

TEST_F(PlanTest, NothingToDoIsNothing) {
    plan([](Json&) {});
    EXPECT_EQ(texts, Lines());
    EXPECT_EQ(calls, Lines());
}

TEST_F(PlanTest, WhatIsLeftOutStaysAsItIs) {
    plan([](Json& wanted) {
        wanted.erase(0);  // options
        wanted[0]["params"].erase("uuid");
        wanted[1]["params"]["physical_block_size"] = 0;
        wanted[3]["params"].erase("serial_number");
        wanted[5]["params"]["namespace"] = Json::parse(R"({"nsid":1,"bdev_name":"N","nguid":"ab"})");
        wanted[6]["params"]["listen_address"] = Json::parse(R"({"trtype":"tcp","traddr":"127.0.0.1"})");
    });
    EXPECT_EQ(texts, Lines());
    EXPECT_EQ(calls, Lines());
}

TEST_F(PlanTest, AltersInPlaceWhatCanBe) {
    plan([](Json& wanted) {
        wanted[2]["params"]["num_blocks"] = 4096;
        wanted[4]["params"]["allow_any_host"] = true;
    });
    EXPECT_EQ(texts, (Lines{"~ bdev N: num_blocks 2048 → 4096", "~ subsystem nqn.a: allow_any_host false → true"}));
    EXPECT_EQ(calls, (Lines{R"(bdev_null_resize {"name":"N","new_size":2})",
                            R"(nvmf_subsystem_allow_any_host {"nqn":"nqn.a","allow_any_host":true})"}));
}

// They come back with their base by themselves.
TEST_F(PlanTest, WhatStandsOnADeviceThatIsMadeAnewTakesItsNamespacesAlong) {
    Json running = sample();
    running.insert(running.begin() + 3, entry("bdev_error_create", R"({"base_name":"Np1"})"));
    running.insert(running.begin() + 3, entry("bdev_split_create", R"({"base_bdev":"N","split_count":2})"));
    running[8]["params"]["namespace"]["bdev_name"] = "EE_Np1";
    Json wanted = running;
    wanted[2]["params"]["block_size"] = 4096;
    plan(running, wanted);
    EXPECT_EQ(texts, (Lines{"~ bdev N: block_size 512 → 4096; made anew"}));
    ASSERT_EQ(calls.size(), 4U);
    EXPECT_EQ(calls[0], R"(nvmf_subsystem_remove_ns {"nqn":"nqn.a","nsid":1})");
    EXPECT_EQ(calls[1], R"(bdev_null_delete {"name":"N"})");
    EXPECT_TRUE(calls[3].starts_with("nvmf_subsystem_add_ns ")) << calls[3];
    wanted = running;
    wanted.erase(3);
    wanted.erase(3);
    wanted.erase(6);
    plan(running, wanted);
    EXPECT_EQ(calls, (Lines{R"(nvmf_subsystem_remove_ns {"nqn":"nqn.a","nsid":1})",
                            R"(bdev_error_delete {"name":"EE_Np1"})", R"(bdev_split_delete {"base_bdev":"N"})"}));
}

TEST_F(PlanTest, ADeviceThatIsMadeAnewTakesItsNamespacesAlongAndTheyKeepTheirIds) {
    plan([](Json& wanted) {
        wanted[2]["params"] = Json::parse(R"({"name":"N","num_blocks":16,"block_size":4096})");
        wanted[6]["params"]["namespace"].erase("nguid");
    });
    EXPECT_EQ(texts, (Lines{"~ bdev N: num_blocks 2048 → 16, block_size 512 → 4096; made anew"}));
    EXPECT_EQ(
        calls,
        (Lines{
            R"(nvmf_subsystem_remove_ns {"nqn":"nqn.a","nsid":1})", R"(bdev_null_delete {"name":"N"})",
            R"(bdev_null_create {"name":"N","num_blocks":16,"block_size":4096,"uuid":"bb"})",
            R"(nvmf_subsystem_add_ns {"nqn":"nqn.a","namespace":{"nsid":1,"bdev_name":"N","nguid":"AB","uuid":"cc"}})"}));
}

TEST_F(PlanTest, ASubsystemThatIsMadeAnewGetsItsPartsBack) {
    plan([](Json& wanted) {
        wanted[4]["params"]["serial_number"] = "T";
        wanted.erase(5);  // the host goes
    });
    EXPECT_EQ(texts, (Lines{R"(~ subsystem nqn.a: serial_number "S" → "T"; made anew)", "- host h of nqn.a"}));
    ASSERT_EQ(calls.size(), 4U);
    EXPECT_EQ(calls[0], R"(nvmf_delete_subsystem {"nqn":"nqn.a"})");
    EXPECT_TRUE(
        calls[1].starts_with(R"(nvmf_create_subsystem {"nqn":"nqn.a","allow_any_host":false,"serial_number":"T")"));
    EXPECT_TRUE(calls[2].starts_with("nvmf_subsystem_add_ns "));
    EXPECT_TRUE(calls[3].starts_with("nvmf_subsystem_add_listener "));
}

TEST_F(PlanTest, ARamDiskThatGoesDoesSoWhenNothingCanFailAnyMore) {
    plan([](Json& wanted) {
        wanted.erase(1);
        wanted.push_back(entry("bdev_null_create", R"({"name":"M","num_blocks":1,"block_size":512})"));
    });
    EXPECT_EQ(texts,
              (Lines{R"(+ bdev M: {"name":"M","num_blocks":1,"block_size":512})", "- bdev R; what it holds is lost"}));
    EXPECT_EQ(calls, (Lines{R"(bdev_null_create {"name":"M","num_blocks":1,"block_size":512})",
                            R"(bdev_malloc_delete {"name":"R"})"}));
    // Unless somebody needs its name or its UUID.
    plan([](Json& wanted) {
        wanted[1] = entry("bdev_null_create", R"({"name":"M","num_blocks":1,"block_size":512,"uuid":"AA"})");
    });
    EXPECT_EQ(calls, (Lines{R"(bdev_malloc_delete {"name":"R"})",
                            R"(bdev_null_create {"name":"M","num_blocks":1,"block_size":512,"uuid":"AA"})"}));
}

// A list of networks that is empty for a moment would let all come.
TEST_F(PlanTest, NetworksGoWhenTheOthersAreThere) {
    Json running = sample();
    running.push_back(entry("nvmf_put_blockservice2transport", R"({"trtype":"TCP","blockservice":"10.0.0.0/8"})"));
    Json wanted = sample();
    wanted.push_back(entry("nvmf_put_blockservice2transport", R"({"trtype":"TCP","blockservice":"::1/128"})"));
    plan(running, wanted);
    EXPECT_EQ(calls, (Lines{R"(nvmf_put_blockservice2transport {"trtype":"TCP","blockservice":"::1/128"})",
                            R"(nvmf_remove_blockservice2transport {"trtype":"TCP","blockservice":"10.0.0.0/8"})"}));
}

TEST_F(PlanTest, HostsOfAListenerChangeInPlace) {
    plan([](Json& wanted) { wanted[7]["params"]["hosts"] = Json::array({"nqn.2016-06.io.host:b"}); });
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_TRUE(calls[0].starts_with("nvmf_subsystem_listener_set_hosts ")) << calls[0];
    EXPECT_TRUE(calls[0].ends_with(R"("hosts":["nqn.2016-06.io.host:b"]})")) << calls[0];
}

TEST_F(PlanTest, HostsOfANamespaceGoAndComeWithIt) {
    Json running = sample();
    running[6]["params"]["namespace"]["no_auto_visible"] = true;
    running.push_back(entry("nvmf_ns_add_host", R"({"nqn":"nqn.a","nsid":1,"host":"h"})"));
    Json wanted = running;
    wanted[2]["params"] = Json::parse(R"({"name":"N","num_blocks":16,"block_size":4096})");
    plan(running, wanted);
    ASSERT_EQ(calls.size(), 5U);
    EXPECT_TRUE(calls[0].starts_with("nvmf_subsystem_remove_ns "));
    EXPECT_TRUE(calls[3].starts_with("nvmf_subsystem_add_ns "));
    EXPECT_EQ(calls[4], R"(nvmf_ns_add_host {"nqn":"nqn.a","nsid":1,"host":"h"})");
    // Alone, it is taken out.
    plan(running, sample());
    EXPECT_EQ(calls, (Lines{R"(nvmf_ns_remove_host {"nqn":"nqn.a","nsid":1,"host":"h"})"}));
}

TEST_F(PlanTest, ReferralsAndTheNameOfDiscovery) {
    Json running = sample();
    running.push_back(entry("nvmf_discovery_set_nqn", R"({"discovery_nqn":"nqn.d"})"));
    running.push_back(entry("nvmf_discovery_add_referral",
                            R"({"address":{"trtype":"TCP","traddr":"10.0.0.1","trsvcid":"8009"},"subnqn":"nqn.e"})"));
    Json wanted = running;
    wanted[8]["params"]["discovery_nqn"] = "nqn.f";
    plan(running, wanted);
    EXPECT_EQ(calls, (Lines{R"(nvmf_discovery_set_nqn {"discovery_nqn":"nqn.f"})"}));
    plan(running, sample());
    EXPECT_EQ(calls, (Lines{R"(nvmf_discovery_remove_referral {"address":{"trtype":"TCP","traddr":"10.0.0.1",)"
                            R"("trsvcid":"8009"},"subnqn":"nqn.e"})",
                            R"(nvmf_discovery_set_nqn {"discovery_nqn":""})"}));
}

TEST_F(PlanTest, ADeviceOfAnotherKindIsMadeAnew) {
    plan([](Json& wanted) {
        wanted[1] = entry("bdev_null_create", R"({"name":"R","num_blocks":64,"block_size":512})");
    });
    EXPECT_EQ(texts, (Lines{"~ bdev R: bdev_malloc_create → bdev_null_create; made anew, what it holds is lost"}));
    EXPECT_EQ(calls, (Lines{R"(bdev_malloc_delete {"name":"R"})",
                            R"(bdev_null_create {"name":"R","num_blocks":64,"block_size":512})"}));
}

TEST_F(PlanTest, EverythingGoesInAnOrderThatWorks) {
    plan([](Json& wanted) { wanted = Json::array({wanted[3]}); });
    EXPECT_EQ(calls, (Lines{R"(nvmf_delete_subsystem {"nqn":"nqn.a"})", R"(bdev_null_delete {"name":"N"})",
                            R"(bdev_malloc_delete {"name":"R"})"}));
    plan(Json::array({sample()[0], sample()[3]}), sample());
    EXPECT_EQ(calls.size(), 6U);
    EXPECT_TRUE(calls[0].starts_with("bdev_malloc_create"));
    EXPECT_TRUE(calls[2].starts_with("nvmf_create_subsystem"));
}

TEST_F(PlanTest, NamespacesAreInTheOrderOfTheirNumbers) {
    plan([](Json& wanted) {
        for (const uint32_t nsid : {10U, 9U, 2U}) {
            wanted.push_back({{"method", "nvmf_subsystem_add_ns"},
                              {"params", {{"nqn", nqn}, {"namespace", {{"nsid", nsid}, {"bdev_name", "R"}}}}}});
        }
    });
    ASSERT_EQ(texts.size(), 3U);
    EXPECT_TRUE(texts[0].starts_with("+ namespace 2 of nqn.a:"));
    EXPECT_TRUE(texts[2].starts_with("+ namespace 10 of nqn.a:"));
}

TEST_F(PlanTest, LimitsComeChangeAndGo) {
    Json with = sample();
    with.push_back(entry("bdev_set_qos_limit", R"({"name":"R","rw_ios_per_sec":2000})"));
    plan(sample(), with);
    EXPECT_EQ(calls, Lines({R"(bdev_set_qos_limit {"name":"R","rw_ios_per_sec":2000})"}));
    Json other = sample();
    other.push_back(entry("bdev_set_qos_limit", R"({"name":"R","rw_ios_per_sec":3000})"));
    plan(with, other);
    EXPECT_EQ(calls, Lines({R"(bdev_set_qos_limit {"name":"R","rw_ios_per_sec":3000})"}));
    plan(with, sample());
    EXPECT_EQ(calls, Lines({R"(bdev_set_qos_limit {"name":"R","rw_ios_per_sec":0})"}));
    Json without = sample();
    without.erase(1);
    plan(with, without);
    EXPECT_EQ(calls, Lines({R"(bdev_malloc_delete {"name":"R"})"}));
}

TEST_F(PlanTest, LimitsOfAHostChangeInPlace) {
    const auto host = [](const std::string& more) {
        return entry("nvmf_subsystem_add_host", (R"({"nqn":"nqn.a","host":"nqn.h","psk":"p")" + more + "}").c_str());
    };
    Json with = sample();
    with.push_back(host(R"(,"dhchap_key":"k","rw_ios_per_sec":2000)"));
    Json other = sample();
    other.push_back(host(R"(,"dhchap_key":"k","rw_ios_per_sec":0,"w_mbytes_per_sec":7)"));
    plan(with, other);
    EXPECT_EQ(calls, Lines({R"(nvmf_subsystem_set_host_qos_limit {"nqn":"nqn.a","host":"nqn.h",)"
                            R"("rw_ios_per_sec":0,"w_mbytes_per_sec":7})"}));
    // And its keys, without what the call does not know.
    Json keys = sample();
    keys.push_back(host(R"(,"dhchap_key":"l","rw_ios_per_sec":2000)"));
    plan(with, keys);
    EXPECT_EQ(calls, Lines({R"(nvmf_subsystem_set_keys {"nqn":"nqn.a","host":"nqn.h","dhchap_key":"l"})"}));
}

TEST_F(PlanTest, AHistogramComesAndGoesWithItsDevice) {
    Json with = sample();
    with.push_back(entry("bdev_enable_histogram", R"({"name":"R","enable":true})"));
    plan(sample(), with);
    EXPECT_EQ(calls, Lines({R"(bdev_enable_histogram {"name":"R","enable":true})"}));
    plan(with, sample());
    EXPECT_EQ(calls, Lines({R"(bdev_enable_histogram {"name":"R","enable":false})"}));
    Json off = sample();
    off.push_back(entry("bdev_enable_histogram", R"({"name":"R","enable":false})"));
    plan(sample(), off);
    EXPECT_EQ(calls, Lines());
    Json without = sample();
    without.erase(1);
    plan(with, without);
    EXPECT_EQ(calls, Lines({R"(bdev_malloc_delete {"name":"R"})"}));
}

TEST_F(PlanTest, StatesOfPathsAreSetAndGoWithTheirListener) {
    const std::string where =
        R"("listen_address":{"trtype":"TCP","adrfam":"IPv4","traddr":"127.0.0.1","trsvcid":"4420"})";
    const auto states = [&](const char* state) {
        return entry("weft_nvmf_set_ana_states", (R"({"nqn":"nqn.a","listeners":[{)" + where +
                                                  R"(,"states":[{"anagrpid":2,"ana_state":")" + state + R"("}]}]})")
                                                     .c_str());
    };
    const auto all = [&](const std::string& state) {
        return R"(nvmf_subsystem_listener_set_ana_state {"nqn":"nqn.a",)" + where + R"(,"ana_state":")" + state + "\"}";
    };
    const auto some = [&](const std::string& state) {
        return R"(weft_nvmf_set_ana_states {"nqn":"nqn.a","listeners":[{)" + where +
               R"(,"states":[{"anagrpid":2,"ana_state":")" + state + R"("}]}]})";
    };
    Json with = sample();
    with.push_back(states("inaccessible"));
    plan(sample(), with);
    EXPECT_EQ(calls, Lines({some("inaccessible")}));
    plan(with, sample());
    EXPECT_EQ(calls, Lines({all("optimized")}));
    Json other = sample();
    other.push_back(states("change"));
    plan(with, other);
    EXPECT_EQ(calls, Lines({all("optimized"), some("change")}));
    // Of all groups: those that differ are set again.
    other = with;
    other[7]["params"]["ana_state"] = "non_optimized";
    plan(with, other);
    EXPECT_EQ(calls, Lines({all("optimized"), all("non_optimized"), some("inaccessible")}));
    other = with;
    other.erase(8);
    other.erase(7);
    plan(with, other);
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_TRUE(calls[0].starts_with("nvmf_subsystem_remove_listener")) << calls[0];
    other = sample();
    other[6]["params"]["namespace"]["anagrpid"] = 3;
    plan(sample(), other);
    EXPECT_EQ(calls, Lines({R"(nvmf_subsystem_set_ns_ana_group {"nqn":"nqn.a","nsid":1,"anagrpid":3})"}));
}

TEST_F(PlanTest, RefusesWhatCannotChangeWhileTheTargetRuns) {
    plan([](Json& wanted) { wanted[0]["params"]["bdev_io_pool_size"] = 10; });
    EXPECT_NE(refusal.find("options of bdevs: bdev_io_pool_size 9 → 10"), std::string::npos) << refusal;
    plan([](Json& wanted) { wanted[3]["params"]["max_queue_depth"] = 10; });
    EXPECT_NE(refusal.find("transport TCP"), std::string::npos) << refusal;
    plan([](Json& wanted) { wanted.erase(3); });
    EXPECT_NE(refusal.find("leave its entry"), std::string::npos) << refusal;
    plan([](Json& wanted) { wanted.push_back(entry("nvmf_set_max_subsystems", R"({"max_subsystems":5})")); });
    EXPECT_NE(refusal.find("before the start"), std::string::npos) << refusal;
}

}  // namespace
}  // namespace weft::state
