// Quiescence, resets and time-outs: what a channel's gate holds, lets go, and asks to end.
#include "bdev/gate/channel_gate.h"

#include <gtest/gtest.h>

#include "bdev/fake_device.h"
#include "bdev/gate/fake_picky_device.h"
#include "bdev/test_client.h"
#include "env/sim/world.h"

namespace weft::bdev {

namespace {

class ChannelGateTest : public testing::Test {
protected:
    using Call = TestClient::Call;

    ChannelGateTest() {
        first_.emplace(world_, device_, 0);
        second_.emplace(world_, device_, 1);
    }
    static FakeChannel& fake(TestClient& client) { return static_cast<FakeChannel&>(client.channel()); }
    Progress write(TestClient& client, Call& call) {
        call.request.data = {&piece_, 1};
        return client.submit(call);
    }
    // As the device's own thread would.
    void finish(TestClient& client, Call& call, Status status = Status::success) {
        world_.as(client.thread(), [&] { fake(client).complete(call.request, status); });
    }
    uint64_t quiesce(HeldRange range, HeldOps ops = HeldOps::all) {
        std::optional<uint64_t> id;
        begin_quiesce(range, id, ops);
        WEFT_ASSERT(world_.wait_for([&] { return id.has_value(); }));
        return *id;
    }
    void begin_quiesce(HeldRange range, std::optional<uint64_t>& id, HeldOps ops = HeldOps::all) {
        const CurrentThread scope(&world_.app());
        spawn(keep(device_.gate().quiesce(range, ops), id));
    }
    void release(uint64_t id) {
        world_.run([](DeviceGate& gate, uint64_t hold) -> Task<bool> {
            co_await gate.release(hold);
            co_return true;
        }(device_.gate(), id));
    }
    template <class T>
    static Task<void> keep(Task<T> task, std::optional<T>& value) {
        value.emplace(co_await task);
    }

