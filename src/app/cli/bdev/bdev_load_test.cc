#include "app/cli/bdev/bdev_load.h"

#include <gtest/gtest.h>

#include "bdev/fake_device.h"
#include "bdev/gate/fake_picky_device.h"
#include "bdev/test_runtime.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "rpc/json.h"

namespace weft::cli {
namespace {

using bdev::PickyDevice;

class BdevLoadTest : public testing::Test {
protected:
    BdevLoadTest() {
        EXPECT_TRUE(world_.run(bdev::create_malloc_device(
            devices_, {.name = "Malloc0", .block_bytes = 512, .block_count = 4096, .is_concurrent = true})));
        world_.as(world_.app(), [this] {
            EXPECT_TRUE(
                bdev::create_null_device(devices_, {.name = "Null0", .block_bytes = 4096, .block_count = 4096}));
            auto fake = std::make_unique<bdev::FakeDevice>("Fake0");
            fake_ = fake.get();
            EXPECT_TRUE(devices_.add(std::move(fake)));
        });
    }
    ~BdevLoadTest() override {
        world_.run([](bdev::Registry& devices) -> Task<bool> {
            co_await devices.remove_all();
            co_return true;
        }(devices_));
    }
    Result<BdevSummary> run(BdevLoad load, double seconds = 0.05) {
        if (load.names.empty()) load.names = {"Malloc0"};
        load.seconds = seconds;
        return world_.run(run_bdev_load(world_.runtime(), devices_, std::move(load)));
    }
    PickyDevice& add_picky() {
        return world_.as(world_.app(), [this]() -> PickyDevice& {
            auto made = std::make_unique<PickyDevice>("Picky0", bdev::Geometry{.block_bytes = 512, .block_count = 4096},
                                                      std::set<bdev::Op>{bdev::Op::read, bdev::Op::write});
            PickyDevice& picky = *made;
            EXPECT_TRUE(devices_.add(std::move(made)));
            return picky;
        });
    }
    std::string error_of(BdevLoad load) {
        const auto summary = run(std::move(load));
        return summary ? "" : summary.error().message;
    }

