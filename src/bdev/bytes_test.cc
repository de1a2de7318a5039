#include "bdev/bytes.h"

#include <gtest/gtest.h>

#include "bdev/execute.h"
#include "bdev/fake_device.h"
#include "bdev/test_runtime.h"

namespace weft::bdev {
namespace {

class BytesTest : public testing::Test {
protected:
    void SetUp() override {
        device_ = world_.as(world_.app(), [] { return std::make_unique<FakeDevice>("fake"); });
        channel_ = world_.as(world_.app(), [this] { return std::move(*device_->channel()); });
    }
    void TearDown() override {
        world_.as(world_.app(), [this] { channel_.reset(); });
        world_.settle();
    }
    FakeChannel& fake() { return static_cast<FakeChannel&>(*channel_); }
    Errc code_of(Task<Result<void>> task) {
        const auto done = world_.run(std::move(task));
        return done ? Errc::again : done.error().code;
    }

    TestRuntime world_;
    std::unique_ptr<FakeDevice> device_;
    ChannelRef<Channel> channel_;
    std::vector<std::byte> data_ = std::vector<std::byte>(4096);
};

TEST_F(BytesTest, WholeBlocksBecomeARange) {
    const auto range = blocks_of(*device_, 1024, 4096);
    ASSERT_TRUE(range);
    EXPECT_EQ(range->first, 2);
    EXPECT_EQ(range->blocks, 8);
    EXPECT_EQ(blocks_of(*device_, 0, 0)->blocks, 0);
    EXPECT_EQ(blocks_of(*device_, uint64_t{0} - 512, 512)->first, UINT64_MAX / 512);
}

TEST_F(BytesTest, AnythingElseIsRefusedAndReachesNoDevice) {
    for (const auto& [offset, bytes] :
         {std::pair<uint64_t, uint64_t>{1, 512}, {512, 511}, {511, 1}, {UINT64_MAX, 512}, {0, 513}}) {
        const auto range = blocks_of(*device_, offset, bytes);
        ASSERT_FALSE(range) << offset << " " << bytes;
        EXPECT_EQ(range.error().code, Errc::invalid_argument);
    }
    EXPECT_EQ(code_of(read_bytes(*channel_, 100, data_)), Errc::invalid_argument);
    EXPECT_EQ(code_of(write_bytes(*channel_, 0, Bytes(data_).first(100))), Errc::invalid_argument);
    EXPECT_EQ(fake().start_count, 0);
}

TEST_F(BytesTest, ReadsAndWritesReachTheDevice) {
    EXPECT_TRUE(world_.run(write_bytes(*channel_, 512, Bytes(data_))));
    const iovec pieces[] = {{data_.data(), 100}, {data_.data(), 0}, {data_.data() + 100, 412}};
    EXPECT_TRUE(world_.run(read_bytes(*channel_, 0, std::span<const iovec>(pieces))));
    EXPECT_EQ(fake().start_count, 2);
    EXPECT_EQ(code_of(read_bytes(*channel_, 1000 * 512, data_)), Errc::out_of_range);
    fake().status = Status::no_space;
    EXPECT_EQ(code_of(write_bytes(*channel_, 0, Bytes(data_))), Errc::no_space);
}

TEST_F(BytesTest, ExecutionWaitsForWhatIsPendingAndTriesAgain) {
    fake().next = Progress::retry;
    std::optional<Status> outcome;
    Request request;
    request.op = Op::flush;
    world_.as(world_.app(), [&] {
        spawn([](Channel& channel, Request& flush, std::optional<Status>& status) -> Task<void> {
            status = co_await execute(channel, flush);
        }(*channel_, request, outcome));
    });
    bool has_rested = false;
    EXPECT_TRUE(world_.wait_for([&] {
        has_rested |= !world_.turn();
        return fake().start_count >= 4;
    }));
    EXPECT_TRUE(has_rested) << "it does not ask in each turn";
    EXPECT_FALSE(outcome);
    fake().next = Progress::pending;
    EXPECT_TRUE(world_.wait_for([&] { return !fake().started.empty(); }));
    EXPECT_FALSE(outcome);
    world_.as(world_.app(), [&] { fake().complete(request, Status::write_error); });
    EXPECT_EQ(outcome, Status::write_error);
    EXPECT_EQ(result_of(*outcome, "a flush").error().message, "a flush: " + std::string(name_of(Status::write_error)));
}

}  // namespace
}  // namespace weft::bdev
