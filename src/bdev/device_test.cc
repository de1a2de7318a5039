#include "bdev/device.h"

#include <gtest/gtest.h>

#include "bdev/data_cursor.h"
#include "bdev/fake_device.h"
#include "bdev/test_runtime.h"

namespace weft::bdev {
namespace {

class ChannelTest : public testing::Test {
protected:
    void SetUp() override { open(FakeDevice::default_geometry); }
    void TearDown() override {
        world_.as(thread(), [this] { channel_.reset(); });
        world_.settle();
    }
    void open(const Geometry& geometry) {
        if (channel_) TearDown();
        device_ = world_.as(world_.app(), [&] { return std::make_unique<FakeDevice>("fake", Uuid(), geometry); });
        channel_ = world_.as(thread(), [this] { return std::move(*device_->channel()); });
    }
    Thread& thread() { return world_.data_thread(); }
    FakeChannel& fake() { return static_cast<FakeChannel&>(*channel_); }
    Progress submit(Request& request) {
        return world_.as(thread(), [&] { return channel_->submit(request); });
    }
    const OpStatistics& figures(Op op) { return channel_->statistics().of(op); }
    Status outcome_of(Op op, uint64_t lba, uint64_t blocks) {
        Request request;
        request.op = op;
        request.lba = lba;
        request.blocks = blocks;
        EXPECT_EQ(submit(request), Progress::done);
        return request.status;
    }

    TestRuntime world_;
    std::unique_ptr<FakeDevice> device_;
    ChannelRef<Channel> channel_;
};

TEST_F(ChannelTest, StartsWhatIsInRange) {
    EXPECT_EQ(outcome_of(Op::unmap, 0, 1000), Status::success);
    EXPECT_EQ(outcome_of(Op::unmap, 999, 1), Status::success);
    EXPECT_EQ(fake().start_count, 2U);
}

TEST_F(ChannelTest, ChecksBothRangesOfACopy) {
    const auto copy = [this](uint64_t from, uint64_t to, uint64_t blocks) {
        Request request;
        request.op = Op::copy;
        request.lba = to;
        request.source_lba = from;
        request.blocks = blocks;
        EXPECT_EQ(submit(request), Progress::done);
        return request.status;
    };
    EXPECT_EQ(copy(0, 500, 500), Status::success);
    EXPECT_EQ(copy(500, 0, 500), Status::success);
    EXPECT_EQ(copy(0, 499, 500), Status::failed) << "they overlap";
    EXPECT_EQ(copy(499, 0, 500), Status::failed);
    EXPECT_EQ(copy(7, 7, 1), Status::failed);
    EXPECT_EQ(copy(501, 0, 500), Status::out_of_range);
    EXPECT_EQ(copy(0, 501, 500), Status::out_of_range);
    EXPECT_EQ(copy(UINT64_MAX, 0, 1), Status::out_of_range);
    EXPECT_EQ(copy(UINT64_MAX, 0, UINT64_MAX), Status::out_of_range);
}

TEST_F(ChannelTest, ChecksBothSpansOfACompareAndWrite) {
    std::vector<std::byte> memory(compare_and_write_bytes_max + 512);
    const auto pair = [&](uint64_t blocks, size_t data_bytes, size_t expected_bytes) {
        const iovec data{.iov_base = memory.data(), .iov_len = data_bytes};
        const iovec expected{.iov_base = memory.data(), .iov_len = expected_bytes};
        Request request;
        request.op = Op::compare_and_write;
        request.blocks = blocks;
        request.data = {&data, 1};
        request.expected = {&expected, 1};
        EXPECT_EQ(submit(request), Progress::done);
        return request.status;
    };
    EXPECT_EQ(pair(2, 1024, 1024), Status::success);
    EXPECT_EQ(pair(2, 1024, 512), Status::failed);
    EXPECT_EQ(pair(2, 512, 1024), Status::failed);
    const uint64_t most = compare_and_write_bytes_max / 512;
    EXPECT_EQ(pair(most, most * 512, most * 512), Status::success);
    EXPECT_EQ(pair(most + 1, (most + 1) * 512, (most + 1) * 512), Status::failed);
}

TEST_F(ChannelTest, RefusesWhatGoesBeyondTheEndWithoutOverflow) {
    EXPECT_EQ(outcome_of(Op::unmap, 0, 1001), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, 1000, 1), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, 1001, 0), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, UINT64_MAX, 1), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, UINT64_MAX, UINT64_MAX), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, 1, UINT64_MAX), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, 999, UINT64_MAX - 998), Status::out_of_range);
    EXPECT_EQ(fake().start_count, 0U);
    EXPECT_EQ(channel_->statistics().errors[static_cast<size_t>(Status::out_of_range)], 7U);
}

