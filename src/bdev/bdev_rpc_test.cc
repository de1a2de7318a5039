#include "bdev/bdev_rpc.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "bdev/fake_device.h"
#include "bdev/test_client.h"
#include "rpc/json.h"

namespace weft::bdev {
namespace {

class BdevRpcTest : public testing::Test {
protected:
    void SetUp() override {
        add_bdev_methods(methods_, devices_, options_);
        add_iostat_methods(methods_, devices_);
        add_histogram_methods(methods_, devices_);
        add_qos_methods(methods_, devices_);
        methods_.set_state(rpc::runtime);
    }
    void TearDown() override {
        for (const Device* device : devices_.all()) {
            EXPECT_TRUE(world_.run(devices_.remove(device->name())).has_value());
        }
    }
    FakeDevice& add(const std::string& name) {
        return world_.as(world_.app(), [&]() -> FakeDevice& {
            return static_cast<FakeDevice&>(**devices_.add(std::make_unique<FakeDevice>(name)));
        });
    }
    rpc::Response call(std::string method, const std::string& params = "{}") {
        return world_.run(methods_.call(std::move(method), *parse_json(params)));
    }
    void start_call(std::string method, const std::string& params, std::optional<rpc::Response>& answer) {
        world_.as(world_.app(), [&] { spawn(keep(methods_.call(std::move(method), *parse_json(params)), answer)); });
    }
    static Task<void> keep(Task<rpc::Response> call, std::optional<rpc::Response>& answer) {
        answer.emplace(co_await call);
    }

    TestRuntime world_{2};
    Registry devices_;
    BdevOptions options_;
    rpc::Registry methods_;
};

TEST_F(BdevRpcTest, GetBdevsTellsAllOfADevice) {
    const FakeDevice& device = add("disk");
    const std::string uuid = device.uuid().to_string();
    const rpc::Response answer = call("bdev_get_bdevs", R"({"name": "disk"})");
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(
        dump_json(*answer),
        R"([{"name":"disk","aliases":[")" + uuid + R"("],"product_name":"Fake disk","block_size":512,)" +
            R"("num_blocks":1000,"preferred_write_alignment":0,"preferred_write_granularity":0,"optimal_write_size":0,)"
            R"("preferred_unmap_alignment":0,"preferred_unmap_granularity":0,"uuid":")" +
            uuid + R"(",)" +
            R"("assigned_rate_limits":{"rw_ios_per_sec":0,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":0,)"
            R"("w_mbytes_per_sec":0},"claimed":false,"zoned":false,"supported_io_types":{"read":true,)"
            R"("write":true,"unmap":true,"flush":true,"reset":true,"nvme_admin":false,"nvme_io":false,)"
            R"("nvme_io_md":false,"write_zeroes":true,"zcopy":false,"get_zone_info":false,)"
            R"("zone_management":false,"zone_append":false,"compare":true,"compare_and_write":true,)"
            R"("abort":true,"seek_hole":false,"seek_data":false,"copy":true,"nvme_iov_md":false,"nvme_nssr":false,"write_uncorrectable":true},)"
            R"("memory_domains":[],"driver_specific":{}}])");
}

TEST_F(BdevRpcTest, GetBdevsListsAllInOrder) {
    EXPECT_EQ(dump_json(*call("bdev_get_bdevs")), "[]");
    add("second");
    add("first");
    const Json list = *call("bdev_get_bdevs");
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0]["name"], "second");
    EXPECT_EQ(list[1]["name"], "first");
}

TEST_F(BdevRpcTest, GetBdevsFindsByUuid) {
    const std::string uuid = add("disk").uuid().to_string();
    const Json list = *call("bdev_get_bdevs", R"({"name": ")" + uuid + R"("})");
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0]["name"], "disk");
}

