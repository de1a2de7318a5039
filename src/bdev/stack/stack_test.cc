#include <gtest/gtest.h>

#include "bdev/control_io.h"
#include "bdev/fake_device.h"
#include "bdev/stack/stacked_channel.h"
#include "bdev/stack/stacked_device.h"
#include "bdev/test_client.h"

namespace weft::bdev {
namespace {

// Its writes go to both of its bases, its reads to the second, 100 blocks further on.
class PairChannel final : public StackedChannel {
public:
    explicit PairChannel(StackedDevice& device) : StackedChannel(device) {}
    using StackedChannel::open_bases;
    using StackedChannel::take_pieces;
    uint32_t ended = 0;

protected:
    Progress start(Request& request) override {
        if (request.op != Op::write) return forward(request, 1, request.lba + 100);
        if (!has_children(2)) return Progress::retry;
        begin(request);
        for (size_t at = 0; at < 2; ++at) {
            Child& child = take_child(request, at);
            child.lba = request.lba;
            child.blocks = request.blocks;
            child.data = request.data;
            send(child);
        }
        return end(request);
    }
    void child_ended(Child& child) override {
        ++ended;
        StackedChannel::child_ended(child);
    }
};

class PairDevice final : public StackedDevice {
public:
    PairDevice(Registry& registry, std::vector<std::unique_ptr<Base>> bases)
        : StackedDevice("pair", Uuid::from_names({"pair"}), FakeDevice::default_geometry, registry, std::move(bases)) {}
    [[nodiscard]] std::string_view product_name() const override { return "Pair"; }
    [[nodiscard]] bool supports(Op op) const override { return base(0)->device().supports(op); }
    uint32_t resizes = 0;

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override {
        auto channel = std::make_unique<PairChannel>(*this);
        WEFT_TRY(channel->open_bases());
        return channel;
    }
    void on_base_resized(Base&) override { ++resizes; }
};

class StackTest : public testing::Test {
protected:
    void SetUp() override {
        registry_.set_io_thread(world_.data_thread());
        world_.as(world_.app(), [&] {
            std::vector<std::unique_ptr<Base>> bases;
            for (const char* name : {"left", "right"}) {
                fakes_.push_back(static_cast<FakeDevice*>(*registry_.add(std::make_unique<FakeDevice>(name))));
                bases.push_back(*Base::open(registry_, name, "pair"));
            }
            pair_ = static_cast<PairDevice*>(*registry_.add(std::make_unique<PairDevice>(registry_, std::move(bases))));
        });
        client_.emplace(world_, *pair_);
        for (FakeDevice* fake : fakes_) {
            world_.as(world_.data_thread(),
                      [&] { channels_.push_back(static_cast<FakeChannel*>(fake->fake_channel()->get())); });
        }
    }
    void TearDown() override {
        client_.reset();
        world_.run(remove_all());
    }
    Task<bool> remove_all() {
        co_await registry_.remove_all();
        co_return true;
    }
    PairChannel& channel() { return static_cast<PairChannel&>(client_->channel()); }
    void complete(size_t at, Status status) {
        world_.as(world_.data_thread(), [&] { channels_[at]->complete(*channels_[at]->started.front(), status); });
    }

    // It outlives the devices.
    template <class E>
    E& keep(std::unique_ptr<E> examiner) {
        E& kept = *examiner;
        examiners_.push_back(std::move(examiner));
        return kept;
    }

