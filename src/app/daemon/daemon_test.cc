// Starting and stopping weftd without its process: reactors turned by the test, calls straight to the registry.
#include "app/daemon/daemon.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "bdev/test_runtime.h"
#include "env/linux/test_folder.h"
#include "rpc/json.h"

namespace weft::app {
namespace {

class DaemonTest : public testing::Test {
protected:
    [[nodiscard]] DaemonOptions waiting_options() const {
        DaemonOptions options;
        options.waits_for_rpc = true;
        options.rpc_addresses = {folder_ / "rpc.sock"};
        return options;
    }
    Result<void> start(Daemon& daemon) { return world_.run(daemon.start()); }
    void stop(Daemon& daemon) { EXPECT_TRUE(world_.run(stopped(daemon))); }
    void start_call(Daemon& daemon, std::string method, Json params, std::optional<rpc::Response>& answer) {
        world_.as(world_.app(),
                  [&] { spawn(keep(daemon.methods().call(std::move(method), std::move(params)), answer)); });
    }
    static Task<bool> stopped(Daemon& daemon) {
        co_await daemon.stop();
        co_return true;
    }
    static Task<void> keep(Task<rpc::Response> call, std::optional<rpc::Response>& answer) {
        answer.emplace(co_await call);
    }

    env::TestFolder folder_;
    bdev::TestRuntime world_;
};

TEST_F(DaemonTest, StartsTheFrameworkAndStops) {
    Daemon daemon(world_.runtime(), DaemonOptions{});
    ASSERT_TRUE(start(daemon).has_value());
    EXPECT_NE(daemon.target(), nullptr);
    stop(daemon);
    EXPECT_EQ(daemon.target(), nullptr);
}

TEST_F(DaemonTest, TheTargetIsWhatTheProgramSays) {
    DaemonOptions options;
    options.target_name = "nvmf_example";
    options.max_subsystems = 2;
    Daemon daemon(world_.runtime(), options);
    ASSERT_TRUE(start(daemon).has_value());
    EXPECT_EQ(daemon.target()->name(), "nvmf_example");
    EXPECT_EQ(daemon.target()->subsystem_max(), 2);
    stop(daemon);
}

TEST_F(DaemonTest, AStopEndsTheWaitForAFrameworkThatNeverStarted) {
    Daemon daemon(world_.runtime(), waiting_options());
    ASSERT_TRUE(start(daemon).has_value());
    std::optional<rpc::Response> answer;
    start_call(daemon, "framework_wait_init", Json(), answer);
    world_.settle();
    EXPECT_FALSE(answer.has_value());
    stop(daemon);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error(), rpc::RpcError(-ECANCELED, "the target is being stopped"));
}

TEST_F(DaemonTest, AStopEndsTheWaitForABdevThatNeverAppeared) {
    Daemon daemon(world_.runtime(), DaemonOptions{});
    ASSERT_TRUE(start(daemon).has_value());
    std::optional<rpc::Response> answer;
    start_call(daemon, "bdev_get_bdevs", {{"name", "none"}, {"timeout", 60'000}}, answer);
    world_.settle();
    EXPECT_FALSE(answer.has_value());
    stop(daemon);
    ASSERT_TRUE(world_.wait_for([&answer] { return answer.has_value(); }));
    EXPECT_EQ(answer->error().code, -ENODEV);
}

TEST_F(DaemonTest, AStopWaitsForCallsThatRun) {
    Daemon daemon(world_.runtime(), DaemonOptions{});
    daemon.methods().add<rpc::NoParams>({.name = "slow"}, [](rpc::NoParams) -> Task<Result<Json>> {
        co_await sleep_for(50 * env::ns_per_ms);
        co_return Json(true);
    });
    ASSERT_TRUE(start(daemon).has_value());
    std::optional<rpc::Response> answer;
    start_call(daemon, "slow", Json(), answer);
    world_.settle();
    EXPECT_FALSE(answer.has_value());
    stop(daemon);
    EXPECT_TRUE(answer.has_value());
}

TEST_F(DaemonTest, AConfigurationThatFailsIsUndone) {
    DaemonOptions options;
    options.config_file = folder_ / "config.json";
    std::ofstream(options.config_file) << R"({"subsystems": [{"subsystem": "bdev", "config": [
        {"method": "bdev_null_create", "params": {"name": "good", "block_size": 512, "num_blocks": 100}},
        {"method": "bdev_null_create", "params": {"name": "bad", "block_size": 500, "num_blocks": 100}}]}]})";
    for (const bool waits_for_rpc : {false, true}) {
        if (waits_for_rpc) {
            options.waits_for_rpc = true;
            options.rpc_addresses = {folder_ / "rpc.sock"};
        }
        Daemon daemon(world_.runtime(), options);
        const Result<void> outcome = start(daemon);
        ASSERT_FALSE(outcome.has_value());
        EXPECT_NE(outcome.error().message.find("500 bytes"), std::string::npos) << outcome.error().message;
        EXPECT_EQ(daemon.target(), nullptr);
        EXPECT_FALSE(std::filesystem::exists(folder_ / "rpc.sock"));
    }
}

}  // namespace
}  // namespace weft::app
