// Bases that fail, go and come while a raid is in use.
#include "bdev_modules/raid/test_disks.h"

namespace weft::bdev {
namespace {

class RaidFailure : public RaidWorld {};

// Writes and reads as long as it lives, with a model; two of them share no blocks.
class Load {
public:
    Load(TestRuntime& world, Device& device, size_t reactor, uint64_t begin, uint64_t end, uint32_t seed,
         uint64_t unit = 1)
        : client_(world, device, reactor),
          begin_(begin),
          end_(end),
          unit_(unit),
          random_(seed),
          model_((end - begin) * 512) {}
    // One turn of its own; false when something was wrong.
    void turn() {
        if (call_ && !call_->is_done) {
            if (is_taken_) return;
            is_taken_ = client_.submit(*call_) != Progress::retry;
            return;
        }
        if (call_) judge();
        const uint64_t units = (end_ - begin_) / unit_;
        const uint64_t first = random_() % units;
        lba_ = begin_ + first * unit_;
        const uint64_t blocks = (1 + random_() % std::min<uint64_t>(units - first, 8)) * unit_;
        const Op op = random_() % 2 == 0 ? Op::read : Op::write;
        buffer_.emplace(blocks * 512, static_cast<std::byte>(random_()));
        call_.emplace(op, lba_, blocks, std::span(&buffer_->piece, 1));
        is_taken_ = client_.submit(*call_) != Progress::retry;
    }
    void finish(TestRuntime& world) {
        while (call_ && !call_->is_done) {
            turn();
            world.turn();
        }
        if (call_) judge();
        call_.reset();
    }
    uint64_t done = 0;

private:
    void judge() {
        ++done;
        ASSERT_EQ(call_->request.status, Status::success) << name_of(call_->request.op);
        const MutableBytes place = MutableBytes(model_).subspan((lba_ - begin_) * 512, buffer_->bytes().size());
        if (call_->request.op == Op::write) {
            std::ranges::copy(buffer_->bytes(), place.begin());
        } else {
            ASSERT_TRUE(std::ranges::equal(buffer_->bytes(), place)) << "at " << lba_;
        }
    }
    TestClient client_;
    uint64_t begin_, end_, unit_;
    std::minstd_rand random_;
    std::vector<std::byte> model_;
    std::optional<TestClient::Buffer> buffer_;
    std::optional<TestClient::Call> call_;
    uint64_t lba_ = 0;
    bool is_taken_ = false;
};

TEST_F(RaidFailure, AMirrorThatCannotReadIsRepaired) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    EXPECT_EQ(client().write(0, 64, std::byte{5}), Status::success);
    disk("A").bad_begin = 10;
    disk("A").bad_end = 12;
    EXPECT_TRUE(client().reads(8, 8, std::byte{5}));
    EXPECT_EQ(disk("A").bad_end, 0U) << "it was written again";
    EXPECT_TRUE(is_configured(0));
    disk("A").fails_reads = true;
    disk("B").fails_reads = true;
    EXPECT_FALSE(client().reads(8, 8, std::byte{5}));
    EXPECT_TRUE(is_configured(0)) << "nobody knows better";
}

TEST_F(RaidFailure, AMirrorThatCannotBeRepairedFails) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    disk("A").fails_reads = true;
    disk("A").fails_writes = true;
    EXPECT_TRUE(client().reads(8, 8, std::byte{0}));
    EXPECT_TRUE(world_.wait_for([this] { return !is_configured(0); }));
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 1);
    EXPECT_EQ(disk("A").claimed_by(), "");
}

TEST_F(RaidFailure, AWriteIsDoneWhenTheFailedMirrorIsOut) {
    add_disks(3, 4 * mib);
    ASSERT_TRUE(make(RaidLevel::raid1, 3, 0, true));
    disk("B").fails_writes = true;
    const TestClient::Buffer buffer(512, std::byte{9});
    TestClient::Call call(Op::write, 0, 1, {&buffer.piece, 1});
    EXPECT_EQ(client().submit(call), Progress::pending) << "the others do not say yet that B is none";
    EXPECT_EQ(client().finish(call), Status::success);
    EXPECT_FALSE(is_configured(1));
    const auto written = parse_superblock(Bytes(*disk("A").data).first(superblock_bytes_max));
    EXPECT_EQ((*written)->member_in(1)->state, MemberState::failed);
    EXPECT_EQ((*written)->sequence, 2U);
    EXPECT_EQ(*parse_superblock(Bytes(*disk("C").data).first(superblock_bytes_max)), *written);
}

