#include "bdev_modules/malloc/malloc_device.h"

#include <gtest/gtest.h>

#include "bdev/test_client.h"
#include "env/sim/world.h"
#include "rpc/json.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};
constexpr std::byte one{1};
constexpr std::byte two{2};

class MallocTest : public testing::TestWithParam<bool> {
protected:
    void TearDown() override {
        for (const Device* device : registry_.all()) {
            EXPECT_TRUE(world_.run(registry_.remove(device->name())).has_value());
        }
    }
    Result<Device*> create(MallocOptions options) {
        options.is_concurrent = GetParam();
        return world_.run(create_malloc_device(registry_, std::move(options)));
    }
    Device& create(uint32_t block_bytes, uint64_t block_count) {
        auto made = create({.name = "disk", .block_bytes = block_bytes, .block_count = block_count});
        WEFT_ASSERT(made.has_value());
        return **made;
    }
    // What a transport does with a read that can be lent.
    static bool lent_reads_as(TestRuntime& world, TestClient& client, uint64_t lba, uint64_t blocks, std::byte byte) {
        return world.as(client.thread(), [&] {
            const auto lent = client.channel().lend(lba, blocks);
            if (!lent) return false;
            const bool is_right = std::ranges::all_of(*lent, [byte](std::byte each) { return each == byte; });
            client.channel().unlend(lba, blocks);
            return is_right;
        });
    }

    TestRuntime world_{2};
    Registry registry_;
};