TEST_F(ChannelTest, TakesADeviceOfTwoToThe63Bytes) {
    const uint64_t blocks = (uint64_t{1} << 63) / 4096;
    open({.block_bytes = 4096, .block_count = blocks});
    EXPECT_EQ(outcome_of(Op::unmap, 0, blocks), Status::success);
    EXPECT_EQ(figures(Op::unmap).bytes, uint64_t{1} << 63);
    EXPECT_EQ(outcome_of(Op::unmap, blocks - 1, 1), Status::success);
    EXPECT_EQ(outcome_of(Op::unmap, blocks - 1, 2), Status::out_of_range);
    EXPECT_EQ(outcome_of(Op::unmap, blocks, 1), Status::out_of_range);
}

TEST_F(ChannelTest, FollowsTheSizeAsItChanges) {
    world_.as(world_.app(), [this] { device_->resize(2000); });
    EXPECT_EQ(outcome_of(Op::unmap, 1999, 1), Status::success);
    world_.as(world_.app(), [this] { device_->resize(10); });
    EXPECT_EQ(outcome_of(Op::unmap, 10, 1), Status::out_of_range);
}

TEST_F(ChannelTest, RefusesAnOpThatTheDeviceDoesNotDo) {
    device_->refused = Op::unmap;
    EXPECT_EQ(outcome_of(Op::unmap, 0, 1), Status::not_supported);
    EXPECT_EQ(fake().start_count, 0U);
}

TEST_F(ChannelTest, RefusesDataThatIsNotAsLongAsTheBlocks) {
    std::array<std::byte, 2048> memory{};
    for (const size_t bytes : {size_t{0}, size_t{511}, size_t{1023}, size_t{1025}, size_t{2048}}) {
        const iovec piece{.iov_base = memory.data(), .iov_len = bytes};
        Request request;
        request.op = Op::write;
        request.blocks = 2;
        request.data = {&piece, 1};
        EXPECT_EQ(submit(request), Progress::done);
        EXPECT_EQ(request.status, Status::failed) << bytes;
    }
    const std::array<iovec, 3> pieces = {{{memory.data(), 1}, {memory.data(), 1000}, {memory.data(), 23}}};
    Request request;
    request.op = Op::write;
    request.blocks = 2;
    request.data = pieces;
    EXPECT_EQ(submit(request), Progress::done);
    EXPECT_EQ(request.status, Status::success);
}

TEST_F(ChannelTest, DoesNothingForNoBlocks) {
    EXPECT_EQ(outcome_of(Op::read, 1000, 0), Status::success);
    EXPECT_EQ(fake().start_count, 0U);
}

TEST_F(ChannelTest, FlushNeedsNoRange) {
    EXPECT_EQ(outcome_of(Op::flush, UINT64_MAX, 7), Status::success);
    EXPECT_EQ(fake().start_count, 1U);
    EXPECT_EQ(figures(Op::flush).operations, 1U);
    EXPECT_EQ(figures(Op::flush).bytes, 0U);
}

struct Completed {
    uint32_t count = 0;
    Thread* thread = nullptr;
};

TEST_F(ChannelTest, CallsDoneOfWhatWasPending) {
    Completed completed;
    Request request;
    request.op = Op::write_zeroes;
    request.blocks = 3;
    request.context = &completed;
    request.done = [](Request& done) {
        auto& seen = *static_cast<Completed*>(done.context);
        ++seen.count;
        seen.thread = &Thread::current();
    };
    fake().next = Progress::pending;
    EXPECT_EQ(submit(request), Progress::pending);
    EXPECT_EQ(channel_->in_flight(), 1U);
    EXPECT_EQ(figures(Op::write_zeroes).operations, 0U);
    EXPECT_EQ(completed.count, 0U);

    world_.as(thread(), [&] { fake().complete(request, Status::success); });
    EXPECT_EQ(completed.count, 1U);
    EXPECT_EQ(completed.thread, &thread());
    EXPECT_EQ(channel_->in_flight(), 0U);
    EXPECT_EQ(figures(Op::write_zeroes).operations, 1U);
    EXPECT_EQ(figures(Op::write_zeroes).bytes, 3U * 512U);

    EXPECT_EQ(submit(request), Progress::pending);
    world_.as(thread(), [&] { fake().complete(request, Status::no_space); });
    EXPECT_EQ(request.status, Status::no_space);
    EXPECT_EQ(figures(Op::write_zeroes).operations, 1U);
    EXPECT_EQ(channel_->statistics().errors[static_cast<size_t>(Status::no_space)], 1U);
}