TEST_F(RaidFailure, WhatAllMirrorsRefuseFailsAndNoneIsLost) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    disk("A").fails_writes = disk("B").fails_writes = true;
    EXPECT_EQ(client().write(0, 4, std::byte{1}), Status::write_error);
    EXPECT_TRUE(is_configured(0));
    EXPECT_TRUE(is_configured(1));
    disk("B").fails_writes = false;
    EXPECT_EQ(client().write(0, 4, std::byte{1}), Status::success);
    EXPECT_FALSE(is_configured(0));
    disk("B").fails_writes = true;
    EXPECT_EQ(client().write(0, 4, std::byte{1}), Status::write_error) << "the last one";
    EXPECT_EQ(array().state(), RaidState::online);
}

TEST_F(RaidFailure, Raid5fLosesOneAndNotASecond) {
    add_disks(3);
    ASSERT_TRUE(make(RaidLevel::raid5f, 3, 1));
    disk("C").fails_writes = true;
    EXPECT_EQ(client().write(0, 40, std::byte{1}), Status::success);
    EXPECT_FALSE(is_configured(2));
    disk("A").fails_writes = true;
    EXPECT_EQ(client().write(0, 40, std::byte{2}), Status::write_error);
    EXPECT_TRUE(is_configured(0));
    EXPECT_EQ(array().state(), RaidState::online);
}

TEST_F(RaidFailure, HotRemovalUnderLoadLosesNothing) {
    add_disks(3, 512);
    ASSERT_TRUE(make(RaidLevel::raid1, 3));
    slow(true);
    Load one(world_, raid(), 0, 0, 256, 1);
    Load two(world_, raid(), 1, 256, 512, 2);
    const auto run = [&](uint64_t until) {
        while (one.done + two.done < until) {
            one.turn();
            two.turn();
            world_.turn();
        }
    };
    run(200);
    bool is_gone = false;
    world_.as(world_.app(), [&] {
        spawn([](Registry& registry, bool& gone) -> Task<void> {
            static_cast<void>(co_await registry.remove("B"));
            gone = true;
        }(registry_, is_gone));
    });
    while (!is_gone) run(one.done + two.done + 20);
    run(800);
    EXPECT_EQ(facts()["num_base_bdevs_discovered"], 2);
    one.finish(world_);
    two.finish(world_);
    EXPECT_EQ(*disk("A").data, *disk("C").data);
}

// The channels hear of it one after another: nobody may read what another one has stopped to write.
TEST_F(RaidFailure, WhatOneChannelWroteTheOthersReadWhileABaseIsTakenOut) {
    for (const RaidLevel level : {RaidLevel::raid1, RaidLevel::raid5f}) {
        const bool is_mirror = level == RaidLevel::raid1;
        SCOPED_TRACE(name_of(level));
        add_disks(3);
        ASSERT_TRUE(make(level, 3, is_mirror ? 0 : 1));
        const uint64_t blocks = is_mirror ? 1 : 4;
        {
            TestClient first(world_, raid(), 1);  // it hears of it a turn before the other
            TestClient second(world_, raid(), 0);
            uint8_t last = 0;
            const auto exchange = [&](TestClient& writer, TestClient& reader) {
                const TestClient::Buffer in(blocks * 512, std::byte{++last});
                const TestClient::Buffer out(blocks * 512, std::byte{0});
                TestClient::Call write(Op::write, 0, blocks, {&in.piece, 1});
                TestClient::Call read(Op::read, 0, blocks, {&out.piece, 1});
                ASSERT_EQ(writer.submit(write), Progress::done) << "no turn passes between the two";
                ASSERT_EQ(reader.submit(read), Progress::done);
                ASSERT_TRUE(std::ranges::equal(in.bytes(), out.bytes())) << "write " << static_cast<int>(last);
            };
            bool is_out = false;
            world_.as(world_.app(), [&] {
                spawn([](Raids& raids, bool& out) -> Task<void> {
                    EXPECT_TRUE(co_await raids.remove_base("A"));
                    out = true;
                }(*raids_, is_out));
            });
            while (!is_out && !HasFatalFailure()) {
                exchange(first, second);
                exchange(second, first);
                world_.turn();
            }
        }
        world_.run(ended(registry_.remove_all()));
        forget_all();
    }
}

