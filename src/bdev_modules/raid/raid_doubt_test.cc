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
        struct Reading {
            explicit Reading(uint64_t blocks)
                : buffer(blocks * 512, std::byte{0xEE}), call(Op::read, 0, blocks, {&buffer.piece, 1}) {}
            TestClient::Buffer buffer;
            TestClient::Call call;
        };
        std::array<Reading, 3> readings{Reading(blocks), Reading(blocks), Reading(blocks)};  // one for each mirror
        for (Reading& reading : readings) submit(reading.call);
        refuse("C", 0, 512);
        TestClient::Call write(Op::write, 0, blocks, {&data.piece, 1});
        submit(write);
        ASSERT_TRUE(world_.wait_for([this] { return raid_device().is_in_doubt(2); }));
        for (int turn = 0; turn < 100; ++turn) world_.turn();
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
    void submit(TestClient::Call& call) {
        while (client().submit(call) == Progress::retry) world_.turn();
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

}  // namespace
}  // namespace weft::bdev
