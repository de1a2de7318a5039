// What a host sees of each level: a disk, also when bases are slow or missing.
#include "bdev_modules/raid/test_disks.h"

namespace weft::bdev {
namespace {

class RaidIo : public RaidWorld {
protected:
    void slow_disks(size_t count) {
        for (size_t at = 0; at < count; ++at) disk(std::string(1, static_cast<char>('A' + at))).is_slow = true;
    }
};

TEST_F(RaidIo, Raid0IsADisk) {
    add_disks(3);
    for (const size_t bases : {size_t{1}, size_t{2}, size_t{3}}) {
        for (const uint32_t strip_kb : {1U, 4U, 16U}) {
            ASSERT_TRUE(make(RaidLevel::raid0, bases, strip_kb));
            EXPECT_EQ(raid().block_count(), bases * 256U);
            expect_behaves_like_a_disk(client(), strip_kb, 300);
            client_.reset();
            ASSERT_TRUE(world_.run(raids_->destroy("raid", false)).has_value());
            for (size_t at = 0; at < bases; ++at) {
                std::ranges::fill(*disk(std::string(1, static_cast<char>('A' + at))).data, std::byte{0});
            }
        }
    }
}

TEST_F(RaidIo, Raid0OverSlowDisksIsADisk) {
    add_disks(3);
    slow_disks(3);
    ASSERT_TRUE(make(RaidLevel::raid0, 3, 2));
    expect_behaves_like_a_disk(client(), 5, 600);
}

TEST_F(RaidIo, Raid0SendsOneRequestToEachBaseWhereItCan) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid0, 2, 1));
    EXPECT_EQ(client().write(0, 64, std::byte{1}), Status::success);
    EXPECT_EQ(disk("A").writes + disk("B").writes, 2U);
    EXPECT_EQ(client().run(Op::unmap, 3, 200), Status::success);
    EXPECT_EQ(disk("A").writes + disk("B").writes, 4U);
}

TEST_F(RaidIo, Raid0TakesDataInManyPieces) {
    add_disks(2);
    ASSERT_TRUE(make(RaidLevel::raid0, 2, 1));
    const TestClient::Buffer buffer(256 * 512, std::byte{0});
    for (size_t at = 0; at < buffer.bytes().size(); ++at)
        buffer.bytes()[at] = static_cast<std::byte>(at * 7 + at / 512);
    for (const size_t piece_bytes : {size_t{64}, size_t{100}, size_t{512}, size_t{700}}) {
        std::vector<iovec> pieces;
        for (size_t at = 0; at < buffer.bytes().size(); at += piece_bytes) {
            const size_t bytes = std::min(piece_bytes, buffer.bytes().size() - at);
            pieces.push_back({.iov_base = buffer.bytes().data() + at, .iov_len = bytes});
        }
        EXPECT_EQ(client().run(Op::write, 5, 256, pieces), Status::success) << piece_bytes;
        const TestClient::Buffer back(256 * 512, std::byte{0});
        EXPECT_EQ(client().run(Op::read, 5, 256, {&back.piece, 1}), Status::success);
        EXPECT_TRUE(std::ranges::equal(back.bytes(), buffer.bytes())) << piece_bytes;
    }
    std::vector<iovec> crumbs;
    for (size_t at = 0; at < 4 * 512; ++at) crumbs.push_back({.iov_base = buffer.bytes().data() + at, .iov_len = 1});
    EXPECT_EQ(client().run(Op::write, 0, 4, crumbs), Status::failed);
}

TEST_F(RaidIo, ConcatIsADisk) {
    add_disk("A", 100);
    add_disk("B", 77);
    add_disk("C", 130).is_slow = true;
    ASSERT_TRUE(make(RaidLevel::concat, 3, 4));
    EXPECT_EQ(raid().block_count(), 96U + 72U + 128U);
    expect_behaves_like_a_disk(client(), 2, 800);
}

