// Two reactors on two OS threads read and write the same few blocks of a RAM disk. A block always holds one byte
// value throughout: a reader that sees two of them in a block has seen it torn.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "bdev/test_client.h"
#include "bdev_modules/malloc/malloc_device.h"

namespace weft::bdev {
namespace {

struct Counts {
    uint32_t writes = 0;
    uint32_t refused_writes = 0;
    uint32_t lent_reads = 0;
    uint32_t refused_lends = 0;
    uint32_t copied_reads = 0;
    uint32_t torn = 0;
};

class Worker {
public:
    Worker(Thread& thread, Channel& channel, uint32_t seed, uint32_t rounds)
        : thread_(thread), channel_(channel), random_(seed), rounds_(rounds) {}

    void run() {
        for (uint32_t round = 0; round < rounds_; ++round) {
            thread_.reactor().turn();
            const CurrentThread scope(&thread_);
            const uint64_t block_count = channel_.bdev().block_count();
            const uint64_t lba = random_() % block_count;
            const uint64_t blocks = 1 + random_() % std::min<uint64_t>(block_count - lba, 6);
            switch (random_() % 4) {
                case 0: write(lba, blocks); break;
                case 1: read(lba, blocks); break;
                default: lend(lba, blocks); break;
            }
        }
        for (int turns = 0; turns < 3; ++turns) thread_.reactor().turn();  // its last write settles
    }
    [[nodiscard]] const Counts& counts() const { return counts_; }

private:
    void write(uint64_t lba, uint64_t blocks) {
        const TestClient::Buffer buffer(blocks * channel_.bdev().block_bytes(), static_cast<std::byte>(random_()));
        std::vector<iovec> pieces = cut_up(buffer.bytes(), 1, random_);
        TestClient::Call call(Op::write, lba, blocks, pieces);
        const Progress progress = channel_.submit(call.request);
        ++(progress == Progress::retry ? counts_.refused_writes : counts_.writes);
    }
    void read(uint64_t lba, uint64_t blocks) {
        const TestClient::Buffer buffer(blocks * channel_.bdev().block_bytes(), std::byte{0});
        TestClient::Call call(Op::read, lba, blocks, {&buffer.piece, 1});
        if (channel_.submit(call.request) == Progress::retry) return;
        ++counts_.copied_reads;
        check(buffer.bytes());
    }
    void lend(uint64_t lba, uint64_t blocks) {
        const auto lent = channel_.lend(lba, blocks);
        if (!lent) {
            ++counts_.refused_lends;
            return;
        }
        ++counts_.lent_reads;
        check(*lent);
        check(*lent);
        channel_.unlend(lba, blocks);
    }
    void check(Bytes data) {
        const size_t block_bytes = channel_.bdev().block_bytes();
        for (size_t at = 0; at < data.size(); at += block_bytes) {
            const Bytes block = data.subspan(at, block_bytes);
            if (std::memcmp(block.data(), block.data() + 1, block.size() - 1) != 0) ++counts_.torn;
        }
    }

    Thread& thread_;
    Channel& channel_;
    std::minstd_rand random_;
    const uint32_t rounds_;
    Counts counts_;
};

class MallocStressTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Copies, MallocStressTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Streaming" : "ThroughTheCache"; });

TEST_P(MallocStressTest, NoReaderSeesATornBlock) {
    constexpr uint32_t rounds = 10'000;
    for (const uint32_t block_bytes : {512U, 4096U, 16384U}) {
        TestRuntime world(2);
        Registry registry;
        Device* device = *world.run(create_malloc_device(registry, {.name = "disk",
                                                                    .block_bytes = block_bytes,
                                                                    .block_count = 32,
                                                                    .is_concurrent = true,
                                                                    .streaming = GetParam()}));
        world.settle();
        {
            TestClient first(world, *device, 0);
            TestClient second(world, *device, 1);
            Worker here(first.thread(), first.channel(), block_bytes, rounds);
            Worker there(second.thread(), second.channel(), block_bytes + 1, rounds);
            std::thread other([&there] { there.run(); });
            here.run();
            other.join();
            for (const Worker* worker : {&here, &there}) {
                const Counts& counts = worker->counts();
                EXPECT_EQ(counts.torn, 0U);
                EXPECT_GT(counts.writes, 100U);
                EXPECT_GT(counts.lent_reads, 100U);
                EXPECT_GT(counts.copied_reads, 100U);
                printf("%5u-byte blocks: %u writes, %u refused; %u lent, %u refused; %u copied\n", block_bytes,
                       counts.writes, counts.refused_writes, counts.lent_reads, counts.refused_lends,
                       counts.copied_reads);
            }
        }
        EXPECT_TRUE(world.run(registry.remove("disk")).has_value());
    }
}

}  // namespace
}  // namespace weft::bdev
