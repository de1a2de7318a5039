// How raids come to be: by request, by what is on disks, whole or not at all.
#include "bdev_modules/raid/test_disks.h"

namespace weft::bdev {
namespace {

using Kept = std::vector<std::byte>;

class RaidsTest : public RaidWorld {
protected:
    static constexpr uint64_t blocks = 2 * mib;
    RaidArray::Params params(RaidLevel level, std::vector<std::string> bases) {
        return {.name = "raid",
                .uuid = {},
                .level = level,
                .strip_kb = level == RaidLevel::raid1 ? 0U : 4U,
                .has_superblock = false,
                .bases = std::move(bases)};
    }
    void expect_refused(const RaidArray::Params& wrong, Errc code, std::string_view reason) {
        EXPECT_EQ(create(wrong), code) << reason;
        EXPECT_NE(last_error_.find(reason), std::string::npos) << last_error_;
        EXPECT_TRUE(raids_->all().empty());
        for (const Device* device : registry_.all()) EXPECT_EQ(device->claimed_by(), "") << device->name();
    }
    // The disks of a raid1 on A, B and C with a superblock, which are in a drawer now.
    std::vector<Kept> drawer(size_t disks = 3) {
        add_disks(disks, blocks);
        EXPECT_TRUE(make(RaidLevel::raid1, disks, 0, true));
        EXPECT_EQ(client().write(0, 64, std::byte{1}), Status::success);
        return put_away();
    }
    std::vector<Kept> put_away() {
        client_.reset();
        std::vector<Kept> kept;
        for (const char* name : {"A", "B", "C", "D"}) {
            if (registry_.find(name) != nullptr) kept.push_back(*disk(name).data);
        }
        world_.run(ended(registry_.remove_all()));
        forget_all();
        return kept;
    }
    void bring(const std::string& name, Kept kept) {
        const uint64_t count = kept.size() / 512;
        add_disk(name, count, 512, std::move(kept));
        examined();
    }
};

TEST_F(RaidsTest, RefusesWhatCannotBe) {
    add_disks(3);
    add_disk("big", 256, 4096);
    add_disk("tiny", 4);
    examined();
    expect_refused(params(RaidLevel::raid0, {"A", "big"}), Errc::invalid_argument, "blocks of 4096");
    expect_refused(params(RaidLevel::raid0, {"A", "tiny"}), Errc::invalid_argument, "smaller than a strip");
    expect_refused(params(RaidLevel::raid0, {"A", "A"}), Errc::permission_denied, "twice");
    expect_refused(params(RaidLevel::raid0, {"A", "raid"}), Errc::invalid_argument, "itself");
    expect_refused(params(RaidLevel::raid0, {}), Errc::invalid_argument, "base_bdevs");
    expect_refused(params(RaidLevel::raid1, {"A"}), Errc::invalid_argument, "base_bdevs");
    expect_refused(params(RaidLevel::raid5f, {"A", "B"}), Errc::invalid_argument, "base_bdevs");
    expect_refused(params(RaidLevel::raid1, std::vector<std::string>(256, "A")), Errc::invalid_argument, "255");
    expect_refused(params(RaidLevel::raid1, {"A", ""}), Errc::invalid_argument, "empty");
    RaidArray::Params wrong = params(RaidLevel::raid1, {"A", "B"});
    wrong.strip_kb = 4;
    expect_refused(wrong, Errc::invalid_argument, "strip_size_kb");
    wrong = params(RaidLevel::raid0, {"A", "B"});
    for (const uint32_t strip : {0U, 3U, 0x8000'0000U}) {
        wrong.strip_kb = strip;
        expect_refused(wrong, Errc::invalid_argument, "strip_size_kb");
    }
    wrong = params(RaidLevel::raid0, {"big"});
    wrong.strip_kb = 2;
    expect_refused(wrong, Errc::invalid_argument, "smaller than blocks");
    wrong = params(RaidLevel::raid1, {"A", "B"});
    wrong.has_superblock = true;
    expect_refused(wrong, Errc::invalid_argument, "data would begin at 2048");
    wrong.name = std::string(64, 'x');
    expect_refused(wrong, Errc::invalid_argument, "64 bytes");
    wrong.name = "";
    expect_refused(wrong, Errc::invalid_argument, "name");
    wrong.name = "C";
    expect_refused(wrong, Errc::already_exists, "already exists");
    auto held = world_.as(world_.app(), [this] { return *Base::open(registry_, "B", "somebody"); });
    EXPECT_EQ(create(params(RaidLevel::raid1, {"A", "B"})), Errc::permission_denied);
    EXPECT_NE(last_error_.find("somebody"), std::string::npos);
    EXPECT_EQ(disk("A").claimed_by(), "");
    EXPECT_TRUE(raids_->all().empty());
    world_.as(world_.app(), [&held] { held.reset(); });
}

TEST_F(RaidsTest, CyclesAreRefused) {
    RaidArray::Params one = params(RaidLevel::raid0, {"second"});
    one.name = "first";
    EXPECT_EQ(create(one), fine);
    RaidArray::Params two = params(RaidLevel::raid0, {"third", "X"});
    two.name = "second";
    EXPECT_EQ(create(two), fine);
    RaidArray::Params three = params(RaidLevel::raid0, {"first"});
    three.name = "third";
    EXPECT_EQ(create(three), Errc::invalid_argument);
    EXPECT_EQ(raids_->all().size(), 2U);
}

TEST_F(RaidsTest, WaitsForItsBases) {
    add_disk("B");
    examined();
    EXPECT_EQ(create(params(RaidLevel::raid0, {"A", "B", "C"})), fine);
    EXPECT_EQ(array().state(), RaidState::configuring);
    EXPECT_EQ(facts()["num_base_bdevs_discovered"], 1);
    EXPECT_EQ(disk("B").claimed_by(), "raid");
    EXPECT_EQ(create(params(RaidLevel::raid0, {"D"})), Errc::already_exists);
    add_disk("C");
    examined();
    remove_disk("B");
    EXPECT_EQ(facts()["num_base_bdevs_discovered"], 1);
    add_disk("A");
    examined();
    EXPECT_EQ(registry_.find("raid"), nullptr);
    add_disk("B");
    examined();
    ASSERT_NE(registry_.find("raid"), nullptr);
    EXPECT_EQ(array().state(), RaidState::online);
    EXPECT_EQ(raid().block_count(), 3 * 256U);
}

TEST_F(RaidsTest, ABaseThatCameButDoesNotFitIsLeftAlone) {
    add_disk("A");
    examined();
    EXPECT_EQ(create(params(RaidLevel::raid0, {"A", "B"})), fine);
    add_disk("B", 256, 4096);
    examined();
    EXPECT_EQ(disk("B").claimed_by(), "");
    EXPECT_EQ(array().state(), RaidState::configuring);
}

TEST_F(RaidsTest, ComesBackInAnyOrder) {
    const std::vector<Kept> kept = drawer();
    const std::array<std::string, 3> names = {"A", "B", "C"};
    std::array<size_t, 3> order = {0, 1, 2};
    do {
        for (size_t at = 0; at < 3; ++at) {
            EXPECT_EQ(registry_.find("raid"), nullptr);
            bring(names[order[at]], kept[order[at]]);
            if (at < 2) EXPECT_EQ(array().state(), RaidState::configuring);
        }
        ASSERT_NE(registry_.find("raid"), nullptr);
        EXPECT_TRUE(client().reads(0, 64, std::byte{1}));
        put_away();
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(RaidsTest, AStaleMemberIsFilledAgain) {
    add_disks(3, blocks);
    ASSERT_TRUE(make(RaidLevel::raid1, 3, 0, true));
    EXPECT_EQ(client().write(0, 64, std::byte{1}), Status::success);
    ASSERT_TRUE(remove_base("B"));
    EXPECT_EQ(client().write(0, 64, std::byte{2}), Status::success);
    const std::vector<Kept> kept = put_away();
    // First it makes a raid of what it knows; those that know better come, and it counts no more.
    bring("B", kept[1]);
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 3);
    bring("A", kept[0]);
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 2);
    bring("C", kept[2]);
    ASSERT_NE(registry_.find("raid"), nullptr);
    EXPECT_TRUE(client().reads(0, 64, std::byte{2}));
    ASSERT_TRUE(world_.wait_for([this] { return facts()["num_base_bdevs_discovered"] == 3; }));
    ASSERT_TRUE(rebuilt());
    examined();
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 3);
    EXPECT_EQ(*disk("A").data, *disk("B").data);
    const auto superblock = *parse_superblock(Bytes(*disk("B").data).first(superblock_bytes_max));
    EXPECT_EQ(superblock->member_in(1)->state, MemberState::configured);
}

TEST_F(RaidsTest, AMemberThatComesLateIsFilledAgain) {
    add_disks(2, blocks);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    const Kept kept = *disk("B").data;
    remove_disk("B");
    EXPECT_EQ(client().write(0, 64, std::byte{2}), Status::success);
    bring("B", kept);
    ASSERT_TRUE(world_.wait_for([this] { return facts()["num_base_bdevs_discovered"] == 2; }));
    ASSERT_TRUE(rebuilt());
    EXPECT_EQ(*disk("A").data, *disk("B").data);
}

// Each was the raid once, without the other: nobody but an administrator knows which of them counts.
TEST_F(RaidsTest, MembersThatWereApartStayApart) {
    add_disks(2, blocks);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    EXPECT_EQ(client().write(0, 64, std::byte{1}), Status::success);
    const std::vector<Kept> before = put_away();
    std::vector<Kept> alone;
    for (const bool is_first : {true, false}) {
        bring("A", before[0]);
        bring("B", before[1]);
        ASSERT_TRUE(remove_base(is_first ? "B" : "A"));
        EXPECT_EQ(client().write(0, 64, is_first ? std::byte{2} : std::byte{3}), Status::success);
        if (!is_first) EXPECT_EQ(client().write(0, 1, std::byte{4}), Status::success);
        alone.push_back(*disk(is_first ? "A" : "B").data);
        put_away();
    }
    bring("A", alone[0]);
    bring("B", alone[1]);
    EXPECT_TRUE(client().reads(0, 64, std::byte{2}));
    EXPECT_EQ(disk("B").claimed_by(), "");
    EXPECT_EQ(*disk("B").data, alone[1]);
    EXPECT_TRUE(add_base("B")) << last_error_;
    ASSERT_TRUE(rebuilt());
    EXPECT_EQ(*disk("B").data, *disk("A").data);
}

TEST_F(RaidsTest, ARebuildIsBegunAgainAfterARestart) {
    add_disks(3, blocks);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    EXPECT_EQ(client().write(0, 64, std::byte{4}), Status::success);
    ASSERT_TRUE(remove_base("B"));
    raids_->mutable_options() = {.process_window_size_kb = 4, .process_max_bandwidth_mb_sec = 1};
    ASSERT_TRUE(add_base("C"));
    EXPECT_TRUE(is_rebuilding());
    const std::vector<Kept> kept = put_away();
    raids_->mutable_options() = {};
    bring("C", kept[2]);
    bring("A", kept[0]);
    ASSERT_NE(registry_.find("raid"), nullptr);
    ASSERT_TRUE(world_.wait_for([this] { return facts()["num_base_bdevs_discovered"] == 2; }));
    ASSERT_TRUE(rebuilt());
    EXPECT_EQ(*disk("A").data, *disk("C").data);
}

TEST_F(RaidsTest, BasesOfAnotherRaidAreRefused) {
    std::vector<Kept> kept = drawer(2);
    bring("A", kept[0]);
    world_.run(ended(raids_->find("raid")->destroy(false)));
    add_disk("X", blocks);
    examined();
    RaidArray::Params other = params(RaidLevel::raid1, {"A", "X"});
    other.name = "other";
    EXPECT_EQ(create(other), Errc::already_exists);
    EXPECT_NE(last_error_.find("belongs to raid"), std::string::npos);
    EXPECT_TRUE(raids_->all().empty());
    EXPECT_EQ(disk("A").claimed_by(), "");
}

TEST_F(RaidsTest, ClearedSuperblocksDoNotComeBack) {
    add_disks(2, blocks);
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    ASSERT_TRUE(world_.run(raids_->destroy("raid", true)).has_value());
    std::vector<Kept> kept = put_away();
    bring("A", kept[0]);
    bring("B", kept[1]);
    EXPECT_TRUE(raids_->all().empty());
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    ASSERT_TRUE(world_.run(raids_->destroy("raid", false)).has_value());
    kept = put_away();
    bring("A", kept[0]);
    EXPECT_EQ(raids_->all().size(), 1U);
}

TEST_F(RaidsTest, ABrokenSuperblockIsNobodys) {
    std::vector<Kept> kept = drawer(2);
    kept[0][200] ^= std::byte{1};
    bring("A", kept[0]);
    EXPECT_TRUE(raids_->all().empty());
    EXPECT_EQ(disk("A").claimed_by(), "");
    bring("B", kept[1]);
    EXPECT_EQ(array().state(), RaidState::configuring);
}

TEST_F(RaidsTest, ARaid0OfSuperblocksComesBackWhenItsBaseDoes) {
    add_disks(2, blocks);
    ASSERT_TRUE(make(RaidLevel::raid0, 2, 4, true));
    EXPECT_EQ(client().write(0, 64, std::byte{6}), Status::success);
    client_.reset();
    const Kept kept = *disk("A").data;
    remove_disk("A");
    EXPECT_EQ(array().state(), RaidState::offline);
    bring("A", kept);
    ASSERT_NE(registry_.find("raid"), nullptr);
    EXPECT_TRUE(client().reads(0, 64, std::byte{6}));
}

TEST_F(RaidsTest, RaidsStandOnRaids) {
    add_disks(4);
    for (const auto& [name, bases] : {std::pair{"left", std::vector<std::string>{"A", "B"}}, {"right", {"C", "D"}}}) {
        RaidArray::Params half = params(RaidLevel::raid1, bases);
        half.name = name;
        EXPECT_EQ(create(half), fine);
    }
    EXPECT_EQ(create(params(RaidLevel::raid0, {"left", "right"})), fine) << last_error_;
    expect_behaves_like_a_disk(client(), 1, 300);
    client_.reset();
    remove_disk("B");
    remove_disk("C");
    EXPECT_EQ(client().write(0, 256, std::byte{1}), Status::success);
    EXPECT_TRUE(client().reads(0, 256, std::byte{1}));
}

}  // namespace
}  // namespace weft::bdev
