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