TEST_F(RaidFailure, RebuildUnderLoadMakesMirrorsAlike) {
    add_disks(3, 2048);
    raids_->mutable_options().process_window_size_kb = 16;
    ASSERT_TRUE(make(RaidLevel::raid1, 3));
    ASSERT_TRUE(remove_base("A"));
    EXPECT_EQ(disk("A").claimed_by(), "");
    EXPECT_EQ(facts()["base_bdevs_list"][0]["name"], Json());
    std::ranges::fill(*disk("A").data, std::byte{0xAA});
    slow(true);
    Load one(world_, raid(), 0, 0, 1024, 1);
    Load two(world_, raid(), 1, 1024, 2048, 2);
    ASSERT_TRUE(add_base("A")) << last_error_;
    EXPECT_EQ(facts()["process"]["target"], "A");
    EXPECT_FALSE(add_base("X"));
    EXPECT_NE(last_error_.find("rebuild"), std::string::npos);
    uint64_t last = 0;
    while (is_rebuilding()) {
        one.turn();
        two.turn();
        world_.turn();
        if (!is_rebuilding()) break;
        const uint64_t blocks = facts()["process"]["progress"]["blocks"];
        EXPECT_GE(blocks, last);
        last = blocks;
    }
    EXPECT_GT(one.done + two.done, 20U);
    one.finish(world_);
    two.finish(world_);
    EXPECT_EQ(*disk("A").data, *disk("B").data);
    EXPECT_EQ(*disk("A").data, *disk("C").data);
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 3);
}

TEST_F(RaidFailure, RebuildOfRaid5fUnderLoad) {
    add_disks(4, 512);
    raids_->mutable_options().process_window_size_kb = 6;
    ASSERT_TRUE(make(RaidLevel::raid5f, 4, 1));
    const uint64_t stripe = 6;
    ASSERT_TRUE(remove_base("C"));
    std::ranges::fill(*disk("C").data, std::byte{0xAA});
    slow(true);
    Load one(world_, raid(), 0, 0, 127 * stripe, 1, stripe);
    Load two(world_, raid(), 1, 127 * stripe, 254 * stripe, 2, stripe);
    ASSERT_TRUE(add_base("C")) << last_error_;
    while (is_rebuilding()) {
        one.turn();
        two.turn();
        world_.turn();
    }
    one.finish(world_);
    two.finish(world_);
    for (size_t at = 0; at < 512 * 512; ++at) {
        std::byte sum{0};
        for (const char* name : {"A", "B", "C", "D"}) sum ^= (*disk(name).data)[at];
        ASSERT_EQ(sum, std::byte{0}) << at;
    }
}

TEST_F(RaidFailure, TheTargetOfARebuildMayGo) {
    add_disks(2, 2048);
    raids_->mutable_options() = {.process_window_size_kb = 4, .process_max_bandwidth_mb_sec = 1};
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    ASSERT_TRUE(remove_base("B"));
    ASSERT_TRUE(add_base("B"));
    world_.turn();
    EXPECT_TRUE(is_rebuilding());
    remove_disk("B");
    EXPECT_FALSE(is_rebuilding());
    EXPECT_EQ(array().state(), RaidState::online);
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 1);
    add_disk("E", 2048);
    disk("E").fails_writes = true;
    ASSERT_TRUE(add_base("E"));
    EXPECT_TRUE(world_.wait_for([this] { return !is_configured(1); }));
    EXPECT_EQ(disk("E").claimed_by(), "");
}

