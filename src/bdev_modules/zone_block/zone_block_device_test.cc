#include "bdev_modules/zone_block/zone_block_device.h"

#include "bdev_modules/test_stack.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};
constexpr std::byte one{1};
constexpr std::byte two{2};

Json params(uint64_t capacity, uint64_t optimal = 1) {
    return {{"name", "top"}, {"base_bdev", "base"}, {"zone_capacity", capacity}, {"optimal_open_zones", optimal}};
}

class ZoneBlockTest : public TestStack {
protected:
    // Zones of 16 blocks, of which 12 can be written, on a disk of ones with room for eight and a half.
    void make() {
        make_ram_disk("base", 136);
        fill("base");
        ASSERT_EQ(*call("bdev_zone_block_create", params(12, 3)), Json("top"));
        attach();
    }
    void fill(const std::string& name) {
        TestClient client(world_, *devices_.find(name));
        ASSERT_EQ(client.write(0, client.device().block_count(), one), Status::success);
    }
    void attach() {
        device_ = static_cast<ZoneBlockDevice*>(devices_.find("top"));
        client_.emplace(world_, *device_);
    }
    void TearDown() override {
        client_.reset();
        TestStack::TearDown();
    }
    Status manage(ZoneAction action, uint64_t zone, bool all = false) {
        TestClient::Call call(Op::zone_management, zone * 16, 0);
        call.request.zone_action = action;
        call.request.all_zones = all;
        return client_->run(call);
    }
    Status append(uint64_t zone, uint64_t blocks, std::byte fill, uint64_t& where) {
        const TestClient::Buffer buffer(blocks * 512, fill);
        TestClient::Call call(Op::zone_append, zone * 16, blocks, {&buffer.piece, 1});
        const Status status = client_->run(call);
        where = call.request.lba;
        return status;
    }
    [[nodiscard]] ZoneState state(uint64_t zone) const { return device_->zone(zone).state; }
    [[nodiscard]] uint64_t written(uint64_t zone) const { return device_->zone(zone).write_pointer - zone * 16; }

    ZoneBlockDevice* device_ = nullptr;
    std::optional<TestClient> client_;
};

TEST_F(ZoneBlockTest, FollowsItsBase) {
    expect_follows_its_base("top", "bdev_zone_block_create", "bdev_zone_block_delete", params(16), "zone_block");
}

TEST_F(ZoneBlockTest, ZonesAreFullAtFirstAndShowWhatIsThere) {
    make();
    EXPECT_EQ(device_->block_count(), 128U);
    EXPECT_EQ(device_->zone_geometry().zone_count, 8U);
    for (uint64_t zone = 0; zone < 8; ++zone) EXPECT_EQ(state(zone), ZoneState::full);
    EXPECT_TRUE(client_->reads(0, 12, one));
    EXPECT_EQ(client_->write(0, 1, two), Status::zone_full);
    Json facts = Json::object();
    device_->describe(facts);
    EXPECT_EQ(dump_json(facts),
              R"({"zoned_block":{"name":"top","base_bdev":"base","zone_capacity":12,"optimal_open_zones":3}})");
}

TEST_F(ZoneBlockTest, WhatLiesBehindTheCapacityIsNotShown) {
    make();
    const TestClient::Buffer buffer(128 * 512, two);
    std::minstd_rand random(1);
    EXPECT_EQ(client_->run(Op::read, 0, 128, cut_up(buffer.bytes(), 64, random)), Status::success);
    for (uint64_t block = 0; block < 128; ++block) {
        ASSERT_EQ(buffer.bytes()[block * 512 + 511], block % 16 < 12 ? one : zero) << block;
    }
    EXPECT_EQ(client_->compare(0, 12, one), Status::success);
    EXPECT_EQ(client_->compare(0, 13, one), Status::zone_boundary);
}