    TestRuntime world_{2};
    FakeDevice device_{"Fake0"};
    std::array<std::byte, 512> memory_{};
    iovec piece_{.iov_base = memory_.data(), .iov_len = memory_.size()};
    std::optional<TestClient> first_;
    std::optional<TestClient> second_;
};

TEST_F(ChannelGateTest, HoldsWhatComesUntilItIsReleased) {
    const uint64_t id = quiesce({});
    Call one(Op::write, 1, 1);
    Call two(Op::flush, 0, 0);
    EXPECT_EQ(write(*first_, one), Progress::pending);
    EXPECT_EQ(second_->submit(two), Progress::pending);
    world_.settle();
    EXPECT_FALSE(one.is_done || two.is_done);
    EXPECT_EQ(fake(*first_).start_count + fake(*second_).start_count, 0U);
    EXPECT_EQ(first_->channel().in_flight(), 1U) << "for who submitted it, it is pending";
    release(id);
    world_.settle();
    EXPECT_TRUE(one.is_done && two.is_done);
    EXPECT_EQ(first_->channel().in_flight(), 0U);
    EXPECT_EQ(first_->channel().statistics().of(Op::write).operations, 1U);
    Call three(Op::write, 1, 1);
    EXPECT_EQ(write(*first_, three), Progress::done) << "nothing is left of it";
}

TEST_F(ChannelGateTest, WaitsForWhatIsUnderWayOnEveryChannel) {
    fake(*first_).next = fake(*second_).next = Progress::pending;
    Call one(Op::write, 1, 1);
    Call two(Op::write, 2, 1);
    write(*first_, one);
    write(*second_, two);
    std::optional<uint64_t> id;
    begin_quiesce({}, id);
    world_.settle();
    EXPECT_FALSE(id);
    finish(*first_, one);
    world_.settle();
    EXPECT_FALSE(id);
    finish(*second_, two);
    world_.settle();
    ASSERT_TRUE(id);
    release(*id);
}

// Else a reactor would never rest, and a clock that goes on while it rests would stand still.
TEST_F(ChannelGateTest, WhoDrainsRestsWhileAnotherRequestHasNoRoom) {
    const uint64_t elsewhere = quiesce({.lba = 10, .blocks = 5});
    Call held(Op::write, 11, 1);
    write(*first_, held);
    fake(*first_).next = Progress::pending;
    Call under_way(Op::write, 1, 1);
    write(*first_, under_way);
    fake(*first_).next = Progress::retry;
    release(elsewhere);  // what was held is wanted now, and there is no room
    std::optional<uint64_t> id;
    begin_quiesce({.lba = 0, .blocks = 5}, id);
    bool has_rested = false;
    for (int turns = 0; turns < 100; ++turns) has_rested |= !world_.turn();
    EXPECT_TRUE(has_rested);
    EXPECT_FALSE(id || held.is_done);
    const uint32_t before = fake(*first_).start_count;
    world_.turn();
    EXPECT_GT(fake(*first_).start_count, before) << "it is tried again";
    finish(*first_, under_way);
    fake(*first_).next = Progress::done;
    world_.settle();
    EXPECT_TRUE(held.is_done);
    ASSERT_TRUE(id);
    release(*id);
}

TEST_F(ChannelGateTest, ARangeHoldsOnlyWhatTouchesIt) {
    const uint64_t id = quiesce({.lba = 10, .blocks = 5});
    std::array<std::byte, size_t{512} * 3> memory{};
    const iovec three_blocks{.iov_base = memory.data(), .iov_len = memory.size()};
    Call before(Op::write, 7, 3, {&three_blocks, 1});
    Call into(Op::write, 8, 3, {&three_blocks, 1});
    Call last(Op::read, 14, 3, {&three_blocks, 1});
    Call behind(Op::read, 15, 3, {&three_blocks, 1});
    Call flush(Op::flush, 0, 0);
    Call copy(Op::copy, 100, 3);
    copy.request.source_lba = 12;
    EXPECT_EQ(first_->submit(before), Progress::done);
    EXPECT_EQ(first_->submit(into), Progress::pending);
    EXPECT_EQ(first_->submit(last), Progress::pending);
    EXPECT_EQ(first_->submit(behind), Progress::done);
    EXPECT_EQ(first_->submit(flush), Progress::done);
    EXPECT_EQ(first_->submit(copy), Progress::pending);
    release(id);
    world_.settle();
    EXPECT_TRUE(into.is_done && last.is_done && copy.is_done);
}

TEST_F(ChannelGateTest, OneThatIsForWritesLetsReadsPass) {
    const uint64_t id = quiesce({.lba = 10, .blocks = 5}, HeldOps::writes);
    Call read(Op::read, 10, 1, {&piece_, 1});
    Call write(Op::write, 10, 1, {&piece_, 1});
    Call unmap(Op::unmap, 10, 1);
    EXPECT_EQ(first_->submit(read), Progress::done);
    EXPECT_EQ(first_->submit(write), Progress::pending);
    EXPECT_EQ(first_->submit(unmap), Progress::pending);
    release(id);
    world_.settle();
    EXPECT_TRUE(write.is_done && unmap.is_done);
}

TEST_F(ChannelGateTest, WhoWantsTheSameRangeWaits) {
    const uint64_t first = quiesce({.lba = 10, .blocks = 5});
    std::optional<uint64_t> second;
    begin_quiesce({.lba = 14, .blocks = 1}, second);
    const uint64_t elsewhere = quiesce({.lba = 15, .blocks = 1});
    EXPECT_FALSE(second);
    release(first);
    world_.settle();
    ASSERT_TRUE(second);
    release(*second);
    release(elsewhere);
}

TEST_F(ChannelGateTest, AChannelThatComesLaterHoldsToo) {
    second_.reset();
    const uint64_t id = quiesce({});
    second_.emplace(world_, device_, 1);
    Call call(Op::write, 1, 1);
    EXPECT_EQ(write(*second_, call), Progress::pending);
    release(id);
    world_.settle();
    EXPECT_TRUE(call.is_done);
}

TEST_F(ChannelGateTest, WhatIsHeldCanBeAborted) {
    const uint64_t id = quiesce({});
    Call call(Op::write, 1, 1);
    write(*first_, call);
    world_.as(first_->thread(), [&] {
        EXPECT_TRUE(first_->channel().abort(call.request));
        EXPECT_FALSE(call.is_done) << "not from inside abort()";
    });
    EXPECT_EQ(first_->finish(call), Status::aborted);
    release(id);
    world_.settle();
    EXPECT_EQ(fake(*first_).start_count, 0U);
}

TEST_F(ChannelGateTest, ClosesTheWaysAroundIt) {
    const uint64_t id = quiesce({.lba = 10, .blocks = 5});
    EXPECT_TRUE(device_.is_inline_closed());
    Call read(Op::read, 10, 1, {&piece_, 1});
    read.request.must_not_wait = true;
    EXPECT_EQ(first_->submit(read), Progress::retry);
    release(id);
    EXPECT_FALSE(device_.is_inline_closed());
    EXPECT_EQ(first_->submit(read), Progress::done);
}

// Time is the test's: each turn that finds nothing to do takes until the next timer.
class TimeoutTest : public testing::Test {
protected:
    using Call = TestClient::Call;
    void run_for(env::TimeNs time) {
        const env::TimeNs end = sim_.now() + time;
        (void)world_.wait_for([&] { return sim_.now() >= end; });
    }
    void set_timeout(IoTimeout timeout) {
        world_.run([](DeviceGate& gate, IoTimeout wanted) -> Task<bool> {
            co_await gate.set_io_timeout(wanted);
            co_return true;
        }(device_.gate(), timeout));
    }