TEST_F(BdevRpcTest, GetBdevsShowsAClaim) {
    add("disk");
    auto descriptor = world_.as(world_.app(), [this] {
        auto opened = *devices_.open("disk", {});
        EXPECT_TRUE(opened->claim("a subsystem").has_value());
        return opened;
    });
    const Json list = *call("bdev_get_bdevs");
    EXPECT_EQ(list[0]["claimed"], true);
    EXPECT_EQ(list[0]["claim_type"], "exclusive_write");
    world_.as(world_.app(), [&] { descriptor.reset(); });
}

TEST_F(BdevRpcTest, AMissingBdevIsEnodev) {
    EXPECT_EQ(call("bdev_get_bdevs", R"({"name": "none"})").error(), rpc::RpcError(-19, "No such device"));
    EXPECT_EQ(call("bdev_get_iostat", R"({"name": "none"})").error(), rpc::RpcError(-19, "No such device"));
    EXPECT_EQ(call("bdev_reset_iostat", R"({"name": "none"})").error(), rpc::RpcError(-19, "No such device"));
}

TEST_F(BdevRpcTest, GetBdevsWaitsForOneToAppear) {
    std::optional<rpc::Response> answer;
    start_call("bdev_get_bdevs", R"({"name": "late", "timeout": 20000})", answer);
    for (int turns = 0; turns < 100; ++turns) world_.turn();
    EXPECT_FALSE(answer.has_value());
    add("late");
    ASSERT_TRUE(world_.wait_for([&] { return answer.has_value(); }));
    EXPECT_EQ((**answer)[0]["name"], "late");

    EXPECT_EQ(call("bdev_get_bdevs", R"({"name": "never", "timeout": 5})").error().code, -19);
    EXPECT_TRUE(call("bdev_get_bdevs", R"({"timeout": 5})").has_value());
    EXPECT_TRUE(call("bdev_get_bdevs", R"({"name": "late", "timeout": 18446744073709551615})").has_value());
}

TEST_F(BdevRpcTest, NobodyWaitsForABdevWhenTheProgramEnds) {
    std::optional<rpc::Response> answer;
    start_call("bdev_get_bdevs", R"({"name": "late", "timeout": 20000})", answer);
    for (int turns = 0; turns < 100; ++turns) world_.turn();
    EXPECT_FALSE(answer.has_value());
    devices_.refuse_more();
    ASSERT_TRUE(world_.wait_for([&] { return answer.has_value(); }));
    EXPECT_EQ(answer->error(), rpc::RpcError(-19, "No such device"));
}

