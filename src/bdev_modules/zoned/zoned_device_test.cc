#include "bdev_modules/zoned/zoned_device.h"

#include <gtest/gtest.h>

#include "bdev/test_client.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};
constexpr std::byte one{1};
constexpr std::byte two{2};

class ZonedTest : public testing::Test {
protected:
    // Zones of 16 blocks, of which 12 can be written.
    void SetUp() override {
        auto made = world_.as(world_.app(), [this] {
            return create_zoned_device(registry_, {.name = "zoned",
                                                   .block_bytes = 512,
                                                   .zone_count = 8,
                                                   .zone_blocks = 16,
                                                   .capacity_blocks = 12,
                                                   .active_max = 3,
                                                   .open_max = 2});
        });
        ASSERT_TRUE(made.has_value());
        device_ = static_cast<ZonedDevice*>(*made);
        client_ = std::make_unique<TestClient>(world_, *device_);
    }
    void TearDown() override {
        client_.reset();
        EXPECT_TRUE(world_.run(registry_.remove("zoned")).has_value());
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

    TestRuntime world_;
    Registry registry_;
    ZonedDevice* device_ = nullptr;
    std::unique_ptr<TestClient> client_;
};

TEST_F(ZonedTest, IsWrittenFromFrontToBack) {
    EXPECT_TRUE(client_->reads(0, 128, zero));
    EXPECT_EQ(client_->write(1, 1, one), Status::zone_invalid_write);
    EXPECT_EQ(client_->write(0, 4, one), Status::success);
    EXPECT_EQ(state(0), ZoneState::implicitly_opened);
    EXPECT_EQ(written(0), 4U);
    EXPECT_EQ(client_->write(0, 4, one), Status::zone_invalid_write);
    EXPECT_EQ(client_->write(4, 9, one), Status::zone_boundary);
    EXPECT_EQ(client_->write(4, 8, two), Status::success);
    EXPECT_EQ(state(0), ZoneState::full);
    EXPECT_EQ(client_->write(12, 1, one), Status::zone_full);
    EXPECT_TRUE(client_->reads(0, 4, one));
    EXPECT_TRUE(client_->reads(4, 8, two));
    EXPECT_TRUE(client_->reads(12, 20, zero)) << "beyond the capacity, and the next zone";
    EXPECT_EQ(client_->compare(4, 8, two), Status::success);
    EXPECT_EQ(client_->compare(3, 8, two), Status::miscompare);
    EXPECT_EQ(client_->run(Op::verify, 0, 128), Status::success);
    EXPECT_EQ(client_->write(128, 1, one), Status::out_of_range);
}

TEST_F(ZonedTest, AResetZoneReadsAsZero) {
    ASSERT_EQ(client_->write(0, 12, one), Status::success);
    ASSERT_EQ(manage(ZoneAction::reset, 0), Status::success);
    EXPECT_EQ(state(0), ZoneState::empty);
    EXPECT_TRUE(client_->reads(0, 16, zero));
    ASSERT_EQ(client_->write(0, 1, two), Status::success);
    EXPECT_TRUE(client_->reads(0, 1, two));
    EXPECT_TRUE(client_->reads(1, 15, zero)) << "not what was there before the reset";
    ASSERT_EQ(client_->run(Op::write_zeroes, 1, 3), Status::success);
    EXPECT_EQ(written(0), 4U);
    EXPECT_TRUE(client_->reads(1, 3, zero));
}

TEST_F(ZonedTest, AppendTellsWhereTheDataWent) {
    uint64_t where = 0;
    EXPECT_EQ(append(2, 5, one, where), Status::success);
    EXPECT_EQ(where, 32U);
    EXPECT_EQ(append(2, 5, two, where), Status::success);
    EXPECT_EQ(where, 37U);
    EXPECT_EQ(append(2, 3, two, where), Status::zone_boundary);
    EXPECT_EQ(append(2, 2, two, where), Status::success);
    EXPECT_EQ(append(2, 1, two, where), Status::zone_full);
    EXPECT_TRUE(client_->reads(32, 5, one));
    EXPECT_TRUE(client_->reads(37, 7, two));
}

TEST_F(ZonedTest, OpenAndActiveZonesAreLimited) {
    ASSERT_EQ(manage(ZoneAction::open, 0), Status::success);
    ASSERT_EQ(manage(ZoneAction::open, 1), Status::success);
    EXPECT_EQ(manage(ZoneAction::open, 2), Status::too_many_open_zones);
    EXPECT_EQ(client_->write(32, 1, one), Status::too_many_open_zones);
    ASSERT_EQ(manage(ZoneAction::close, 1), Status::success);
    EXPECT_EQ(state(1), ZoneState::closed);
    EXPECT_EQ(client_->write(32, 1, one), Status::success);
    EXPECT_EQ(client_->write(48, 1, one), Status::too_many_active_zones);
    ASSERT_EQ(manage(ZoneAction::reset, 1), Status::success);
    // Zone 2, opened by a write, makes room.
    EXPECT_EQ(client_->write(48, 1, one), Status::success);
    EXPECT_EQ(state(2), ZoneState::closed);
    EXPECT_EQ(state(3), ZoneState::implicitly_opened);
    EXPECT_EQ(manage(ZoneAction::open, 0, true), Status::too_many_open_zones) << "all or none";
    EXPECT_EQ(state(2), ZoneState::closed);
}

TEST_F(ZonedTest, EveryTransitionIsTheSpecifications) {
    using enum ZoneState;
    const auto bring_to = [this](uint64_t zone, ZoneState wanted) {
        switch (wanted) {
            case empty: break;
            case implicitly_opened: ASSERT_EQ(client_->write(zone * 16, 1, one), Status::success); break;
            case explicitly_opened: ASSERT_EQ(manage(ZoneAction::open, zone), Status::success); break;
            case closed:
                ASSERT_EQ(manage(ZoneAction::open, zone), Status::success);
                ASSERT_EQ(manage(ZoneAction::close, zone), Status::success);
                break;
            case full: ASSERT_EQ(manage(ZoneAction::finish, zone), Status::success); break;
            case read_only:
            case offline: device_->table().fail_zone(zone, wanted); break;
        }
        ASSERT_EQ(state(zone), wanted);
    };
    constexpr ZoneState none{};
    struct Row {
        ZoneState from;
        ZoneState to[5];  // by ZoneAction; `none`: an invalid transition
    };
    const Row rows[] = {
        {empty, {explicitly_opened, none, full, empty, none}},
        {implicitly_opened, {explicitly_opened, closed, full, empty, none}},
        {explicitly_opened, {explicitly_opened, closed, full, empty, none}},
        {closed, {explicitly_opened, closed, full, empty, none}},
        {full, {none, none, full, empty, none}},
        {read_only, {none, none, none, none, offline}},
        {offline, {none, none, none, none, offline}},
    };
    for (const Row& row : rows) {
        for (size_t action = 0; action < std::size(row.to); ++action) {
            TearDown();
            SetUp();
            bring_to(5, row.from);
            const Status outcome = manage(static_cast<ZoneAction>(action), 5);
            const bool is_valid = row.to[action] != none;
            EXPECT_EQ(outcome, is_valid ? Status::success : Status::zone_invalid_transition)
                << static_cast<int>(row.from) << " action " << action;
            EXPECT_EQ(state(5), is_valid ? row.to[action] : row.from);
        }
    }
}

TEST_F(ZonedTest, ZonesThatGaveUp) {
    ASSERT_EQ(client_->write(0, 2, one), Status::success);
    device_->table().fail_zone(0, ZoneState::read_only);
    EXPECT_TRUE(client_->reads(0, 2, one));
    EXPECT_EQ(client_->write(2, 1, one), Status::zone_read_only);
    ASSERT_EQ(manage(ZoneAction::offline, 0, true), Status::success);
    EXPECT_EQ(state(0), ZoneState::offline);
    EXPECT_EQ(client_->write(2, 1, one), Status::zone_offline);
    EXPECT_EQ(client_->run(Op::verify, 0, 1), Status::zone_offline);
}

TEST_F(ZonedTest, AllZonesAtOnce) {
    ASSERT_EQ(client_->write(0, 1, one), Status::success);
    ASSERT_EQ(client_->write(16, 12, one), Status::success);
    ASSERT_EQ(manage(ZoneAction::open, 2), Status::success);
    ASSERT_EQ(manage(ZoneAction::close, 0, true), Status::success);
    EXPECT_EQ(state(0), ZoneState::closed);
    EXPECT_EQ(state(1), ZoneState::full);
    EXPECT_EQ(state(2), ZoneState::closed);
    EXPECT_EQ(state(3), ZoneState::empty);
    ASSERT_EQ(manage(ZoneAction::finish, 0, true), Status::success);
    EXPECT_EQ(state(0), ZoneState::full);
    EXPECT_EQ(state(3), ZoneState::empty);
    ASSERT_EQ(manage(ZoneAction::reset, 0, true), Status::success);
    for (uint64_t zone = 0; zone < 8; ++zone) EXPECT_EQ(state(zone), ZoneState::empty);
}

TEST(ZonedOptions, BadOnesAreRefused) {
    TestRuntime world;
    Registry registry;
    const auto is_refused = [&](ZonedOptions options) {
        return world.as(world.app(), [&] { return !create_zoned_device(registry, std::move(options)); });
    };
    const ZonedOptions good = {.name = "z", .block_bytes = 512, .zone_count = 4, .zone_blocks = 16};
    const auto with = [&good](auto change) {
        ZonedOptions changed = good;
        change(changed);
        return changed;
    };
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.name.clear(); })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.block_bytes = 500; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.zone_count = 0; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.zone_count = zones_max + 1; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.zone_blocks = 0; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.zone_blocks = 24; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.zone_blocks = uint64_t{1} << 63; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) { o.capacity_blocks = 17; })));
    EXPECT_TRUE(is_refused(with([](ZonedOptions& o) {
        o.active_max = 2;
        o.open_max = 3;
    })));
}

}  // namespace
}  // namespace weft::bdev