TEST_F(RaidIo, Raid1IsADisk) {
    add_disks(3);
    ASSERT_TRUE(make(RaidLevel::raid1, 3));
    expect_behaves_like_a_disk(client(), 2, 300);
    slow_disks(3);
    client().run(Op::unmap, 0, 256);
    expect_behaves_like_a_disk(client(), 3, 600);
    EXPECT_EQ(*disk("A").data, *disk("B").data);
    EXPECT_EQ(*disk("A").data, *disk("C").data);
}

// Whole stripes are written, anything is read, against an array.
void expect_behaves_like_stripes(TestClient& client, uint64_t stripe, uint32_t seed, uint32_t rounds) {
    const uint64_t stripes = client.device().block_count() / stripe;
    std::vector<std::byte> model(client.device().block_count() * 512);
    std::minstd_rand random(seed);
    const TestClient::Buffer all(model.size(), std::byte{0});
    ASSERT_EQ(client.run(Op::read, 0, client.device().block_count(), {&all.piece, 1}), Status::success);
    std::ranges::copy(all.bytes(), model.begin());
    for (uint32_t round = 0; round < rounds; ++round) {
        const Op op =
            std::array{Op::read, Op::read, Op::write, Op::write, Op::unmap, Op::write_zeroes, Op::flush}[random() % 7];
        uint64_t lba = random() % stripes * stripe;
        uint64_t blocks = (1 + random() % std::min<uint64_t>(stripes - lba / stripe, 4)) * stripe;
        if (op == Op::read) {
            lba = random() % client.device().block_count();
            blocks = 1 + random() % std::min<uint64_t>(client.device().block_count() - lba, 60);
        }
        const MutableBytes place = MutableBytes(model).subspan(lba * 512, blocks * 512);
        const TestClient::Buffer buffer(place.size(), std::byte{0xEE});
        if (op == Op::write) {
            for (std::byte& byte : buffer.bytes()) byte = static_cast<std::byte>(random());
            std::ranges::copy(buffer.bytes(), place.begin());
        }
        if (op == Op::unmap || op == Op::write_zeroes) std::ranges::fill(place, std::byte{0});
        const std::vector<iovec> pieces = cut_up(buffer.bytes(), 64, random);
        const std::span<const iovec> data = has_data(op) ? std::span<const iovec>(pieces) : std::span<const iovec>();
        ASSERT_EQ(client.run(op, lba, blocks, data), Status::success) << name_of(op) << ' ' << blocks << " at " << lba;
        if (op == Op::read) ASSERT_TRUE(std::ranges::equal(place, buffer.bytes())) << "round " << round;
    }
}

TEST_F(RaidIo, Raid5fKeepsStripes) {
    add_disks(4);
    ASSERT_TRUE(make(RaidLevel::raid5f, 4, 2));
    EXPECT_EQ(raid().block_count(), 3U * 256);
    EXPECT_EQ(raid().geometry().optimal_blocks, 12U);
    expect_behaves_like_stripes(client(), 12, 1, 300);
    slow_disks(4);
    expect_behaves_like_stripes(client(), 12, 2, 600);
    for (size_t at = 0; at < 256 * 512; ++at) {
        std::byte sum{0};
        for (const char* name : {"A", "B", "C", "D"}) sum ^= (*disk(name).data)[at];
        ASSERT_EQ(sum, std::byte{0}) << at;
    }
    const TestClient::Buffer part(6 * 512, std::byte{1});
    EXPECT_EQ(client().run(Op::write, 0, 6, {&part.piece, 1}), Status::failed) << "half a stripe";
    EXPECT_EQ(client().run(Op::write, 6, 6, {&part.piece, 1}), Status::failed);
    EXPECT_EQ(client().run(Op::unmap, 0, 6), Status::failed);
}