    bdev::TestRuntime world_{2};
    bdev::Registry devices_;
    bdev::FakeDevice* fake_ = nullptr;
    std::unique_ptr<bdev::Descriptor> held_;
};

TEST_F(BdevLoadTest, EveryWorkloadIsDoneAndCounted) {
    for (const std::string& workload : bdev_workloads()) {
        const auto summary = run({.workload = workload, .depth = 8, .names = {"Malloc0", "Null0"}});
        if (workload == "verify" || workload == "reset") continue;  // which Null0 would not pass
        ASSERT_TRUE(summary) << workload << ": " << summary.error().message;
        ASSERT_EQ(summary->jobs.size(), 2);
        for (const BdevJob& job : summary->jobs) {
            const bool reads = workload.ends_with("read") || workload.ends_with("rw");
            const bool writes = !workload.ends_with("read");
            EXPECT_EQ(job.results.reads.count() > 0, reads) << workload;
            EXPECT_EQ(job.results.writes.count() > 0, writes) << workload;
            EXPECT_EQ(job.results.failed, 0) << job.results.first_failure;
        }
        EXPECT_EQ(exit_code(*summary), 0);
        const Json json = summary_json(*summary);
        EXPECT_EQ(json["results"][0]["status"], "finished");
        EXPECT_EQ(json["results"][1]["job"], "Null0");
        EXPECT_GT(json["results"][0]["iops"].get<double>(), 0);
    }
}

TEST_F(BdevLoadTest, TheDeviceHasDoneWhatIsCounted) {
    const auto summary = run({.workload = "randread", .depth = 4, .names = {"Null0"}});
    ASSERT_TRUE(summary);
    bdev::Device& device = *devices_.find("Null0");
    world_.settle();
    const uint64_t done = device.retired_statistics().of(bdev::Op::read).operations;
    EXPECT_GT(summary->total().reads.count(), 0);
    EXPECT_LE(summary->total().reads.count(), done);
    EXPECT_GE(summary->total().reads.count() + 128, done);  // less what belongs to the turn of the end
}

TEST_F(BdevLoadTest, VerifyFindsWhatADeviceForgets) {
    const auto kept = run({.workload = "verify", .depth = 8});
    ASSERT_TRUE(kept);
    EXPECT_GT(kept->total().verified_blocks, 0);
    EXPECT_EQ(kept->total().verify_faults, 0) << kept->total().first_failure;
    EXPECT_EQ(exit_code(*kept), 0);
    const auto lost = run({.workload = "verify", .depth = 8, .names = {"Null0"}});
    ASSERT_TRUE(lost);
    EXPECT_GT(lost->total().verify_faults, 0);
    EXPECT_TRUE(lost->is_stopped_early);
    EXPECT_EQ(exit_code(*lost), 1);
    EXPECT_EQ(summary_json(*lost)["results"][0]["status"], "failed");
}

// Seconds, for something to come in between also when this machine has other things to do.
constexpr double long_enough = 1;

TEST_F(BdevLoadTest, ResetsComeInBetweenAndLoseNothing) {
    PickyDevice& picky = add_picky();
    const auto summary =
        run({.workload = "reset", .depth = 8, .names = {"Malloc0", "Picky0"}, .every_core = true, .reset_every = 0.01},
            long_enough);
    ASSERT_TRUE(summary) << summary.error().message;
    EXPECT_GT(picky.resets, 0);
    EXPECT_GT(summary->resets, picky.resets) << "both have them";
    EXPECT_EQ(summary->total().failed + summary->total().aborted + summary->total().verify_faults, 0)
        << summary->total().first_failure;
    for (const BdevJob& job : summary->jobs) EXPECT_GT(job.results.verified_blocks, 0) << job.bdev;
    EXPECT_EQ(exit_code(*summary), 0);
    EXPECT_EQ(summary_json(*summary)["resets"], summary->resets);
    EXPECT_EQ(summary_json(*summary)["results"][0]["status"], "finished");
}

TEST_F(BdevLoadTest, WhatAResetLosesIsFound) {
    PickyDevice& picky = add_picky();
    picky.on_reset = [&picky] { std::ranges::fill(picky.memory, std::byte{0}); };
    // So many that each is written again long before it is read back.
    const auto summary = run({.workload = "reset", .depth = 32, .names = {"Picky0"}, .reset_every = 0.01}, long_enough);
    ASSERT_TRUE(summary);
    EXPECT_GT(summary->total().verify_faults, 0);
    EXPECT_EQ(exit_code(*summary), 1);
}

// Requests that a reset ends early are no failures; nor do they say that anything was written.
TEST_F(BdevLoadTest, AResetMayEndRequestsAsAborted) {
    ChannelRef<bdev::Channel> channel =
        world_.as(world_.data_thread(), [this] { return std::move(*fake_->channel()); });
    static_cast<bdev::FakeChannel&>(*channel).status = bdev::Status::aborted;
    const auto with_resets = run({.workload = "reset", .unit_bytes = 512, .depth = 4, .names = {"Fake0"}});
    ASSERT_TRUE(with_resets);
    EXPECT_GT(with_resets->total().aborted, 0);
    EXPECT_EQ(with_resets->total().failed + with_resets->total().verified_blocks, 0);
    EXPECT_EQ(summary_json(*with_resets)["aborted"], with_resets->total().aborted);
    const auto without = run({.workload = "verify", .unit_bytes = 512, .depth = 4, .names = {"Fake0"}});
    ASSERT_TRUE(without);
    EXPECT_GT(without->total().failed, 0);
    world_.as(world_.data_thread(), [&] { channel.reset(); });
    world_.settle();
}

TEST_F(BdevLoadTest, AResetThatFailsEndsTheLoad) {
    PickyDevice& picky = add_picky();
    picky.reset_outcome = fail(Errc::io_error, "it does not come back");
    const auto summary = run({.workload = "reset", .depth = 4, .names = {"Picky0"}, .reset_every = 0.001}, long_enough);
    ASSERT_TRUE(summary);
    EXPECT_TRUE(summary->is_stopped_early);
    EXPECT_EQ(summary->reset_failure, "Picky0: reset: it does not come back");
    EXPECT_EQ(exit_code(*summary), 1);
    EXPECT_EQ(summary_json(*summary)["results"][0]["status"], "failed");
}

TEST_F(BdevLoadTest, AJobOnEachCoreHasItsOwnShare) {
    const auto summary = run({.workload = "verify", .depth = 8, .every_core = true});
    ASSERT_TRUE(summary);
    ASSERT_EQ(summary->jobs.size(), 2);
    EXPECT_NE(summary->jobs[0].core, summary->jobs[1].core);
    EXPECT_EQ(summary->jobs[0].range.count, summary->jobs[1].range.first);
    EXPECT_EQ(summary->total().verify_faults, 0) << summary->total().first_failure;
    for (const BdevJob& job : summary->jobs) EXPECT_GT(job.results.verified_blocks, 0);
}

// A channel that answers as it is told: with an error, not now, or later.
TEST_F(BdevLoadTest, FailuresEndItUnlessItGoesOn) {
    ChannelRef<bdev::Channel> channel =
        world_.as(world_.data_thread(), [this] { return std::move(*fake_->channel()); });
    auto& fake = static_cast<bdev::FakeChannel&>(*channel);
    fake.status = bdev::Status::read_error;
    const auto ended = run({.unit_bytes = 512, .depth = 4, .names = {"Fake0"}});
    ASSERT_TRUE(ended);
    EXPECT_TRUE(ended->is_stopped_early);
    EXPECT_GE(ended->total().failed, 1);
    EXPECT_LE(ended->total().failed, 64);
    EXPECT_NE(ended->total().first_failure.find("Fake0: read of block"), std::string::npos);
    const auto went_on = run({.unit_bytes = 512, .depth = 4, .names = {"Fake0"}, .goes_on_after_failure = true});
    ASSERT_TRUE(went_on);
    EXPECT_GT(went_on->total().failed, 64);
    EXPECT_EQ(exit_code(*went_on), 1);
    fake.next = bdev::Progress::retry;
    const auto nothing = run({.unit_bytes = 512, .depth = 4, .names = {"Fake0"}});
    ASSERT_TRUE(nothing);
    EXPECT_EQ(nothing->total().reads.count() + nothing->total().failed, 0);
    world_.as(world_.data_thread(), [&] { channel.reset(); });
    world_.settle();
}

TEST_F(BdevLoadTest, WhatDoesNotFitIsRefused) {
    EXPECT_NE(error_of({.unit_bytes = 1000}).find("whole ones"), std::string::npos);
    EXPECT_NE(error_of({.unit_bytes = 0}).find("whole ones"), std::string::npos);
    EXPECT_NE(error_of({.unit_bytes = uint64_t{1} << 40}).find("whole ones"), std::string::npos);
    EXPECT_NE(error_of({.unit_bytes = uint64_t{4} << 20}).find("room for 0"), std::string::npos);
    EXPECT_NE(error_of({.workload = "verify", .unit_bytes = 4096, .depth = 1000}).find("room for"), std::string::npos);
    EXPECT_NE(error_of({.workload = "compare"}).find("no such workload"), std::string::npos);
    EXPECT_NE(error_of({.names = {"None"}}).find("No such device"), std::string::npos);
    world_.as(world_.app(), [this] {
        auto held = devices_.open("Malloc0", {});
        ASSERT_TRUE(held && (*held)->claim("somebody"));
        held_ = std::move(*held);
    });
    EXPECT_NE(error_of({.workload = "write"}).find("somebody"), std::string::npos);
    EXPECT_EQ(error_of({.workload = "read"}), "");
    world_.as(world_.app(), [this] { held_.reset(); });
}

}  // namespace
}  // namespace weft::cli