// Nobody can be told that it failed. On the others it is none yet, so it need not be said.
TEST_F(RaidFailure, TheTargetOfARebuildFailsWhereNoSuperblockCanBeWritten) {
    add_disks(2, 4 * mib);
    raids_->mutable_options() = {.process_window_size_kb = 4, .process_max_bandwidth_mb_sec = 1};
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    ASSERT_TRUE(remove_base("B"));
    ASSERT_TRUE(add_base("B"));
    EXPECT_TRUE(is_rebuilding());
    disk("A").fails_writes = disk("B").fails_writes = true;
    EXPECT_TRUE(world_.wait_for([this] { return !is_configured(1); }));
    EXPECT_FALSE(is_rebuilding());
    EXPECT_EQ(disk("B").claimed_by(), "");
    disk("A").fails_writes = disk("B").fails_writes = false;
    raids_->mutable_options() = {};
    ASSERT_TRUE(add_base("B")) << last_error_;
    EXPECT_TRUE(rebuilt());
    EXPECT_TRUE(is_configured(1));
}

// On the others it is whole by then, and nobody can be told that it is not: it is filled again, until that can be said.
TEST_F(RaidFailure, TheSuperblockOfTheTargetCannotBeWrittenWhenItIsFilled) {
    add_disks(2, 3 * mib);
    raids_->mutable_options() = {.process_window_size_kb = 4, .process_max_bandwidth_mb_sec = 0};
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    ASSERT_TRUE(remove_base("B"));
    ASSERT_TRUE(add_base("B")) << last_error_;
    ASSERT_TRUE(is_rebuilding());
    disk("B").refuses_end = 8;
    disk("A").writes_left = 1;  // that B is whole
    const uint64_t one_rebuild = 2 * mib / 8;
    EXPECT_TRUE(world_.wait_for([&] { return disk("B").writes > 2 * one_rebuild; }));
    EXPECT_TRUE(is_configured(1));
    EXPECT_TRUE(is_rebuilding());
    disk("B").refuses_end = 0;
    disk("A").writes_left = UINT64_MAX;
    EXPECT_TRUE(rebuilt());
    const auto written_last = parse_superblock(Bytes(*disk("B").data).first(superblock_bytes_max));
    ASSERT_TRUE(written_last.has_value() && written_last->has_value());
    EXPECT_EQ((*written_last)->member_in(1)->state, MemberState::configured);
}

// If B counted now and went on alone, A, which says that it is the only one, would be the raid after a restart.
TEST_F(RaidFailure, ABaseIsNotWholeWhileOnlyItSaysSo) {
    add_disks(2, 3 * mib);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    ASSERT_TRUE(remove_base("B"));
    ASSERT_TRUE(add_base("B")) << last_error_;
    ASSERT_TRUE(is_rebuilding());
    disk("A").refuses_end = 8;
    const auto on = [this](const char* name) {
        return **parse_superblock(Bytes(*disk(name).data).first(superblock_bytes_max));
    };
    const auto percent = [this]() -> Json {
        return is_rebuilding() ? facts()["process"]["progress"]["percent"] : Json();
    };
    ASSERT_TRUE(world_.wait_for([&] { return percent() == 100; }));
    for (int turn = 0; turn < 100; ++turn) world_.turn();
    EXPECT_EQ(percent(), 100) << "it is filled, and goes on asking";
    EXPECT_EQ(on("B").member_in(1)->state, MemberState::missing);
    EXPECT_EQ(client().write(0, 8, std::byte{7}), Status::success);
    disk("A").fails_writes = true;
    EXPECT_EQ(client().write(0, 8, std::byte{8}), Status::write_error) << "B cannot stand for A";
    EXPECT_TRUE(is_configured(0));
    disk("A").fails_writes = false;
    disk("B").fails_writes = true;
    EXPECT_EQ(client().write(0, 8, std::byte{8}), Status::write_error) << "A may say that B is whole";
    EXPECT_TRUE(is_configured(1));
    disk("B").fails_writes = false;
    EXPECT_EQ(client().write(0, 8, std::byte{9}), Status::success);
    disk("A").refuses_end = 0;
    EXPECT_TRUE(rebuilt());
    for (const char* name : {"A", "B"}) {
        EXPECT_EQ(on(name).member_in(0)->state, MemberState::configured);
        EXPECT_EQ(on(name).member_in(1)->state, MemberState::configured);
    }
    EXPECT_TRUE(client().reads(0, 8, std::byte{9}));
}

