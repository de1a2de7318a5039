#include "bdev_modules/delay/delay_device.h"

#include "bdev_modules/delay/delay_channel.h"
#include "bdev_modules/test_stack.h"
#include "reactor/reactor.h"

namespace weft::bdev {
namespace {

class DelayTest : public TestStack {
protected:
    void make(uint64_t avg_read, uint64_t p99_read, uint64_t avg_write, uint64_t p99_write) {
        make_ram_disk("base");
        ASSERT_EQ(*call("bdev_delay_create", params(avg_read, p99_read, avg_write, p99_write)), Json("top"));
        device_ = static_cast<DelayDevice*>(devices_.find("top"));
    }
    static Json params(uint64_t avg_read, uint64_t p99_read, uint64_t avg_write, uint64_t p99_write) {
        return {{"name", "top"},
                {"base_bdev_name", "base"},
                {"avg_read_latency", avg_read},
                {"p99_read_latency", p99_read},
                {"avg_write_latency", avg_write},
                {"p99_write_latency", p99_write}};
    }
    int update(const char* kind, uint64_t latency_us, const char* name = "top") {
        return code_of("bdev_delay_update_latency",
                       {{"delay_bdev_name", name}, {"latency_type", kind}, {"latency_us", latency_us}});
    }
    // How long the request takes, of the reactor's time.
    env::TimeNs time_of(TestClient& client, Op op, uint64_t blocks = 1) {
        const TestClient::Buffer buffer(blocks * 512, std::byte{1});
        TestClient::Call request(op, 0, blocks, has_data(op) ? std::span(&buffer.piece, 1) : std::span<iovec>());
        world_.turn();
        const env::TimeNs start = client.thread().reactor().now();
        EXPECT_EQ(client.run(request), Status::success);
        return client.thread().reactor().now() - start;
    }
    DelayDevice* device_ = nullptr;
};

TEST_F(DelayTest, FollowsItsBase) {
    expect_follows_its_base("top", "bdev_delay_create", "bdev_delay_delete", params(1, 2, 3, 4), "delay");
}

TEST_F(DelayTest, IsADiskWithAndWithoutDelay) {
    make(0, 0, 0, 0);
    {
        TestClient client(world_, *device_);
        expect_behaves_like_a_disk(client, 1, 300);
        expect_behaves_like_a_clever_disk(client, 2, 100);
    }
    EXPECT_EQ(update("avg_read", 20), 0);
    EXPECT_EQ(update("avg_write", 20), 0);
    TestClient client(world_, *device_);
    ASSERT_EQ(client.run(Op::write_zeroes, 0, device_->block_count()), Status::success);
    expect_behaves_like_a_disk(client, 3, 100);
}

TEST_F(DelayTest, ReadsAndWritesTakeAsLongAsIsSaid) {
    make(2000, 2000, 5000, 5000);
    TestClient client(world_, *device_);
    EXPECT_GE(time_of(client, Op::read), 2 * env::ns_per_ms);
    EXPECT_GE(time_of(client, Op::write), 5 * env::ns_per_ms);
    EXPECT_EQ(update("avg_read", 9000), 0);
    EXPECT_EQ(update("p99_read", 9000), 0);
    EXPECT_GE(time_of(client, Op::read), 9 * env::ns_per_ms) << "changed live";
    TestClient::Call flush(Op::flush, 0, 0);
    EXPECT_EQ(client.submit(flush), Progress::done) << "as on the base";
}

TEST_F(DelayTest, OneOfAHundredTakesLonger) {
    make(0, 100, 0, 100);
    TestClient client(world_, *device_);
    const TestClient::Buffer buffer(512, std::byte{1});
    uint32_t slow = 0;
    for (int round = 0; round < 5000; ++round) {
        TestClient::Call request(Op::read, 0, 1, {&buffer.piece, 1});
        if (client.submit(request) == Progress::pending) {
            ++slow;
            EXPECT_EQ(client.finish(request), Status::success);
        }
    }
    EXPECT_GT(slow, 20U);
    EXPECT_LT(slow, 100U);
}

// Knows as which of its kind it ended: a test that looks may look late.
struct Numbered : TestClient::Call {
    static inline uint64_t ended = 0;
    uint64_t number = 0;
    Numbered(Op op, uint64_t lba, std::span<const iovec> data) : Call(op, lba, 1, data) {
        request.done = [](Request& done) {
            auto& call = *static_cast<Numbered*>(static_cast<Call*>(done.context));
            call.number = ++ended;
            call.is_done = true;
        };
    }
};

TEST_F(DelayTest, EndsInTheOrderOfDueTimes) {
    make(50'000, 50'000, 10'000, 10'000);
    TestClient client(world_, *device_);
    const TestClient::Buffer buffer(512, std::byte{1});
    const TestClient::Buffer other(512, std::byte{2});
    Numbered slow(Op::read, 0, {&buffer.piece, 1});
    Numbered quick(Op::write, 1, {&other.piece, 1});
    ASSERT_EQ(client.submit(slow), Progress::pending);
    ASSERT_EQ(client.submit(quick), Progress::pending);
    ASSERT_EQ(update("avg_read", 20'000), 0);
    ASSERT_EQ(update("p99_read", 50'000), 0);
    EXPECT_EQ(client.finish(slow), Status::success);
    EXPECT_EQ(client.finish(quick), Status::success);
    EXPECT_LT(quick.number, slow.number);
}

TEST_F(DelayTest, WhatIsHeldCanBeAborted) {
    make(60'000'000, 60'000'000, 60'000'000, 60'000'000);
    TestClient client(world_, *device_);
    const TestClient::Buffer buffer(512, std::byte{1});
    std::vector<std::unique_ptr<TestClient::Call>> calls;
    for (uint64_t lba = 0; lba < 100; ++lba) {
        calls.push_back(std::make_unique<TestClient::Call>(Op::write, lba, 1, std::span(&buffer.piece, 1)));
        ASSERT_EQ(client.submit(*calls.back()), Progress::pending);
    }
    for (const auto& request : calls) {
        EXPECT_TRUE(world_.as(client.thread(), [&] { return client.channel().abort(request->request); }));
        EXPECT_FALSE(request->is_done) << "not inside of abort()";
    }
    for (const auto& request : calls) EXPECT_EQ(client.finish(*request), Status::aborted);
}

TEST_F(DelayTest, LatenciesThatCannotBeAreRefused) {
    EXPECT_EQ(code_of("bdev_delay_create", params(2, 1, 0, 0)), -22);
    EXPECT_EQ(code_of("bdev_delay_create", params(0, 0, 2, 1)), -22);
    EXPECT_EQ(code_of("bdev_delay_create", params(0, UINT64_MAX, 0, 0)), -22);
    make(1, 2, 3, 4);
    EXPECT_EQ(update("avg_read", UINT64_MAX), rpc::code::invalid_params);
    EXPECT_EQ(update("median", 1), rpc::code::invalid_params);
    EXPECT_EQ(update("avg_read", 1, "nobody"), rpc::code::invalid_params);
    EXPECT_EQ(update("avg_read", 1, "base"), rpc::code::invalid_request);
}

TEST_F(DelayTest, KeepsWhatWasChangedWhenItsBaseComesBack) {
    make(1, 2, 3, 4);
    ASSERT_EQ(update("p99_write", 77), 0);
    const Json before = Json(saved().at(1));
    EXPECT_EQ(before["params"]["p99_write_latency"], 77);
    remove("base");
    EXPECT_EQ(dump_json(Json(saved().at(0))), dump_json(before));
    make_ram_disk("base");
    ASSERT_TRUE(comes("top"));
    EXPECT_EQ(static_cast<DelayDevice*>(devices_.find("top"))->latency_us(LatencyKind::p99_write), 77U);
}

}  // namespace
}  // namespace weft::bdev