TEST_F(ChannelTest, CallsDoneAsItsOwnThreadWhenTheReactorsFirstThreadRuns) {
    Thread& second = thread().reactor().create_thread("second", CpuSet::all());
    ChannelRef<Channel> channel = world_.as(second, [this] { return std::move(*device_->channel()); });
    Completed completed;
    Request request;
    request.op = Op::flush;
    request.context = &completed;
    request.done = [](Request& done) { static_cast<Completed*>(done.context)->thread = &Thread::current(); };
    static_cast<FakeChannel&>(*channel).next = Progress::pending;
    world_.as(second, [&] { return channel->submit(request); });
    world_.as(thread(), [&] { static_cast<FakeChannel&>(*channel).complete(request, Status::success); });
    EXPECT_EQ(completed.thread, &second);
    world_.as(second, [&] { channel.reset(); });
    world_.settle();
}

TEST_F(ChannelTest, CountsLatencyInTurns) {
    Request request;
    request.op = Op::unmap;
    request.blocks = 1;
    request.done = [](Request&) {};
    fake().next = Progress::pending;
    submit(request);
    const env::TimeNs from = thread().reactor().now();
    while (thread().reactor().now() == from) world_.turn();
    const env::TimeNs to = thread().reactor().now();
    world_.as(thread(), [&] { fake().complete(request, Status::success); });
    EXPECT_EQ(figures(Op::unmap).latency_ns, to - from);
    EXPECT_EQ(figures(Op::unmap).latency_ns_max, to - from);
    EXPECT_EQ(figures(Op::unmap).latency_ns_min, to - from);
    fake().next = Progress::done;
    // What is done at once took until the end of its turn.
    submit(request);
    EXPECT_EQ(figures(Op::unmap).operations, 2U);
    EXPECT_EQ(figures(Op::unmap).latency_ns, to - from);
    world_.turn();
    const env::TimeNs end = thread().reactor().now();
    EXPECT_EQ(figures(Op::unmap).latency_ns, end - from);
    EXPECT_EQ(figures(Op::unmap).latency_ns_min, std::min(to - from, end - to));
    EXPECT_EQ(figures(Op::unmap).latency_ns_max, std::max(to - from, end - to));
    uint64_t in_buckets = 0;
    for (const uint64_t count : figures(Op::unmap).latencies.counts) in_buckets += count;
    EXPECT_EQ(in_buckets, 2U);
}

TEST_F(ChannelTest, KeepsAnExactHistogramWhenToldTo) {
    const auto shape = HistogramShape::of(7, 0, UINT64_MAX, Op::unmap);
    ASSERT_TRUE(shape.has_value());
    world_.as(world_.app(), [&] { device_->set_histogram(*shape); });
    outcome_of(Op::unmap, 0, 1);
    world_.turn();
    EXPECT_TRUE(channel_->histogram().counts().empty());  // nobody has told this channel
    world_.as(thread(), [&] { channel_->follow(*shape); });
    outcome_of(Op::unmap, 0, 1);
    outcome_of(Op::unmap, 0, 1);
    outcome_of(Op::flush, 0, 1);
    world_.turn();
    EXPECT_EQ(channel_->histogram().counts_up_to({}), std::vector<uint64_t>{2});
    world_.as(thread(), [&] { channel_->follow(*shape); });  // goes on with the same one
    EXPECT_EQ(channel_->histogram().counts_up_to({}), std::vector<uint64_t>{2});
    world_.as(thread(), [this] { channel_.reset(); });
    world_.settle();
    EXPECT_EQ(device_->retired_histogram().counts_up_to({}), std::vector<uint64_t>{2});
    channel_ = world_.as(thread(), [this] { return std::move(*device_->channel()); });
    outcome_of(Op::unmap, 0, 1);
    world_.turn();
    EXPECT_EQ(channel_->histogram().counts_up_to({}), std::vector<uint64_t>{1});  // a new channel is told at once
}

TEST_F(ChannelTest, MayGoInTheTurnInWhichItCounted) {
    Thread& second = thread().reactor().create_thread("second", CpuSet::all());
    ChannelRef<Channel> channel = world_.as(second, [this] { return std::move(*device_->channel()); });
    world_.as(second, [&] {
        channel->count_lent_read(512);
        channel.reset();
    });
    world_.settle();
    EXPECT_EQ(device_->retired_statistics().of(Op::read).operations, 1U);
}

TEST_F(ChannelTest, DoesNotCountWhatMustBeSubmittedAgain) {
    fake().next = Progress::retry;
    Request request;
    request.op = Op::flush;
    EXPECT_EQ(submit(request), Progress::retry);
    EXPECT_EQ(channel_->in_flight(), 0U);
    EXPECT_EQ(figures(Op::flush).operations, 0U);
}