// What failed may be written all the same: a base of which that is so is not left behind, since it might come back
// alone and be the raid, without what was written meanwhile.
TEST_F(RaidFailure, AMirrorWhoseSuperblockMayLieStays) {
    add_disks(2, 3 * mib);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    disk("B").fails_writes = true;
    disk("A").refuses_end = 8;
    EXPECT_EQ(client().write(0, 1, std::byte{1}), Status::write_error) << "that B failed cannot be said";
    EXPECT_TRUE(is_configured(1));
    disk("B").fails_writes = false;
    disk("A").fails_writes = true;
    EXPECT_EQ(client().write(0, 1, std::byte{2}), Status::write_error);
    EXPECT_TRUE(is_configured(0));
    EXPECT_FALSE(remove_base("A"));
    disk("A").fails_writes = false;
    EXPECT_EQ(client().write(0, 1, std::byte{3}), Status::success);
    disk("A").refuses_end = 0;
    EXPECT_TRUE(remove_base("A")) << "it says the truth again";
    EXPECT_EQ(client().write(0, 1, std::byte{4}), Status::success);
    const auto on = [this](const char* name) {
        return **parse_superblock(Bytes(*disk(name).data).first(superblock_bytes_max));
    };
    EXPECT_EQ(on("A").member_in(1)->state, MemberState::configured);
    EXPECT_EQ(on("B").member_in(0)->state, MemberState::missing);
    EXPECT_GT(on("B").sequence, on("A").sequence);
}

// A mirror that has gone must be struck out on another, or it would be as good as that one when both come back.
TEST_F(RaidFailure, TheRaidGoesWithAMirrorThatNobodyCanBeToldOf) {
    add_disks(2, 3 * mib);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    EXPECT_EQ(client().write(0, 8, std::byte{1}), Status::success);
    client_.reset();
    disk("A").refuses_end = 8;
    std::vector<std::byte> kept = *disk("B").data;
    remove_disk("B");
    EXPECT_EQ(array().state(), RaidState::offline);
    EXPECT_EQ(registry_.find("raid"), nullptr);
    disk("A").refuses_end = 0;
    add_disk("B", 3 * mib, 512, std::move(kept));
    EXPECT_TRUE(world_.wait_for([this] { return registry_.find("raid") != nullptr; })) << "it comes back with it";
    EXPECT_TRUE(client().reads(0, 8, std::byte{1}));
}

TEST_F(RaidFailure, TheRaidGoesWithAMirrorWhoseSuperblockMayLie) {
    add_disks(2, 3 * mib);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    disk("B").fails_writes = true;
    disk("A").refuses_end = 8;
    EXPECT_EQ(client().write(0, 1, std::byte{1}), Status::write_error);
    disk("B").fails_writes = false;
    EXPECT_EQ(client().write(0, 1, std::byte{2}), Status::success) << "both have it";
    client_.reset();
    remove_disk("A");
    EXPECT_EQ(array().state(), RaidState::offline);
}

TEST_F(RaidFailure, ASourceOfARebuildMayGo) {
    add_disks(3, 1024);
    raids_->mutable_options() = {.process_window_size_kb = 64, .process_max_bandwidth_mb_sec = 2};
    ASSERT_TRUE(make(RaidLevel::raid1, 3));
    EXPECT_EQ(client().write(0, 1024, std::byte{7}), Status::success);
    ASSERT_TRUE(remove_base("A"));
    std::ranges::fill(*disk("A").data, std::byte{0});
    ASSERT_TRUE(add_base("A"));
    remove_disk("B");
    EXPECT_TRUE(is_rebuilding()) << "it goes on from the other";
    ASSERT_TRUE(rebuilt());
    EXPECT_EQ(*disk("A").data, *disk("C").data);
}