    TestRuntime world_;
    Registry registry_;
    std::vector<std::unique_ptr<Examiner>> examiners_;
    std::vector<FakeDevice*> fakes_;
    PairDevice* pair_ = nullptr;
    std::optional<TestClient> client_;
    std::vector<FakeChannel*> channels_;
};

TEST_F(StackTest, WithoutAChannelOfABaseThereIsNone) {
    fakes_[1]->fails_to_open = true;
    world_.as(world_.app(), [&] {
        const auto channel = pair_->channel();
        ASSERT_FALSE(channel);
        EXPECT_EQ(channel.error().code, Errc::io_error);
    });
    world_.settle();
    fakes_[1]->fails_to_open = false;
    world_.as(world_.app(), [&] { EXPECT_TRUE(pair_->channel()); });
    world_.settle();
}

TEST_F(StackTest, ForwardsAsTheRequestIs) {
    const TestClient::Buffer buffer(2 * 512, std::byte{1});
    channels_[1]->next = Progress::pending;
    TestClient::Call call(Op::read, 7, 2, {&buffer.piece, 1});
    EXPECT_EQ(client_->submit(call), Progress::pending);
    ASSERT_EQ(channels_[1]->started.size(), 1U);
    EXPECT_EQ(channels_[1]->started.front()->lba, 107U);
    EXPECT_EQ(channels_[1]->started.front()->blocks, 2U);
    EXPECT_EQ(channels_[1]->started.front()->data.data(), &buffer.piece);
    EXPECT_EQ(channels_[0]->start_count, 0U);
    complete(1, Status::read_error);
    EXPECT_EQ(client_->finish(call), Status::read_error);
    EXPECT_EQ(channel().ended, 1U);
}

TEST_F(StackTest, ForwardsThatCannotBeTakenLeaveNothing) {
    channels_[1]->next = Progress::retry;
    TestClient::Call call(Op::verify, 0, 1);
    EXPECT_EQ(client_->submit(call), Progress::retry);
    EXPECT_EQ(channel().children_of(1), 0U);
    EXPECT_EQ(channel().ended, 0U);
    channels_[1]->next = Progress::done;
    EXPECT_EQ(client_->submit(call), Progress::done);
    EXPECT_EQ(call.request.status, Status::success);
}

TEST_F(StackTest, AFamilyEndsWithItsLastChildAndTheFirstFailure) {
    const TestClient::Buffer buffer(512, std::byte{1});
    for (FakeChannel* base : channels_) base->next = Progress::pending;
    TestClient::Call call(Op::write, 0, 1, {&buffer.piece, 1});
    EXPECT_EQ(client_->submit(call), Progress::pending);
    complete(1, Status::write_error);
    EXPECT_FALSE(call.is_done);
    complete(0, Status::no_space);
    EXPECT_TRUE(call.is_done);
    EXPECT_EQ(call.request.status, Status::write_error);
}

TEST_F(StackTest, AFamilyMayEndOnTheSpot) {
    const TestClient::Buffer buffer(512, std::byte{1});
    channels_[0]->status = Status::no_space;
    TestClient::Call call(Op::write, 0, 1, {&buffer.piece, 1});
    EXPECT_EQ(client_->submit(call), Progress::done);
    EXPECT_EQ(call.request.status, Status::no_space);
    EXPECT_EQ(channel().ended, 2U);
}

TEST_F(StackTest, WhatABaseCannotTakeWaitsInOrder) {
    const TestClient::Buffer buffer(512, std::byte{1});
    channels_[0]->next = Progress::retry;
    channels_[1]->next = Progress::pending;
    std::vector<std::unique_ptr<TestClient::Call>> calls;
    for (uint64_t lba = 0; lba < 40; ++lba) {
        calls.push_back(std::make_unique<TestClient::Call>(Op::write, lba, 1, std::span(&buffer.piece, 1)));
        EXPECT_EQ(client_->submit(*calls.back()), Progress::pending);
    }
    world_.turn();
    channels_[0]->next = Progress::pending;
    world_.turn();
    ASSERT_EQ(channels_[0]->started.size(), 40U);
    for (uint64_t lba = 0; lba < 40; ++lba) EXPECT_EQ(channels_[0]->started[lba]->lba, lba);
    for (const auto& call : calls) {
        complete(0, Status::success);
        complete(1, Status::success);
        EXPECT_EQ(client_->finish(*call), Status::success);
    }
    EXPECT_EQ(channel().children_of(0), 0U);
}

TEST_F(StackTest, WhoWaitsForABaseCanBeAborted) {
    const TestClient::Buffer buffer(512, std::byte{1});
    channels_[0]->next = Progress::retry;
    TestClient::Call call(Op::write, 0, 1, {&buffer.piece, 1});
    EXPECT_EQ(client_->submit(call), Progress::pending);
    EXPECT_TRUE(world_.as(client_->thread(), [&] { return client_->channel().abort(call.request); }));
    EXPECT_EQ(client_->finish(call), Status::aborted);
}

TEST_F(StackTest, NoMoreChildrenThanTheLimit) {
    channels_[1]->next = Progress::pending;
    std::vector<std::unique_ptr<TestClient::Call>> calls;
    for (size_t count = 0; count < StackedChannel::children_max; ++count) {
        calls.push_back(std::make_unique<TestClient::Call>(Op::verify, 0, 1));
        ASSERT_EQ(client_->submit(*calls.back()), Progress::pending);
    }
    TestClient::Call one_more(Op::verify, 0, 1);
    EXPECT_EQ(client_->submit(one_more), Progress::retry);
    for (const auto& call : calls) {
        complete(1, Status::success);
        EXPECT_EQ(client_->finish(*call), Status::success);
    }
}

TEST_F(StackTest, BasesAreClaimedAndTheirRemovalRemovesTheDevice) {
    EXPECT_EQ(fakes_[0]->claimed_by(), "pair");
    world_.as(world_.app(), [&] {
        EXPECT_EQ(Base::open(registry_, "left", "other").error().code, Errc::busy);
        EXPECT_EQ(Base::open(registry_, "nobody", "other").error().code, Errc::no_such_device);
    });
    client_.reset();
    EXPECT_TRUE(world_.run(registry_.remove("right")).has_value());
    EXPECT_EQ(registry_.find("pair"), nullptr);
    EXPECT_EQ(fakes_[0]->claimed_by(), "");
}

TEST_F(StackTest, ResizesOfABaseAreTold) {
    world_.as(world_.app(), [&] {
        fakes_[1]->resize(2000);
        registry_.notify_resized(*fakes_[1]);
    });
    EXPECT_TRUE(world_.wait_for([&] { return pair_->resizes == 1; }));
}

TEST_F(StackTest, CutsDataIntoWholeBlocks) {
    std::minstd_rand random(1);
    const TestClient::Buffer buffer(64 * 512, std::byte{0});
    for (int round = 0; round < 200; ++round) {
        const size_t unit = round % 2 == 0 ? 512 : 64;
        const std::vector<iovec> data = cut_up(buffer.bytes(), unit, random);
        DataCursor cursor(data);
        uint64_t blocks = 0;
        const std::byte* expected = buffer.bytes().data();
        while (blocks < 64) {
            Child child;
            const uint64_t taken = PairChannel::take_pieces(child, cursor, 512, std::min<uint64_t>(64 - blocks, 9));
            ASSERT_GT(taken, 0U);
            ASSERT_LE(taken, 9U);
            uint64_t bytes = 0;
            for (const iovec& piece : child.data) {
                ASSERT_EQ(piece.iov_base, expected);
                expected += piece.iov_len;
                bytes += piece.iov_len;
            }
            ASSERT_EQ(bytes, taken * 512);
            blocks += taken;
        }
    }
    std::vector<iovec> crumbs;
    for (size_t at = 0; at < 512; ++at) crumbs.push_back({.iov_base = buffer.bytes().data() + at, .iov_len = 1});
    DataCursor cursor(crumbs);
    Child child;
    EXPECT_EQ(PairChannel::take_pieces(child, cursor, 512, 1), 0U);
}

TEST_F(StackTest, TheControlPathReadsAndWrites) {
    const TestClient::Buffer buffer(4 * 512, std::byte{1});
    EXPECT_EQ(world_.run(read_blocks(registry_, *fakes_[0], 5, buffer.bytes())), Status::success);
    EXPECT_EQ(world_.run(read_blocks(registry_, *fakes_[0], 997, buffer.bytes())), Status::out_of_range);
    channels_[0]->status = Status::write_error;
    EXPECT_EQ(world_.run(write_blocks(registry_, *fakes_[0], 0, buffer.bytes())), Status::write_error);
    channels_[0]->status = Status::success;
    EXPECT_EQ(world_.run(flush_device(registry_, *fakes_[0])), Status::success);
}

// Makes a device "on X" of each device "X" of three blocks or more; reads first what it is.
class FindsSmaller final : public Examiner {
public:
    explicit FindsSmaller(Registry& registry) : registry_(registry) {}
    void examine_config(Device& device) override { configured.push_back(device.name()); }
    Task<void> examine_disk(std::string name) override {
        const TestClient::Buffer block(512, std::byte{0});
        {
            const auto descriptor = registry_.open(name, {});
            if (!descriptor || (*descriptor)->device().block_count() < 3) co_return;
            co_await read_blocks(registry_, (*descriptor)->device(), 0, block.bytes());
        }
        const Device* device = registry_.find(name);
        if (device == nullptr) co_return;
        const Geometry geometry{.block_bytes = 512, .block_count = device->block_count() - 1};
        static_cast<void>(registry_.add(std::make_unique<FakeDevice>("on " + name, Uuid(), geometry)));
    }
    std::vector<std::string> configured;

private:
    Registry& registry_;
};

TEST_F(StackTest, NewDevicesAreExamined) {
    auto& examiner = keep(std::make_unique<FindsSmaller>(registry_));
    world_.as(world_.app(), [&] {
        registry_.add_examiner(examiner);
        const Geometry geometry{.block_bytes = 512, .block_count = 4};
        ASSERT_TRUE(registry_.add(std::make_unique<FakeDevice>("disk", Uuid(), geometry)).has_value());
        EXPECT_TRUE(examiner.configured.empty()) << "whoever adds it has it first";
    });
    world_.run([](Registry& registry) -> Task<bool> {
        co_await registry.wait_for_examine();
        co_return true;
    }(registry_));
    EXPECT_NE(registry_.find("on on disk"), nullptr);
    EXPECT_EQ(registry_.find("on on on disk"), nullptr);
    EXPECT_EQ(examiner.configured, (std::vector<std::string>{"disk", "on disk", "on on disk"}));
}

// Goes on looking after it has returned.
class LooksLater final : public Examiner {
public:
    explicit LooksLater(Registry& registry) : registry_(registry) {}
    void examine_config(Device&) override {
        registry_.begin_examining();
        spawn([](LooksLater& self) -> Task<void> {
            co_await sleep_for(env::ns_per_ms);
            self.has_looked = true;
            self.registry_.end_examining();
        }(*this));
    }
    bool has_looked = false;

private:
    Registry& registry_;
};

TEST_F(StackTest, WhoGoesOnExaminingIsWaitedFor) {
    auto& examiner = keep(std::make_unique<LooksLater>(registry_));
    world_.as(world_.app(), [&] {
        registry_.add_examiner(examiner);
        ASSERT_TRUE(registry_.add(std::make_unique<FakeDevice>("disk")).has_value());
    });
    world_.run([](Registry& registry) -> Task<bool> {
        co_await registry.wait_for_examine();
        co_return true;
    }(registry_));
    EXPECT_TRUE(examiner.has_looked);
}

TEST_F(StackTest, ExaminesOnlyWhatWasNamedWhenNotAutomatic) {
    auto& examiner = keep(std::make_unique<FindsSmaller>(registry_));
    const Geometry geometry{.block_bytes = 512, .block_count = 3};
    world_.as(world_.app(), [&] {
        registry_.add_examiner(examiner);
        registry_.set_auto_examine(false);
        ASSERT_TRUE(registry_.add(std::make_unique<FakeDevice>("one", Uuid(), geometry)).has_value());
    });
    const auto examine = [&](std::string name) {
        world_.run([](Registry& registry, std::string named) -> Task<bool> {
            co_await registry.wait_for_examine();
            co_await registry.examine(std::move(named));
            co_return true;
        }(registry_, std::move(name)));
    };
    examine("two");
    EXPECT_EQ(registry_.find("on one"), nullptr);
    examine("one");
    EXPECT_NE(registry_.find("on one"), nullptr);
    world_.as(world_.app(),
              [&] { ASSERT_TRUE(registry_.add(std::make_unique<FakeDevice>("two", Uuid(), geometry)).has_value()); });
    EXPECT_TRUE(world_.wait_for([&] { return registry_.find("on two") != nullptr; }));
    EXPECT_EQ(examiner.configured.front(), "one") << "configurations are looked for in any case";
    world_.settle();
}

TEST_F(StackTest, ClaimsThatCanBeShared) {
    world_.as(world_.app(), [&] {
        ASSERT_TRUE(registry_.add(std::make_unique<FakeDevice>("disk")).has_value());
        auto one = *registry_.open("disk", {});
        auto two = *registry_.open("disk", {});
        EXPECT_TRUE(one->claim("one", ClaimType::read_many_write_none).has_value());
        EXPECT_TRUE(two->claim("two", ClaimType::read_many_write_none).has_value());
        EXPECT_FALSE(two->claim("two", ClaimType::read_many_write_none).has_value()) << "once each";
        EXPECT_EQ((*registry_.open("disk", {}))->claim("three").error().code, Errc::busy);
        one.reset();
        EXPECT_EQ(registry_.find("disk")->claim_type(), ClaimType::read_many_write_none);
        two.reset();
        EXPECT_EQ(registry_.find("disk")->claim_type(), ClaimType::none);
        auto three = *registry_.open("disk", {});
        auto four = *registry_.open("disk", {});
        EXPECT_TRUE(three->claim("three", ClaimType::read_many_write_shared, 5).has_value());
        EXPECT_FALSE(four->claim("four", ClaimType::read_many_write_shared, 6).has_value());
        EXPECT_TRUE(four->claim("four", ClaimType::read_many_write_shared, 5).has_value());
    });
}

}  // namespace
}  // namespace weft::bdev