TEST_F(ChannelTest, LeavesItsFiguresToTheDeviceWhenItGoes) {
    outcome_of(Op::unmap, 0, 2);
    outcome_of(Op::unmap, 1000, 2);
    channel_->count_lent_read(4096);
    world_.as(thread(), [this] { channel_.reset(); });
    world_.settle();
    const Statistics& retired = device_->retired_statistics();
    EXPECT_EQ(retired.of(Op::unmap).operations, 1U);
    EXPECT_EQ(retired.of(Op::unmap).bytes, 1024U);
    EXPECT_EQ(retired.of(Op::read).operations, 1U);
    EXPECT_EQ(retired.of(Op::read).bytes, 4096U);
    EXPECT_EQ(retired.errors[static_cast<size_t>(Status::out_of_range)], 1U);
}

TEST_F(ChannelTest, SaysWhyItCannotBeHad) {
    FakeDevice broken("broken");
    broken.fails_to_open = true;
    const auto channel = world_.as(thread(), [&] { return broken.channel(); });
    ASSERT_FALSE(channel.has_value());
    EXPECT_EQ(channel.error().message, "this device cannot be opened");
}

TEST(CheckSize, NamesWhatIsWrong) {
    EXPECT_TRUE(check_size(512, 1).has_value());
    EXPECT_TRUE(check_size(65536, (uint64_t{1} << 63) / 65536).has_value());
    EXPECT_TRUE(check_size(4096, uint64_t{1} << 51).has_value());
    EXPECT_FALSE(check_size(4096, uint64_t{1} << 52).has_value());
    EXPECT_FALSE(check_size(4096, UINT64_MAX).has_value());
    EXPECT_FALSE(check_size(512, 0).has_value());
    for (const uint32_t block_bytes : {0U, 1U, 256U, 513U, 520U, 1000U, 131072U, UINT32_MAX}) {
        EXPECT_EQ(check_size(block_bytes, 1).error().code, Errc::invalid_argument) << block_bytes;
    }
}

TEST(Names, AreThereForEveryValue) {
    for (size_t at = 0; at < op_count; ++at) EXPECT_NE(name_of(static_cast<Op>(at)), "unknown");
    for (size_t at = 0; at < status_count; ++at) EXPECT_NE(name_of(static_cast<Status>(at)), "unknown");
    EXPECT_EQ(name_of(static_cast<Status>(status_count)), "unknown");
}

TEST(DataCursor, WalksPiecesOfAnySize) {
    std::array<std::byte, 100> memory{};
    const std::array<iovec, 5> pieces = {{{memory.data(), 10},
                                          {memory.data() + 10, 0},
                                          {memory.data() + 10, 1},
                                          {memory.data() + 11, 80},
                                          {memory.data() + 91, 9}}};
    for (size_t step = 1; step <= memory.size(); ++step) {
        DataCursor cursor(pieces);
        for (size_t at = 0; at < memory.size();) {
            const MutableBytes piece = cursor.next(step);
            ASSERT_EQ(piece.data(), memory.data() + at);
            ASSERT_LE(piece.size(), step);
            ASSERT_GT(piece.size(), 0U);
            at += piece.size();
        }
    }
    DataCursor cursor(pieces);
    cursor.skip(50);
    EXPECT_EQ(cursor.next(1).data(), memory.data() + 50);
}

TEST(Statistics, AddUpAndAreSetBackInParts) {
    Statistics first;
    const auto count = [](Statistics& figures, env::TimeNs latency) {
        OpStatistics& reads = figures.ops[static_cast<size_t>(Op::read)];
        ++reads.operations;
        reads.took(latency, 1);
    };
    count(first, 10);
    count(first, 30);
    first.count_error(Status::read_error);
    Statistics second;
    count(second, 5);
    second.add(first);
    EXPECT_EQ(second.of(Op::read).operations, 3U);
    EXPECT_EQ(second.of(Op::read).latency_ns, 45U);
    EXPECT_EQ(second.of(Op::read).latency_ns_min, 5U);
    EXPECT_EQ(second.of(Op::read).latency_ns_max, 30U);
    EXPECT_EQ(second.of(Op::read).latencies.counts[0], 3U);
    EXPECT_EQ(second.of(Op::write).latency_ns_min, OpStatistics::no_minimum);

    second.reset(ResetMode::none);
    EXPECT_EQ(second.of(Op::read).latency_ns_max, 30U);
    second.reset(ResetMode::maxmin);
    EXPECT_EQ(second.of(Op::read).latency_ns_max, 0U);
    EXPECT_EQ(second.of(Op::read).operations, 3U);
    EXPECT_EQ(second.errors[static_cast<size_t>(Status::read_error)], 1U);
    second.reset(ResetMode::error);
    EXPECT_EQ(second.errors[static_cast<size_t>(Status::read_error)], 0U);
    second.reset(ResetMode::all);
    EXPECT_EQ(second.of(Op::read).operations, 0U);
}

}  // namespace
}  // namespace weft::bdev
