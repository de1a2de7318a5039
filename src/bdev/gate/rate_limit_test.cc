// Limits of rates, on a clock of the test's: what gets through in a second, whose it is, and what changes do.
#include <gtest/gtest.h>

#include <functional>

#include "bdev/gate/channel_gate.h"
#include "bdev/gate/fake_picky_device.h"
#include "bdev/test_client.h"
#include "env/sim/world.h"

namespace weft::bdev {

namespace {

TEST(RateLimiterTest, ReservesOneAfterTheOther) {
    RateLimiter limiter;
    limiter.set({.operations = 1000}, env::ns_per_s);
    for (uint64_t at = 0; at < 10; ++at) {
        EXPECT_EQ(limiter.reserve(env::ns_per_s, false, 4096), env::ns_per_s + at * env::ns_per_ms);
    }
    limiter.give_back(true, 4096);
    EXPECT_EQ(limiter.reserve(env::ns_per_s, true, 4096), env::ns_per_s + 9 * env::ns_per_ms);
}

TEST(RateLimiterTest, KeepsNoMoreThanABurst) {
    RateLimiter limiter;
    limiter.set({.bytes = 1'000'000}, 0);
    const env::TimeNs now = 100 * env::ns_per_s;
    uint64_t at_once = 0;
    while (limiter.reserve(now, true, 1000) <= now) ++at_once;
    EXPECT_EQ(at_once, RateLimiter::burst / env::ns_per_ms + 1);
}

TEST(RateLimiterTest, TheTightestLimitCounts) {
    RateLimiter limiter;
    limiter.set({.operations = 1000, .read_bytes = 1000, .written_bytes = 1'000'000'000}, 0);
    EXPECT_EQ(limiter.reserve(0, false, 1000), 0U);
    EXPECT_EQ(limiter.reserve(0, false, 1000), env::ns_per_s);
    EXPECT_EQ(limiter.reserve(0, true, 1000), 2 * env::ns_per_ms) << "writes do not wait for reads";
}

TEST(RateLimiterTest, IsExactForHighRates) {
    RateLimiter limiter;
    limiter.set({.operations = 30'000'000}, 0);
    for (uint64_t at = 0; at < 3'000'000; ++at) (void)limiter.reserve(0, false, 512);
    const double off = static_cast<double>(limiter.reserve(0, false, 512)) / (0.1 * env::ns_per_s);
    EXPECT_NEAR(off, 1.0, 0.002);
}

class RateLimitTest : public testing::Test {
protected:
    // Keeps a number of requests pending on a channel.
    class Load {
    public:
        Load(RateLimitTest& test, Op op, uint64_t blocks, uint32_t depth, size_t reactor = 0)
            : client_(test.world_, test.device_, reactor), buffer_(blocks * 512, std::byte{1}) {
            for (uint32_t at = 0; at < depth; ++at) {
                calls_.push_back(std::make_unique<TestClient::Call>(op, at % 8, blocks, std::span(&buffer_.piece, 1)));
                again(*calls_.back());
            }
        }
        // Submits again what is done.
        void look() {
            for (const auto& call : calls_) {
                if (call->is_done) again(*call);
            }
        }
        void end(TestRuntime& world) {
            WEFT_ASSERT(world.wait_for(
                [this] { return std::ranges::all_of(calls_, [](const auto& call) { return call->is_done; }); }));
        }
        uint64_t done = 0;
        [[nodiscard]] TestClient& client() { return client_; }

    private:
        void again(TestClient::Call& call) {
            if (call.is_done) ++done;
            call.is_done = false;
            WEFT_ASSERT(client_.submit(call) != Progress::retry);
        }
        TestClient client_;
        TestClient::Buffer buffer_;
        std::vector<std::unique_ptr<TestClient::Call>> calls_;
    };

    void limit(RateLimits limits) {
        world_.run([](DeviceGate& gate, RateLimits wanted) -> Task<bool> {
            co_await gate.set_rate_limits(wanted);
            co_return true;
        }(device_.gate(), limits));
    }
    // How many of each load's were done in so long.
    std::vector<uint64_t> count(const std::vector<Load*>& loads, env::TimeNs time) {
        std::vector<uint64_t> before;
        for (const Load* load : loads) before.push_back(load->done);
        const env::TimeNs end = sim_.now() + time;
        while (sim_.now() < end) {
            world_.turn();
            for (Load* load : loads) load->look();
            sim_.advance_to(sim_.now() + step_ns_);
        }
        for (size_t at = 0; at < loads.size(); ++at) before[at] = loads[at]->done - before[at];
        return before;
    }
    static void expect_near(uint64_t found, double wanted) {
        EXPECT_NEAR(static_cast<double>(found), wanted, wanted * 0.02);
    }

    sim::World sim_{1};
    uint64_t step_ns_ = 20'000;  // how long a turn takes
    TestRuntime world_{sim_.make_environment("target"), 3,
                       [this](env::TimeNs) { sim_.advance_to(sim_.now() + step_ns_); }};
    PickyDevice device_{"Picky0", {.block_bytes = 512, .block_count = 1000}, {Op::read, Op::write, Op::compare}};
};

TEST_F(RateLimitTest, SoManyOperationsGetThrough) {
    limit({.operations = 5000});
    Load load(*this, Op::write, 1, 32);
    expect_near(count({&load}, env::ns_per_s)[0], 5000);
    expect_near(count({&load}, 3 * env::ns_per_s)[0], 15000);
    limit({});
    load.end(world_);
}

TEST_F(RateLimitTest, AlsoWhenWakeUpsComeLate) {
    step_ns_ = 3 * env::ns_per_ms;
    device_.is_later = false;
    limit({.operations = 5000});
    Load load(*this, Op::write, 1, 32);
    expect_near(count({&load}, 4 * env::ns_per_s)[0], 20000);
    limit({});
    load.end(world_);
}

TEST_F(RateLimitTest, ReactorsShareItFairly) {
    limit({.operations = 6000});
    // One has far more to do than the others.
    Load greedy(*this, Op::write, 1, 128, 0);
    Load modest(*this, Op::write, 1, 4, 1);
    Load single(*this, Op::read, 1, 1, 2);
    const auto done = count({&greedy, &modest, &single}, 2 * env::ns_per_s);
    expect_near(done[0] + done[1] + done[2], 12000);
    for (const uint64_t one : done) EXPECT_GT(one, 3400U) << "a third is 4000";
    limit({});
    for (Load* load : {&greedy, &modest, &single}) load->end(world_);
}

TEST_F(RateLimitTest, WhatOneDoesNotUseTheOthersGet) {
    limit({.operations = 6000});
    Load busy(*this, Op::write, 1, 64, 0);
    expect_near(count({&busy}, env::ns_per_s)[0], 6000);
    limit({});
    busy.end(world_);
}

TEST_F(RateLimitTest, BytesOfReadsAndWritesApart) {
    limit({.read_bytes = 4'000'000, .written_bytes = 1'000'000});
    Load reads(*this, Op::read, 8, 16, 0);
    Load writes(*this, Op::write, 8, 16, 0);
    const auto done = count({&reads, &writes}, 2 * env::ns_per_s);
    expect_near(done[0] * 4096, 8e6);
    expect_near(done[1] * 4096, 2e6);
    limit({});
    reads.end(world_);
    writes.end(world_);
}

TEST_F(RateLimitTest, ChangesUnderLoadCountAtOnce) {
    limit({.operations = 1000});
    Load load(*this, Op::write, 1, 64);
    expect_near(count({&load}, env::ns_per_s)[0], 1000);
    limit({.operations = 20000});
    expect_near(count({&load}, env::ns_per_s)[0], 20000);
    limit({.operations = 2000});
    expect_near(count({&load}, env::ns_per_s)[0], 2000);
    limit({});
    EXPECT_GT(count({&load}, env::ns_per_s / 10)[0], 5000U) << "no limit any more";
    EXPECT_FALSE(device_.is_inline_closed());
    load.end(world_);
}

TEST_F(RateLimitTest, WhatWaitsCanBeAbortedAndOthersGoOn) {
    limit({.operations = 1000});
    TestClient client(world_, device_);
    const TestClient::Buffer buffer(512, std::byte{1});
    std::vector<std::unique_ptr<TestClient::Call>> calls;
    for (uint64_t at = 0; at < 20; ++at) {
        calls.push_back(std::make_unique<TestClient::Call>(Op::write, at, 1, std::span(&buffer.piece, 1)));
        (void)client.submit(*calls.back());
    }
    world_.as(client.thread(), [&] {
        for (size_t at = 10; at < 20; at += 2) EXPECT_TRUE(client.channel().abort(calls[at]->request));
    });
    for (size_t at = 0; at < 20; ++at) {
        EXPECT_EQ(client.finish(*calls[at]), at >= 10 && at % 2 == 0 ? Status::aborted : Status::success) << at;
    }
    limit({});
}

TEST_F(RateLimitTest, AReadThatCannotWaitGoesAndIsCounted) {
    limit({.operations = 1000});
    device_.is_later = false;
    TestClient client(world_, device_);
    const TestClient::Buffer buffer(512, std::byte{0});
    for (int at = 0; at < 20; ++at) {
        TestClient::Call call(Op::read, 0, 1, std::span(&buffer.piece, 1));
        call.request.must_not_wait = true;
        EXPECT_EQ(client.submit(call), Progress::done);
    }
    TestClient::Call next(Op::read, 0, 1, std::span(&buffer.piece, 1));
    const env::TimeNs began = sim_.now();
    EXPECT_EQ(client.run(next), Status::success);
    EXPECT_GE(sim_.now(), began + 14 * env::ns_per_ms) << "the next ones wait for them";
    limit({});
}

TEST_F(RateLimitTest, OtherOpsAreNotLimited) {
    limit({.operations = 1000});
    TestClient client(world_, device_);
    device_.is_later = false;
    const env::TimeNs began = sim_.now();
    const TestClient::Buffer buffer(512, std::byte{0});
    for (int at = 0; at < 100; ++at) {
        EXPECT_EQ(client.run(Op::compare, 0, 1, std::span(&buffer.piece, 1)), Status::success);
    }
    EXPECT_LT(sim_.now(), began + env::ns_per_ms);
    limit({});
}

TEST_F(RateLimitTest, TimePassesOnlyByTimers) {
    limit({.operations = 1000});
    Load load(*this, Op::write, 1, 4);
    (void)count({&load}, env::ns_per_s / 10);
    // Between two slots the gate's poller is paused: only the device's own is asked.
    for (const auto& poller : {&load.client().thread().active_pollers()}) {
        for (const Poller* at = poller->front(); at != nullptr; at = Thread::PollerList::next(*at)) {
            EXPECT_NE(at->name(), "bdev_Picky0");
        }
    }
    limit({});
    load.end(world_);
}

}  // namespace

}  // namespace weft::bdev