TEST_F(BdevRpcTest, IostatAddsUpChannelsThereAndGone) {
    FakeDevice& device = add("disk");
    const TestClient::Buffer buffer(1024, std::byte{0});
    {
        TestClient gone(world_, device, 0);
        gone.run(Op::write, 0, 2, {&buffer.piece, 1});
    }
    TestClient first(world_, device, 0);
    TestClient second(world_, device, 1);
    first.run(Op::read, 0, 2, {&buffer.piece, 1});
    second.run(Op::read, 0, 2, {&buffer.piece, 1});
    second.run(Op::unmap, 0, 100);
    second.run(Op::unmap, 0, 1001);
    Json answer = *call("bdev_get_iostat", R"({"name": "disk"})");
    EXPECT_EQ(answer["tick_rate"], 1'000'000'000);
    EXPECT_GT(answer["ticks"], 0);
    ASSERT_EQ(answer["bdevs"].size(), 1U);
    Json& whole = answer["bdevs"][0];
    // What is done in its turn took until the turn's end: how long that was differs.
    for (const char* op : {"read", "write", "unmap"}) {
        const std::string ticks = std::string(op) + "_latency_ticks";
        EXPECT_GT(whole["min_" + ticks], 0);
        EXPECT_LE(whole["min_" + ticks], whole["max_" + ticks]);
        EXPECT_LE(whole["max_" + ticks], whole[ticks]);
        for (const char* prefix : {"", "min_", "max_"}) whole[prefix + ticks] = 0;
    }
    EXPECT_EQ(dump_json(whole),
              R"({"name":"disk","bytes_read":2048,"num_read_ops":2,"bytes_written":1024,"num_write_ops":1,)"
              R"("bytes_unmapped":51200,"num_unmap_ops":1,"bytes_copied":0,"num_copy_ops":0,)"
              R"("read_latency_ticks":0,"max_read_latency_ticks":0,"min_read_latency_ticks":0,)"
              R"("write_latency_ticks":0,"max_write_latency_ticks":0,"min_write_latency_ticks":0,)"
              R"("unmap_latency_ticks":0,"max_unmap_latency_ticks":0,"min_unmap_latency_ticks":0,)"
              R"("copy_latency_ticks":0,"max_copy_latency_ticks":0,"min_copy_latency_ticks":0,)"
              R"("io_error":{"out_of_range":1},"queue_depth_polling_period":0,"queue_depth":0,"io_time":0,)"
              R"("weighted_io_time":0})");

    answer = *call("bdev_get_iostat", R"({"name": "disk", "per_channel": true})");
    EXPECT_EQ(answer["name"], "disk");
    ASSERT_EQ(answer["channels"].size(), 2U);
    EXPECT_EQ(answer["channels"][0]["thread_id"], first.thread().id());
    EXPECT_EQ(answer["channels"][0]["num_read_ops"], 1);
    EXPECT_EQ(answer["channels"][0]["num_unmap_ops"], 0);
    EXPECT_EQ(answer["channels"][1]["thread_id"], second.thread().id());
    EXPECT_EQ(answer["channels"][1]["num_unmap_ops"], 1);
}

TEST_F(BdevRpcTest, LimitsAreSetToldAndSaved) {
    add("disk");
    const auto limits = [this] { return dump_json(call("bdev_get_bdevs")->at(0).at("assigned_rate_limits")); };
    EXPECT_EQ(dump_json(*call("bdev_set_qos_limit", R"({"name":"disk","rw_ios_per_sec":20001,"w_mbytes_per_sec":7})")),
              "true");
    EXPECT_EQ(limits(), R"({"rw_ios_per_sec":21000,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":0,"w_mbytes_per_sec":7})");
    ASSERT_TRUE(call("bdev_set_qos_limit", R"({"name":"disk","rw_ios_per_sec":0,"r_mbytes_per_sec":3})").has_value());
    EXPECT_EQ(limits(), R"({"rw_ios_per_sec":0,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":3,"w_mbytes_per_sec":7})");
    EXPECT_EQ(dump_json(config_entry(devices_, options_, qos_key("disk"))),
              R"({"method":"bdev_set_qos_limit","params":{"name":"disk","r_mbytes_per_sec":3,"w_mbytes_per_sec":7}})");
    const rpc::Response without = call("bdev_set_qos_limit", R"({"name":"disk"})");
    ASSERT_FALSE(without.has_value());
    EXPECT_EQ(without.error().code, -EINVAL);
    EXPECT_EQ(without.error().message, "No rate limits specified");
    const rpc::Response nobody = call("bdev_set_qos_limit", R"({"name":"other","rw_ios_per_sec":0})");
    ASSERT_FALSE(nobody.has_value());
    EXPECT_EQ(nobody.error().code, -ENODEV);
    ASSERT_TRUE(call("bdev_set_qos_limit", R"({"name":"disk","r_mbytes_per_sec":0,"w_mbytes_per_sec":0})").has_value());
    EXPECT_TRUE(config_entry(devices_, options_, qos_key("disk")).is_null());
}