INSTANTIATE_TEST_SUITE_P(OneReactorOrMore, MallocTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Concurrent" : "Alone"; });

TEST_P(MallocTest, BehavesLikeADiskForEveryBlockSize) {
    for (uint32_t block_bytes = block_bytes_min; block_bytes <= block_bytes_max; block_bytes *= 2) {
        Device& device = create(block_bytes, 100);
        {
            TestClient client(world_, device);
            expect_behaves_like_a_disk(client, block_bytes, 200);
            expect_behaves_like_a_clever_disk(client, block_bytes, 200);
        }
        ASSERT_TRUE(world_.run(registry_.remove("disk")).has_value());
    }
}

TEST_P(MallocTest, IsZeroAtFirst) {
    TestClient client(world_, create(4096, 64));
    EXPECT_TRUE(client.reads(0, 64, zero));
    EXPECT_TRUE(lent_reads_as(world_, client, 0, 64, zero));
}

TEST_P(MallocTest, LendsWhatWasWritten) {
    TestClient client(world_, create(512, 64));
    EXPECT_EQ(client.write(3, 5, one), Status::success);
    EXPECT_TRUE(lent_reads_as(world_, client, 3, 5, one));
    EXPECT_TRUE(lent_reads_as(world_, client, 0, 3, zero));
    EXPECT_TRUE(lent_reads_as(world_, client, 8, 56, zero));
}

TEST_P(MallocTest, LendsNothingBeyondTheEnd) {
    TestClient client(world_, create(512, 64));
    world_.as(client.thread(), [&] {
        EXPECT_FALSE(client.channel().lend(64, 1).has_value());
        EXPECT_FALSE(client.channel().lend(0, 65).has_value());
        EXPECT_FALSE(client.channel().lend(1, UINT64_MAX).has_value());
        EXPECT_FALSE(client.channel().lend(UINT64_MAX, 2).has_value());
        EXPECT_FALSE(client.channel().lend(0, 0).has_value());
    });
}

TEST_P(MallocTest, LentBlocksDoNotChangeUntilTheyAreGivenBack) {
    TestClient client(world_, create(4096, 64));
    ASSERT_EQ(client.write(0, 64, one), Status::success);
    const TestClient::Buffer data(8192, two);
    TestClient::Call write(Op::write, 10, 2, {&data.piece, 1});
    TestClient::Call zeroing(Op::write_zeroes, 11, 1);
    TestClient::Call elsewhere(Op::write, 20, 2, {&data.piece, 1});
    world_.as(client.thread(), [&] {
        const auto lent = client.channel().lend(11, 4);
        ASSERT_TRUE(lent.has_value());
        EXPECT_EQ(client.submit(write), Progress::retry);
        EXPECT_EQ(client.submit(zeroing), Progress::retry);
        EXPECT_EQ(client.submit(elsewhere), Progress::done);
        EXPECT_TRUE(std::ranges::all_of(*lent, [](std::byte byte) { return byte == one; }));
        client.channel().unlend(11, 4);
    });
    EXPECT_EQ(client.run(write), Status::success);
    EXPECT_TRUE(client.reads(10, 2, two));
    EXPECT_TRUE(client.reads(12, 8, one));
    EXPECT_TRUE(client.reads(20, 2, two));
}

TEST_P(MallocTest, ReadsOfWhatIsLentGoOn) {
    TestClient client(world_, create(4096, 64));
    ASSERT_EQ(client.write(0, 64, one), Status::success);
    world_.as(client.thread(), [&] {
        ASSERT_TRUE(client.channel().lend(0, 64).has_value());
        ASSERT_TRUE(client.channel().lend(0, 64).has_value());
        EXPECT_TRUE(client.reads(0, 64, one));
        EXPECT_EQ(client.compare(0, 64, one), Status::success);
        client.channel().unlend(0, 64);
        client.channel().unlend(0, 64);
    });
}

TEST_P(MallocTest, ZeroesALargeRangeInSteps) {
    TestClient client(world_, create(4096, 2048));
    ASSERT_EQ(client.write(0, 2048, one), Status::success);
    TestClient::Call zeroing(Op::write_zeroes, 1, 2046);
    EXPECT_EQ(client.submit(zeroing), Progress::pending);
    EXPECT_FALSE(zeroing.is_done) << "8 MiB are too much for one turn";
    EXPECT_EQ(client.channel().in_flight(), 1U);
    EXPECT_EQ(client.finish(zeroing), Status::success);
    EXPECT_TRUE(client.reads(0, 1, one));
    EXPECT_TRUE(client.reads(1, 2046, zero));
    EXPECT_TRUE(client.reads(2047, 1, one));
}

TEST_P(MallocTest, ALongZeroingCanBeAborted) {
    TestClient client(world_, create(4096, 2048));
    TestClient::Call first(Op::unmap, 0, 2048);
    TestClient::Call second(Op::unmap, 0, 2048);
    TestClient::Call inline_one(Op::unmap, 0, 1);
    EXPECT_EQ(client.submit(first), Progress::pending);
    EXPECT_EQ(client.submit(second), Progress::pending);
    EXPECT_EQ(client.submit(inline_one), Progress::done);
    world_.as(client.thread(), [&] {
        EXPECT_TRUE(client.channel().abort(first.request));
        EXPECT_FALSE(first.is_done) << "not from inside the call";
        EXPECT_FALSE(client.channel().abort(inline_one.request));
    });
    EXPECT_EQ(client.finish(first), Status::aborted);
    EXPECT_EQ(client.finish(second), Status::success);
}

TEST_P(MallocTest, ConsumesDataInline) {
    Device& device = create(512, 64);
    EXPECT_TRUE(device.consumes_data_inline());
    EXPECT_FALSE(device.geometry().has_write_cache);
    TestClient client(world_, device);
    EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
}

TEST_P(MallocTest, ADiskThatCannotBeIsRefused) {
    const auto code = [this](uint32_t block_bytes, uint64_t block_count) {
        return create({.name = "x", .block_bytes = block_bytes, .block_count = block_count}).error().code;
    };
    EXPECT_EQ(code(512, uint64_t{1} << 52), Errc::no_memory);  // 2 EiB
    EXPECT_EQ(code(4096, uint64_t{1} << 51), Errc::no_memory); // 2^63 bytes
    EXPECT_EQ(code(4096, uint64_t{1} << 31), Errc::no_memory); // 8 TiB: addresses there are, memory not
    EXPECT_EQ(code(4096, uint64_t{1} << 52), Errc::invalid_argument);
    EXPECT_EQ(code(4096, 0), Errc::invalid_argument);
    EXPECT_EQ(code(520, 100), Errc::invalid_argument);
    EXPECT_TRUE(registry_.all().empty());
    const auto untouched =
        create({.name = "x", .block_bytes = 512, .block_count = uint64_t{1} << 52, .pretouch = false});
    EXPECT_EQ(untouched.error().code, Errc::no_memory);
}

TEST_P(MallocTest, FindsItselfAName) {
    EXPECT_EQ((*create({.block_count = 10}))->name(), "Malloc0");
    EXPECT_EQ((*create({.block_count = 10}))->name(), "Malloc1");
    ASSERT_TRUE(world_.run(registry_.remove("Malloc0")).has_value());
    EXPECT_EQ((*create({.block_count = 10}))->name(), "Malloc0");
    EXPECT_EQ(create({.name = "Malloc1", .block_count = 10}).error().code, Errc::already_exists);
}

TEST_P(MallocTest, HasTheSameUuidEveryTime) {
    const Uuid uuid = (*create({.name = "disk", .block_count = 10}))->uuid();
    ASSERT_TRUE(world_.run(registry_.remove("disk")).has_value());
    EXPECT_EQ((*create({.name = "disk", .block_count = 20}))->uuid(), uuid);
    EXPECT_NE((*create({.name = "disk2", .block_count = 20}))->uuid(), uuid);
    const Uuid given = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    EXPECT_EQ((*create({.name = "disk3", .block_count = 20, .uuid = given}))->uuid(), given);
}

TEST_P(MallocTest, PretouchesInTheBackground) {
    auto* disk = static_cast<MallocDevice*>(*create({.name = "disk", .block_bytes = 4096, .block_count = 50'000}));
    EXPECT_GT(disk->untouched_bytes(), 0U) << "creation does not wait for it";
    EXPECT_TRUE(world_.wait_for([disk] { return disk->untouched_bytes() == 0; }));
}

TEST_P(MallocTest, RemovalStopsThePretouching) {
    auto* disk = static_cast<MallocDevice*>(*create({.name = "disk", .block_bytes = 4096, .block_count = 100'000}));
    EXPECT_TRUE(world_.wait_for([disk] { return disk->untouched_bytes() < 100'000 * 4096ULL; }));
    EXPECT_GT(disk->untouched_bytes(), 0U);
    EXPECT_TRUE(world_.run(registry_.remove("disk")).has_value());
}

TEST_P(MallocTest, WritesTheCallThatMakesItAgain) {
    const Device* device = *create({.name = "disk",
                                    .block_bytes = 4096,
                                    .block_count = 10,
                                    .uuid = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
                                    .physical_block_bytes = 16384,
                                    .optimal_boundary_blocks = 32});
    EXPECT_EQ(device->geometry().optimal_blocks, 4U);
    Json entries = Json::array();
    device->write_config(entries);
    EXPECT_EQ(dump_json(entries),
              R"([{"method":"bdev_malloc_create","params":{"name":"disk","num_blocks":10,"block_size":4096,)"
              R"("uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","physical_block_size":16384,)"
              R"("optimal_io_boundary":32}}])");
}

using MallocConcurrencyTest = MallocTest;
INSTANTIATE_TEST_SUITE_P(MoreReactors, MallocConcurrencyTest, testing::Values(true));

TEST_P(MallocConcurrencyTest, AWriteIsSeenByAnotherReactorWhenItIsDone) {
    Device& device = create(4096, 64);
    TestClient writer(world_, device, 0);
    TestClient reader(world_, device, 1);
    for (const uint64_t blocks : {1U, 2U, 40U}) {
        const TestClient::Buffer data(blocks * 4096, static_cast<std::byte>(blocks));
        TestClient::Call write(Op::write, 5, blocks, {&data.piece, 1});
        EXPECT_EQ(writer.submit(write), Progress::done);
        EXPECT_TRUE(lent_reads_as(world_, reader, 5, blocks, static_cast<std::byte>(blocks)));
        TestClient::Call zeroing(Op::write_zeroes, 5, blocks);
        EXPECT_EQ(writer.submit(zeroing), Progress::done);
        EXPECT_TRUE(lent_reads_as(world_, reader, 5, blocks, zero));
    }
}

// Callers ask again and again until a write is taken: nobody may keep a lock meanwhile.
TEST_P(MallocConcurrencyTest, ARefusedWriteHoldsNothing) {
    Device& device = create(4096, 128);
    TestClient writer(world_, device, 0);
    TestClient reader(world_, device, 1);
    const TestClient::Buffer data(100 * 4096, one);
    TestClient::Call write(Op::write, 0, 100, {&data.piece, 1});
    world_.as(reader.thread(), [&] { ASSERT_TRUE(reader.channel().lend(99, 1).has_value()); });
    EXPECT_EQ(writer.submit(write), Progress::retry);
    EXPECT_TRUE(lent_reads_as(world_, reader, 96, 3, zero)) << "the step with the lent block has written nothing";
    EXPECT_TRUE(lent_reads_as(world_, reader, 0, 32, one)) << "the steps before it have";
    world_.as(reader.thread(), [&] { reader.channel().unlend(99, 1); });
    EXPECT_EQ(writer.submit(write), Progress::done);
    EXPECT_TRUE(lent_reads_as(world_, reader, 0, 99, one));
}

// On a machine whose files say what memory there is.
class MallocMemoryTest : public testing::Test {
protected:
    void say(const std::string& path, std::string_view text) {
        EXPECT_TRUE(world_.environment().files().write_atomically(path, text).has_value());
    }
    bool fits(uint64_t bytes) {
        const auto made = world_.run(create_malloc_device(registry_, {.block_bytes = 512, .block_count = bytes / 512}));
        if (!made) {
            EXPECT_EQ(made.error().code, Errc::no_memory);
            return false;
        }
        EXPECT_TRUE(world_.run(registry_.remove((*made)->name())).has_value());
        return true;
    }

    sim::World sim_{1};
    TestRuntime world_{sim_.make_environment("target"), 1};
    Registry registry_;
};

TEST_F(MallocMemoryTest, IsWhatMachineAndContainerHaveLeft) {
    constexpr uint64_t mebibyte = uint64_t{1} << 20;
    // 64 MiB of it are left alone.
    say("/proc/meminfo", "MemTotal:       99999 kB\nMemAvailable:   69632 kB\n");
    EXPECT_TRUE(fits(4 * mebibyte));
    EXPECT_FALSE(fits(4 * mebibyte + 512));
    say("/sys/fs/cgroup/memory.max", "70254592\n");
    say("/sys/fs/cgroup/memory.current", "2097152\n");
    EXPECT_TRUE(fits(mebibyte));
    EXPECT_FALSE(fits(2 * mebibyte));
    say("/sys/fs/cgroup/memory.stat", "anon 1048576\nfile 1048576\ninactive_file 1048576\nactive_file 0\n");
    EXPECT_TRUE(fits(2 * mebibyte)) << "what is cached can be had";
    EXPECT_FALSE(fits(3 * mebibyte));
    say("/sys/fs/cgroup/memory.max", "max\n");
    EXPECT_TRUE(fits(4 * mebibyte)) << "no limit but the machine's";
}

}  // namespace
}  // namespace weft::bdev
