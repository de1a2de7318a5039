// Who reads where a write has failed on one base and not on the others.
#include "bdev_modules/raid/test_disks.h"

namespace weft::bdev {
namespace {

// What a base has where a write has failed may be torn. The base is one until everybody is told that it is none; who
// reads meanwhile, or is reading then, asks another.
class RaidDoubt : public RaidWorld {
protected:
    void SetUp() override {
        RaidWorld::SetUp();
        add_disks(3, 4 * mib);
    }
    // Blocks of its data.
    void refuse(const std::string& name, uint64_t begin, uint64_t end) {
        disk(name).refuses_begin = raid_device().data_offset(0) + begin;
        disk(name).refuses_end = raid_device().data_offset(0) + end;
        disk(name).tears = true;
    }
    // While a write of the first blocks is under way that C refuses.
    void expect_reads_are_whole(uint64_t blocks) {
        EXPECT_EQ(client().write(0, blocks, std::byte{1}), Status::success);
        const TestClient::Buffer data(blocks * 512, std::byte{9});
        slow(true);
        for (const char* name : {"A", "B", "C"}) disk(name).keeps_reads = true;
        std::array<Reading, 3> readings{Reading(blocks), Reading(blocks), Reading(blocks)};  // one for each mirror
        for (Reading& reading : readings) submit(reading.call);
        refuse("C", 0, 512);
        TestClient::Call write(Op::write, 0, blocks, {&data.piece, 1});
        submit(write);
        ASSERT_TRUE(world_.wait_for([this] { return raid_device().is_in_doubt(2); }));
        turns();
        EXPECT_FALSE(write.is_done) << "who reads from C has not ended";
        for (const char* name : {"A", "B", "C"}) disk(name).keeps_reads = false;
        for (Reading& reading : readings) {
            EXPECT_EQ(client().finish(reading.call), Status::success);
            const auto torn = std::ranges::find_if_not(
                reading.buffer.bytes(), [](std::byte byte) { return byte == std::byte{1} || byte == std::byte{9}; });
            EXPECT_TRUE(torn == reading.buffer.bytes().end()) << "byte " << torn - reading.buffer.bytes().begin();
        }
        EXPECT_EQ(client().finish(write), Status::success);
        EXPECT_FALSE(is_configured(2));
        EXPECT_FALSE(raid_device().is_in_doubt(2));
        EXPECT_TRUE(client().reads(0, blocks, std::byte{9}));
    }
    struct Reading {
        explicit Reading(uint64_t blocks, uint64_t lba = 0)
            : buffer(blocks * 512, std::byte{0xEE}), call(Op::read, lba, blocks, {&buffer.piece, 1}) {}
        [[nodiscard]] bool has_read(std::byte expected) const {
            return std::ranges::all_of(buffer.bytes(), [expected](std::byte byte) { return byte == expected; });
        }
        TestClient::Buffer buffer;
        TestClient::Call call;
    };
    void submit(TestClient::Call& call) {
        while (client().submit(call) == Progress::retry) world_.turn();
    }
    // Whatever can happen does.
    void turns() {
        for (int turn = 0; turn < 100; ++turn) world_.turn();
    }
    RaidDevice& raid_device() { return static_cast<RaidDevice&>(raid()); }
};

TEST_F(RaidDoubt, NobodyReadsFromAMirrorThatAWriteHasFailedOn) {
    ASSERT_TRUE(make(RaidLevel::raid1, 3, 0, true));
    expect_reads_are_whole(8);
}

TEST_F(RaidDoubt, NobodyReadsFromAStripThatAWriteHasFailedOn) {
    ASSERT_TRUE(make(RaidLevel::raid5f, 3, 1));
    expect_reads_are_whole(16);
}

TEST_F(RaidDoubt, ANewReadAsksAnotherMirror) {
    ASSERT_TRUE(make(RaidLevel::raid1, 3, 0, true));
    refuse("A", 0, 512);
    const TestClient::Buffer data(512, std::byte{9});
    TestClient::Call write(Op::write, 0, 1, {&data.piece, 1});
    ASSERT_EQ(client().submit(write), Progress::pending);
    const uint64_t reads = disk("A").reads;
    EXPECT_TRUE(client().reads(0, 1, std::byte{9}));
    EXPECT_EQ(disk("A").reads, reads);
    EXPECT_EQ(client().finish(write), Status::success);
}

TEST_F(RaidDoubt, WhereAllFailTheReadsWaitForTheWrites) {
    ASSERT_TRUE(make(RaidLevel::raid1, 2, 0, true));
    refuse("A", 0, 8);
    refuse("B", 8, 16);
    const TestClient::Buffer data(8 * 512, std::byte{9});
    TestClient::Call one(Op::write, 0, 8, {&data.piece, 1});
    TestClient::Call two(Op::write, 8, 8, {&data.piece, 1});
    ASSERT_EQ(client().submit(one), Progress::pending);
    ASSERT_EQ(client().submit(two), Progress::pending);
    TestClient::Call read(Op::read, 0, 8, {&data.piece, 1});
    EXPECT_EQ(client().submit(read), Progress::retry) << "nobody knows yet who is right";
    EXPECT_TRUE(client().reads(16, 8, std::byte{0})) << "these blocks nobody writes to";
    EXPECT_EQ(client().finish(one), Status::success);
    EXPECT_EQ(client().finish(two), Status::write_error) << "it was not done on the mirror that is left";
    EXPECT_TRUE(client().reads(0, 8, std::byte{9}));
    EXPECT_FALSE(is_configured(0));
    EXPECT_TRUE(is_configured(1));
}

// Its stripe is being written, so what the others have does not fit together yet.
TEST_F(RaidDoubt, AReadThatFailedWaitsForTheWriteOfItsStripe) {
    ASSERT_TRUE(make(RaidLevel::raid5f, 3, 1));
    EXPECT_EQ(client().write(0, 4, std::byte{1}), Status::success);
    slow(true);
    disk("A").keeps_reads = disk("B").keeps_writes = true;
    Reading reading(1);
    submit(reading.call);
    const TestClient::Buffer data(4 * 512, std::byte{9});
    TestClient::Call write(Op::write, 0, 4, {&data.piece, 1});
    submit(write);
    turns();
    disk("A").fails_reads = true;
    disk("A").keeps_reads = false;
    turns();
    EXPECT_FALSE(reading.call.is_done) << "B does not have what A and C have";
    disk("B").keeps_writes = false;
    EXPECT_EQ(client().finish(write), Status::success);
    EXPECT_EQ(client().finish(reading.call), Status::success);
    EXPECT_TRUE(reading.has_read(std::byte{9}));
}

// The write on which its base failed has failed on all, so it counts still, and is asked again; and then the memory is
// used up that it takes to ask the others.
TEST_F(RaidDoubt, AReadThatFailsWhenItIsDoneAgainWaitsForRoom) {
    add_disk("D", 10 * mib);
    add_disk("E", 10 * mib);
    add_disk("F", 10 * mib);
    examined();
    ASSERT_EQ(create({.name = "raid",
                      .uuid = {},
                      .level = RaidLevel::raid5f,
                      .strip_kb = 2048,
                      .has_superblock = false,
                      .bases = {"D", "E", "F"}}),
              fine);
    const uint64_t strip = 2 * mib;  // a channel has memory for six, and a read of a strip without its base takes two
    EXPECT_EQ(client().write(0, 2 * strip, std::byte{1}), Status::success);
    slow(true);
    disk("D").keeps_reads = true;
    Reading reading(1);
    submit(reading.call);
    for (const char* name : {"D", "E", "F"}) disk(name).refuses_end = strip;
    disk("F").keeps_writes = true;
    const TestClient::Buffer data(2 * strip * 512, std::byte{9});
    TestClient::Call write(Op::write, 0, 2 * strip, {&data.piece, 1});
    submit(write);
    ASSERT_TRUE(world_.wait_for([this] { return raid_device().is_in_doubt(0) && raid_device().is_in_doubt(1); }));
    disk("D").keeps_reads = false;
    turns();
    EXPECT_FALSE(reading.call.is_done) << "it was read while D is in doubt";
    disk("D").keeps_reads = true;
    const uint64_t reads = disk("D").reads;
    disk("F").keeps_writes = false;
    EXPECT_EQ(client().finish(write), Status::write_error);
    ASSERT_TRUE(world_.wait_for([&] { return disk("D").reads > reads; })) << "once more";

    disk("E").fails_reads = disk("F").keeps_reads = true;
    std::array<Reading, 3> others{Reading(1, 7 * strip), Reading(1, 7 * strip + 1), Reading(1, 7 * strip + 2)};
    for (Reading& other : others) submit(other.call);
    turns();
    disk("D").bad_end = 1;
    disk("D").keeps_reads = false;
    turns();
    EXPECT_FALSE(reading.call.is_done);
    disk("E").fails_reads = disk("F").keeps_reads = false;
    for (Reading& other : others) {
        EXPECT_EQ(client().finish(other.call), Status::success);
        EXPECT_TRUE(other.has_read(std::byte{0}));
    }
    EXPECT_EQ(client().finish(reading.call), Status::success);
    EXPECT_TRUE(reading.has_read(std::byte{1}));
}

}  // namespace
}  // namespace weft::bdev