TEST_F(ZoneBlockTest, IsWrittenFromFrontToBackAfterAReset) {
    make();
    ASSERT_EQ(manage(ZoneAction::reset, 1), Status::success);
    EXPECT_EQ(state(1), ZoneState::empty);
    EXPECT_TRUE(client_->reads(16, 16, zero)) << "the base has forgotten it";
    EXPECT_TRUE(client_->reads(0, 12, one)) << "and not its neighbour";
    EXPECT_EQ(client_->write(17, 1, two), Status::zone_invalid_write);
    EXPECT_EQ(client_->write(16, 4, two), Status::success);
    EXPECT_EQ(state(1), ZoneState::implicitly_opened);
    EXPECT_EQ(written(1), 4U);
    EXPECT_EQ(client_->write(20, 9, two), Status::zone_boundary);
    EXPECT_EQ(client_->run(Op::write_zeroes, 20, 2), Status::success);
    EXPECT_EQ(client_->write(22, 6, two), Status::success);
    EXPECT_EQ(state(1), ZoneState::full);
    EXPECT_TRUE(client_->reads(16, 4, two));
    EXPECT_TRUE(client_->reads(20, 2, zero));
    EXPECT_TRUE(client_->reads(22, 6, two));
    EXPECT_EQ(client_->write(128, 1, one), Status::out_of_range);
    TestClient base(world_, *devices_.find("base"));
    EXPECT_TRUE(base.reads(22, 6, two)) << "where the field's has it too";
}

TEST_F(ZoneBlockTest, AppendTellsWhereTheDataWent) {
    make();
    ASSERT_EQ(manage(ZoneAction::reset, 2), Status::success);
    uint64_t where = 0;
    EXPECT_EQ(append(2, 5, one, where), Status::success);
    EXPECT_EQ(where, 32U);
    EXPECT_EQ(append(2, 7, two, where), Status::success);
    EXPECT_EQ(where, 37U);
    EXPECT_EQ(append(2, 1, two, where), Status::zone_full);
    EXPECT_TRUE(client_->reads(37, 7, two));
}

TEST_F(ZoneBlockTest, ZonesAreOpenedClosedAndFinished) {
    make();
    ASSERT_EQ(manage(ZoneAction::reset, 0, true), Status::success);
    for (uint64_t zone = 0; zone < 8; ++zone) EXPECT_EQ(state(zone), ZoneState::empty);
    EXPECT_TRUE(client_->reads(0, 128, zero));
    EXPECT_EQ(manage(ZoneAction::open, 3), Status::success);
    EXPECT_EQ(state(3), ZoneState::explicitly_opened);
    EXPECT_EQ(manage(ZoneAction::close, 3), Status::success);
    EXPECT_EQ(state(3), ZoneState::closed);
    EXPECT_EQ(manage(ZoneAction::finish, 3), Status::success);
    EXPECT_EQ(state(3), ZoneState::full);
    EXPECT_EQ(manage(ZoneAction::open, 3), Status::zone_invalid_transition);
    EXPECT_EQ(manage(ZoneAction::close, 4), Status::zone_invalid_transition);
}

TEST_F(ZoneBlockTest, AWriteThatFailsLeavesTheWritePointer) {
    FakeDevice& fake = make_fake("base");
    ASSERT_TRUE(call("bdev_zone_block_create", params(16)).has_value());
    attach();
    FakeChannel& below = channel_of(fake, *client_);
    ASSERT_EQ(manage(ZoneAction::reset, 0), Status::success);
    below.status = Status::write_error;
    EXPECT_EQ(client_->write(0, 4, one), Status::write_error);
    EXPECT_EQ(written(0), 0U);
    below.status = Status::success;
    EXPECT_EQ(client_->write(0, 4, one), Status::success);
    EXPECT_EQ(written(0), 4U);
    below.status = Status::write_error;
    EXPECT_EQ(manage(ZoneAction::reset, 0), Status::write_error);
    EXPECT_EQ(written(0), 4U) << "it is as it was";
    EXPECT_EQ(manage(ZoneAction::reset, 0, true), Status::write_error);
    EXPECT_EQ(state(1), ZoneState::full);
    below.status = Status::success;
    EXPECT_EQ(manage(ZoneAction::reset, 0, true), Status::success);
    EXPECT_EQ(state(61), ZoneState::empty);
}