    sim::World sim_{1};
    TestRuntime world_{sim_.make_environment("target"), 1,
                       [this](env::TimeNs) { sim_.advance_to(sim_.now() + env::ns_per_ms); }};
    PickyDevice device_{"Picky0", {.block_bytes = 512, .block_count = 1000}, {Op::read, Op::write}};
    TestClient client_{world_, device_};
    std::array<std::byte, 512> memory_{};
    iovec piece_{.iov_base = memory_.data(), .iov_len = memory_.size()};
};

TEST_F(TimeoutTest, AbortsWhatTheModuleHasForTooLong) {
    device_.is_stuck = true;
    set_timeout({.after = 100 * env::ns_per_ms});
    Call call(Op::write, 1, 1, {&piece_, 1});
    EXPECT_EQ(client_.submit(call), Progress::pending);
    run_for(90 * env::ns_per_ms);
    EXPECT_FALSE(call.is_done);
    run_for(20 * env::ns_per_ms);
    EXPECT_TRUE(call.is_done);
    EXPECT_EQ(call.request.status, Status::aborted);
    EXPECT_EQ(client_.channel().statistics().errors[static_cast<size_t>(Status::aborted)], 1U);
}

TEST_F(TimeoutTest, OrResetsTheDevice) {
    device_.is_stuck = true;
    device_.on_reset = [this] { device_.is_stuck = false; };
    set_timeout({.after = 100 * env::ns_per_ms, .action = IoTimeout::Action::reset, .drain_for = 50 * env::ns_per_ms});
    Call call(Op::write, 1, 1, {&piece_, 1});
    EXPECT_EQ(client_.submit(call), Progress::pending);
    run_for(140 * env::ns_per_ms);
    EXPECT_EQ(device_.resets, 0U) << "it is given time to end by itself";
    run_for(20 * env::ns_per_ms);
    EXPECT_EQ(device_.resets, 1U);
    EXPECT_EQ(client_.finish(call), Status::success);
    Call next(Op::write, 1, 1, {&piece_, 1});
    EXPECT_EQ(client_.run(next), Status::success) << "nothing is held any more";
}

TEST_F(TimeoutTest, NothingHappensInTime) {
    set_timeout({.after = 100 * env::ns_per_ms});
    for (int round = 0; round < 100; ++round) {
        EXPECT_EQ(client_.run(Op::write, 1, 1, {&piece_, 1}), Status::success);
        run_for(3 * env::ns_per_ms);
    }
}

}  // namespace

}  // namespace weft::bdev