TEST_F(BdevRpcTest, QueueDepthIsSampled) {
    FakeDevice& device = add("disk");
    TestClient client(world_, device);
    auto& channel = static_cast<FakeChannel&>(client.channel());
    channel.next = Progress::pending;
    TestClient::Call one(Op::flush, 0, 0);
    TestClient::Call two(Op::flush, 0, 0);
    (void)client.submit(one);
    (void)client.submit(two);
    EXPECT_EQ(dump_json(*call("bdev_set_qd_sampling_period", R"({"name":"disk","period":100})")), "true");
    const auto figure = [this](const char* name) {
        return call("bdev_get_iostat")->at("bdevs").at(0).at(name).get<uint64_t>();
    };
    ASSERT_TRUE(world_.wait_for([&] { return figure("io_time") >= 500; }));
    EXPECT_EQ(figure("queue_depth_polling_period"), 100U);
    EXPECT_EQ(figure("queue_depth"), 2U);
    // Of one answer: between two of them the device may be looked at.
    const Json answer = call("bdev_get_iostat")->at("bdevs").at(0);
    EXPECT_EQ(answer.at("weighted_io_time").get<uint64_t>(), 2 * answer.at("io_time").get<uint64_t>()) << "always two";
    world_.as(client.thread(), [&] {
        channel.complete(one.request, Status::success);
        channel.complete(two.request, Status::success);
    });
    ASSERT_TRUE(world_.wait_for([&] { return figure("queue_depth") == 0; }));
    ASSERT_TRUE(call("bdev_set_qd_sampling_period", R"({"name":"disk","period":0})").has_value());
    EXPECT_EQ(figure("queue_depth_polling_period"), 0U);
    const uint64_t before = figure("io_time");
    EXPECT_EQ(figure("io_time"), before);
    // What looks at a device lets it go.
    ASSERT_TRUE(call("bdev_set_qd_sampling_period", R"({"name":"disk","period":3600000000})").has_value());
}