TEST_F(ZoneBlockTest, NobodyWritesWhileAZoneIsWrittenOrEmptied) {
    FakeDevice& fake = make_fake("base");
    ASSERT_TRUE(call("bdev_zone_block_create", params(16)).has_value());
    attach();
    FakeChannel& below = channel_of(fake, *client_);
    below.next = Progress::pending;
    TestClient::Call reset(Op::zone_management, 0, 0);
    reset.request.zone_action = ZoneAction::reset;
    ASSERT_EQ(client_->submit(reset), Progress::pending);
    ASSERT_EQ(below.started.size(), 1U);
    EXPECT_EQ(below.started[0]->op, Op::unmap);
    const TestClient::Buffer buffer(512, one);
    TestClient::Call write(Op::zone_append, 0, 1, {&buffer.piece, 1});
    // It is full until it is empty, and nobody may manage it meanwhile.
    EXPECT_EQ(client_->submit(write), Progress::done);
    EXPECT_EQ(write.request.status, Status::zone_full);
    TestClient::Call again(Op::zone_management, 0, 0);
    again.request.zone_action = ZoneAction::reset;
    EXPECT_EQ(client_->submit(again), Progress::retry);
    TestClient::Call all(Op::zone_management, 0, 0);
    all.request.zone_action = ZoneAction::reset;
    all.request.all_zones = true;
    EXPECT_EQ(client_->submit(all), Progress::retry);
    const auto complete = [&](Status status) {
        world_.as(client_->thread(), [&] { below.complete(*below.started.front(), status); });
    };
    complete(Status::success);
    EXPECT_EQ(client_->finish(reset), Status::success);
    ASSERT_EQ(client_->submit(write), Progress::pending);
    TestClient::Call second(Op::zone_append, 0, 1, {&buffer.piece, 1});
    EXPECT_EQ(client_->submit(second), Progress::retry) << "one after another";
    EXPECT_EQ(client_->submit(all), Progress::retry);
    complete(Status::success);
    EXPECT_EQ(client_->finish(write), Status::success);
    // A reset of all goes from zone to zone.
    ASSERT_EQ(client_->submit(all), Progress::pending);
    for (uint64_t zone = 0; zone < 62; ++zone) {
        ASSERT_EQ(below.started.size(), 1U);
        EXPECT_EQ(below.started[0]->lba, zone * 16);
        complete(Status::success);
    }
    EXPECT_EQ(client_->finish(all), Status::success);
    below.next = Progress::done;
}

TEST_F(ZoneBlockTest, WhatCannotBeIsRefused) {
    const auto refuses = [this](const Json& wrong) {
        const rpc::Response answer = call("bdev_zone_block_create", wrong);
        if (answer) return testing::AssertionFailure() << "made";
        if (answer.error().code == rpc::code::internal_error &&
            answer.error().message.starts_with("Failed to create block zoned vbdev: ")) {
            return testing::AssertionSuccess();
        }
        return testing::AssertionFailure() << answer.error().message;
    };
    make_ram_disk("base", 100);
    EXPECT_TRUE(refuses(params(0)));
    EXPECT_TRUE(refuses(params(16, 0)));
    EXPECT_TRUE(refuses(params(101)));
    EXPECT_TRUE(refuses(params(UINT64_MAX)));
    TearDown();
    ASSERT_TRUE(call("bdev_malloc_create", {{"name", "base"}, {"num_blocks", 100}, {"block_size", 512}, {"md_size", 8}})
                    .has_value());
    EXPECT_TRUE(refuses(params(16))) << "metadata";
    TearDown();
    ASSERT_TRUE(call("weft_zoned_create", {{"name", "base"}, {"block_size", 512}, {"num_zones", 4}, {"zone_size", 16}})
                    .has_value());
    EXPECT_TRUE(refuses(params(16))) << "zones already";
    TearDown();
    ASSERT_TRUE(call("bdev_null_create", {{"name", "base"}, {"num_blocks", 1000000}, {"block_size", 512}}).has_value());
    EXPECT_TRUE(refuses(params(1))) << "too many zones";
    EXPECT_TRUE(saved().size() == 1);
}

}  // namespace
}  // namespace weft::bdev