TEST_F(RaidIo, Raid5fWithoutOneBaseIsTheSame) {
    add_disks(3);
    ASSERT_TRUE(make(RaidLevel::raid5f, 3, 1));
    expect_behaves_like_stripes(client(), 4, 1, 200);
    ASSERT_TRUE(remove_base("B"));
    expect_behaves_like_stripes(client(), 4, 2, 300);
    disk("A").is_slow = disk("C").is_slow = true;
    expect_behaves_like_stripes(client(), 4, 3, 300);
    std::ranges::fill(*disk("B").data, std::byte{0xAA});
    ASSERT_TRUE(add_base("B")) << last_error_;
    expect_behaves_like_stripes(client(), 4, 4, 300);
    ASSERT_TRUE(rebuilt());
    EXPECT_EQ(facts()["num_base_bdevs_operational"], 3);
    ASSERT_TRUE(remove_base("A"));
    expect_behaves_like_stripes(client(), 4, 5, 200);
}

TEST_F(RaidIo, Raid5fReadsWhatOneBaseCannot) {
    add_disks(3);
    ASSERT_TRUE(make(RaidLevel::raid5f, 3, 1));
    EXPECT_EQ(client().write(0, 40, std::byte{3}), Status::success);
    disk("A").fails_reads = true;
    EXPECT_TRUE(client().reads(0, 40, std::byte{3}));
    disk("B").fails_reads = true;
    EXPECT_FALSE(client().reads(0, 40, std::byte{3}));
}

// Requests of two reactors to the same blocks leave all mirrors alike.
TEST_F(RaidIo, MirrorsStayAlikeUnderOverlappingWrites) {
    add_disks(3, 64);
    ASSERT_TRUE(make(RaidLevel::raid1, 3));
    slow_disks(3);
    TestClient other(world_, raid(), 1);
    std::minstd_rand random(9);
    for (int round = 0; round < 60; ++round) {
        std::vector<std::unique_ptr<TestClient::Call>> calls;
        std::vector<std::unique_ptr<TestClient::Buffer>> buffers;
        std::vector<std::pair<TestClient*, TestClient::Call*>> waiting;
        for (int at = 0; at < 16; ++at) {
            const uint64_t lba = random() % 60;
            buffers.push_back(std::make_unique<TestClient::Buffer>(4 * 512, static_cast<std::byte>(random())));
            calls.push_back(
                std::make_unique<TestClient::Call>(Op::write, lba, 4, std::span(&buffers.back()->piece, 1)));
            waiting.emplace_back(at % 2 == 0 ? &client() : &other, calls.back().get());
        }
        while (!waiting.empty()) {
            std::erase_if(waiting,
                          [](const auto& each) { return each.first->submit(*each.second) != Progress::retry; });
            world_.turn();
        }
        ASSERT_TRUE(world_.wait_for(
            [&] { return std::ranges::all_of(calls, [](const auto& call) { return call->is_done; }); }));
        for (const auto& call : calls) ASSERT_EQ(call->request.status, Status::success);
        ASSERT_EQ(*disk("A").data, *disk("B").data) << round;
        ASSERT_EQ(*disk("A").data, *disk("C").data) << round;
    }
}

TEST_F(RaidIo, ParityIsMadeByTheModuleThatHasTheOp) {
    add_disks(3);
    ASSERT_TRUE(make(RaidLevel::raid5f, 3, 4));
    EXPECT_EQ(client().write(0, 32, std::byte{1}), Status::success);
    ASSERT_TRUE(remove_base("A"));
    EXPECT_TRUE(client().reads(0, 32, std::byte{1}));
    const accel::Statistics figures = world_.run(accel_.collect_statistics());
    const auto& sums = figures.of[static_cast<size_t>(accel::Op::xor_all)];
    EXPECT_GE(sums.executed, 3U) << "two parities and a strip that was lost";
    EXPECT_EQ(sums.failed, 0U);
}

}  // namespace
}  // namespace weft::bdev