TEST_F(BdevRpcTest, HistogramsCountWhatIsDoneWhileTheyAreOn) {
    FakeDevice& device = add("disk");
    TestClient first(world_, device, 0);
    TestClient second(world_, device, 1);
    EXPECT_EQ(call("bdev_get_histogram", R"({"name": "disk"})").error().code, -14);
    EXPECT_EQ(call("bdev_get_histogram", R"({"name": "none"})").error().code, -19);
    first.run(Op::unmap, 0, 1);
    EXPECT_TRUE(call("bdev_enable_histogram", R"({"name": "disk", "enable": true})").has_value());
    first.run(Op::unmap, 0, 1);
    second.run(Op::unmap, 0, 1);
    second.run(Op::flush, 0, 1);
    const auto count = [this] {
        const auto answer = call("bdev_get_histogram_borders", R"({"name": "disk", "borders": [1, 60000000]})");
        return answer ? (*answer)["borders_count"] : Json(answer.error().code);
    };
    EXPECT_EQ(count()[1], 3);
    EXPECT_EQ(count()[2], 3);
    const Json answer = *call("bdev_get_histogram", R"({"name": "disk"})");
    EXPECT_EQ(answer["granularity"], 7);
    EXPECT_EQ(answer["min_range"], 3);
    EXPECT_EQ(answer["max_range"], 30);
    EXPECT_EQ(answer["tsc_rate"], 1'000'000'000);
    EXPECT_EQ(answer["histogram"].get<std::string>().size(), (28 * 128 * 8 + 2) / 3 * 4U);

    EXPECT_TRUE(call("bdev_enable_histogram", R"({"name": "disk", "enable": true, "opc": "flush"})").has_value());
    first.run(Op::unmap, 0, 1);
    EXPECT_EQ(count()[2], 0) << "begun anew, and of another kind only";
    first.run(Op::flush, 0, 1);
    EXPECT_EQ(count()[2], 1);
    EXPECT_TRUE(call("bdev_enable_histogram", R"({"name": "disk", "enable": false})").has_value());
    EXPECT_EQ(count(), -14);
}

TEST_F(BdevRpcTest, HistogramsRefuseWhatMakesNoSense) {
    add("disk");
    for (const char* params : {R"({"name": "disk"})", R"({"name": "disk", "enable": true, "opc": "reed"})",
                               R"({"name": "disk", "enable": true, "granularity": 0})",
                               R"({"name": "disk", "enable": true, "granularity": 256})",
                               R"({"name": "disk", "enable": true, "min_nsec": 10, "max_nsec": 10})"}) {
        EXPECT_EQ(call("bdev_enable_histogram", params).error().code, rpc::code::invalid_params) << params;
    }
    EXPECT_EQ(call("bdev_enable_histogram", R"({"name": "none", "enable": true})").error().code, -19);
    EXPECT_EQ(call("bdev_get_histogram_borders", R"({"name": "disk", "borders": [2, 1]})").error().code,
              rpc::code::invalid_params);
}

TEST_F(BdevRpcTest, IostatIsSetBackInParts) {
    FakeDevice& device = add("disk");
    add("other");
    TestClient client(world_, device);
    client.run(Op::unmap, 0, 1);
    client.run(Op::unmap, 0, 1001);
    const auto figures = [this] { return (*call("bdev_get_iostat"))["bdevs"][0]; };
    EXPECT_EQ(figures()["num_unmap_ops"], 1);
    Json before = *call("bdev_get_iostat", R"({"name": "disk", "reset_mode": "error"})");
    EXPECT_EQ(before["bdevs"][0]["io_error"].size(), 1U) << "as it was before";
    EXPECT_EQ(figures()["io_error"].size(), 0U);
    EXPECT_EQ(figures()["num_unmap_ops"], 1);
    EXPECT_TRUE(call("bdev_reset_iostat", R"({"name": "disk", "mode": "maxmin"})").has_value());
    EXPECT_EQ(figures()["num_unmap_ops"], 1);
    EXPECT_TRUE(call("bdev_reset_iostat").has_value());
    EXPECT_EQ(figures()["num_unmap_ops"], 0);
    EXPECT_EQ(call("bdev_reset_iostat", R"({"mode": "most"})").error().code, rpc::code::invalid_params);
}

TEST_F(BdevRpcTest, IostatTakesNames) {
    for (const char* name : {"one", "two", "three"}) add(name);
    const auto names = [this](const std::string& params) {
        std::vector<std::string> seen;
        const Json answer = *call("bdev_get_iostat", params);
        for (const Json& bdev : answer["bdevs"]) seen.push_back(bdev["name"]);
        return seen;
    };
    using Names = std::vector<std::string>;
    EXPECT_EQ(names("{}"), (Names{"one", "two", "three"}));
    EXPECT_EQ(names(R"({"names": ["three", "one"]})"), (Names{"three", "one"}));
    EXPECT_EQ(names(R"({"names": []})"), Names{});
    EXPECT_EQ(call("bdev_get_iostat", R"({"names": ["one", "none"]})").error().code, -19);
    EXPECT_EQ(call("bdev_get_iostat", R"({"per_channel": true})").error().code, -EINVAL);
    EXPECT_EQ(call("bdev_get_iostat", R"({"per_channel": true, "names": ["one", "two"]})").error().code, -EINVAL);
    EXPECT_TRUE(call("bdev_get_iostat", R"({"per_channel": true, "names": ["one"]})").has_value());
}

TEST_F(BdevRpcTest, OptionsAreKeptForTheConfiguration) {
    EXPECT_EQ(call("bdev_set_options").error().code, rpc::code::wrong_state);
    methods_.set_state(rpc::startup);
    EXPECT_TRUE(call("bdev_set_options", R"({"bdev_io_pool_size": 1000, "bdev_auto_examine": false})").has_value());
    methods_.set_state(rpc::runtime);
    EXPECT_EQ(options_.bdev_io_pool_size, 1000U);
    EXPECT_EQ(dump_json(write_config(devices_, options_)),
              R"([{"method":"bdev_set_options","params":{"bdev_io_pool_size":1000,"bdev_io_cache_size":256,)"
              R"("bdev_auto_examine":false,"iobuf_small_cache_size":128,"iobuf_large_cache_size":16}},)"
              R"({"method":"bdev_wait_for_examine"}])");
}

TEST_F(BdevRpcTest, ExamineIsAccepted) {
    EXPECT_EQ(*call("bdev_examine", R"({"name": "anything"})"), Json(true));
    EXPECT_EQ(*call("bdev_wait_for_examine"), Json(true));
}

}  // namespace
}  // namespace weft::bdev