TEST_F(RaidFailure, TheLastSourceGoesAndTheRaidWithIt) {
    add_disks(2, 2048);
    raids_->mutable_options() = {.process_window_size_kb = 64, .process_max_bandwidth_mb_sec = 1};
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    ASSERT_TRUE(remove_base("A"));
    ASSERT_TRUE(add_base("A"));
    remove_disk("B");
    EXPECT_EQ(array().state(), RaidState::offline);
    EXPECT_EQ(registry_.find("raid"), nullptr);
    EXPECT_EQ(disk("A").claimed_by(), "") << "half of a mirror is nobody's";
}

// Somebody has the raid open, so it closes later: it finds a rebuild that is there, or none.
TEST_F(RaidFailure, TheRebuildEndsWhileTheRaidCloses) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    ASSERT_TRUE(remove_base("A"));
    std::unique_ptr<Descriptor> user = world_.as(
        world_.app(), [this] { return std::move(*registry_.open("raid", [](Event /*it takes its time*/) {})); });
    slow(true);
    ASSERT_TRUE(add_base("A"));
    bool is_gone = false;
    world_.as(world_.app(), [&] {
        spawn([](Registry& registry, bool& gone) -> Task<void> {
            EXPECT_TRUE(co_await registry.remove("B"));
            gone = true;
        }(registry_, is_gone));
    });
    world_.turn();
    EXPECT_EQ(array().state(), RaidState::offline);
    EXPECT_TRUE(is_rebuilding());
    EXPECT_TRUE(rebuilt());
    world_.as(world_.app(), [&] { user.reset(); });
    EXPECT_TRUE(world_.wait_for([&] { return is_gone; }));
    EXPECT_EQ(registry_.find("raid"), nullptr);
}

TEST_F(RaidFailure, ARaid0GoesOfflineWithItsBase) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid0, 2, 4));
    remove_disk("A");
    EXPECT_EQ(registry_.find("raid"), nullptr);
    EXPECT_EQ(array().state(), RaidState::offline);
    EXPECT_EQ(disk("B").claimed_by(), "");
    EXPECT_TRUE(world_.run(raids_->destroy("raid", false)).has_value());
    EXPECT_EQ(raids_->find("raid"), nullptr);
}

TEST_F(RaidFailure, RemovedWhileItRebuilds) {
    add_disks(2, 4096);
    raids_->mutable_options() = {.process_window_size_kb = 4, .process_max_bandwidth_mb_sec = 1};
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    ASSERT_TRUE(remove_base("B"));
    ASSERT_TRUE(add_base("B"));
    EXPECT_TRUE(is_rebuilding());
    EXPECT_TRUE(world_.run(raids_->destroy("raid", false)).has_value());
    EXPECT_EQ(disk("A").claimed_by(), "");
    EXPECT_EQ(disk("B").claimed_by(), "");
}

TEST_F(RaidFailure, ABaseThatDoesNotOpenIsNotTakenIn) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid1, 2));
    EXPECT_EQ(client().write(0, 1, std::byte{1}), Status::success);
    add_disk("C");
    examined();
    ASSERT_TRUE(remove_base("B"));
    disk("C").fails_to_open = true;
    EXPECT_FALSE(add_base("C"));
    EXPECT_EQ(disk("C").claimed_by(), "");
    EXPECT_EQ(client().write(0, 1, std::byte{2}), Status::success);
    EXPECT_TRUE(add_base("B"));
    EXPECT_TRUE(rebuilt());
}

TEST_F(RaidFailure, GrowsWithItsSmallestBase) {
    add_disks(2, 3 * mib);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    EXPECT_EQ(raid().block_count(), 2 * mib);
    const auto grow = [this](const char* name) {
        world_.as(world_.app(), [&] {
            disk(name).resize(4 * mib);
            registry_.notify_resized(disk(name));
        });
        world_.settle();
    };
    grow("A");
    EXPECT_EQ(raid().block_count(), 2 * mib);
    grow("B");
    EXPECT_EQ(raid().block_count(), 3 * mib);
    EXPECT_EQ(client().write(3 * mib - 8, 8, std::byte{1}), Status::success);
    EXPECT_EQ((*parse_superblock(Bytes(*disk("A").data).first(superblock_bytes_max)))->block_count, 3 * mib);
}

}  // namespace
}  // namespace weft::bdev
