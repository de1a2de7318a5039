// Files of a simulated disk, which fails, is full, transfers less than was asked, and takes its time.
#include <gtest/gtest.h>

#include <deque>

#include "bdev/test_client.h"
#include "bdev_modules/file/file_device.h"
#include "env/sim/world.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};
constexpr std::byte one{1};
constexpr std::byte two{2};

class FileFaultTest : public testing::Test {
protected:
    static constexpr uint64_t block_bytes = 512;
    static constexpr uint64_t block_count = 4096;

    void SetUp() override { create({}); }
    void TearDown() override {
        for (const Device* device : registry_.all()) {
            EXPECT_TRUE(world_.run(registry_.remove(device->name())).has_value());
        }
    }
    void create(std::optional<bool> direct, uint32_t device_block_bytes = block_bytes) {
        if (device_ != nullptr) ASSERT_TRUE(world_.run(registry_.remove("disk")).has_value());
        auto file = world_.environment().files().open("/disk", {.create = true});
        ASSERT_TRUE(file.has_value());
        ASSERT_TRUE((*file)->resize(block_bytes * block_count).has_value());
        file->reset();
        device_ = *world_.run(create_file_device(registry_, {.name = "disk",
                                                             .filename = "/disk",
                                                             .block_bytes = device_block_bytes,
                                                             .direct = direct,
                                                             .is_concurrent = true}));
    }
    sim::FileFaults& faults() { return sim_.file_faults("target", "/disk"); }
    void pass_time(env::TimeNs deadline) {
        const env::TimeNs next = std::min(sim_.next_event_time(), deadline);
        if (next == env::time_never) return;
        sim_.advance_to(std::max(next, sim_.now()));
        sim_.deliver_due_events();
    }

    sim::World sim_{1};
    TestRuntime world_{sim_.make_environment("target"), 2, [this](env::TimeNs deadline) { pass_time(deadline); }};
    Registry registry_;
    Device* device_ = nullptr;
};

TEST_F(FileFaultTest, ShortTransfersAreGoneOnWith) {
    faults().short_transfer = 0.7;
    for (const bool direct : {true, false}) {
        create(direct);
        {
            TestClient client(world_, *device_);
            ASSERT_EQ(client.run(Op::unmap, 0, block_count), Status::success);
            expect_behaves_like_a_disk(client, 1, 300);
        }
    }
}

TEST_F(FileFaultTest, WithoutCallsForItZeroesAreWritten) {
    faults().has_zero_range = false;
    faults().has_punch_hole = false;
    faults().short_transfer = 0.3;
    TestClient client(world_, *device_);
    expect_behaves_like_a_disk(client, 1, 300);
    EXPECT_EQ(client.write(0, block_count, one), Status::success);
    EXPECT_EQ(client.run(Op::unmap, 1, block_count - 2), Status::success);
    EXPECT_TRUE(client.reads(1, block_count - 2, zero));
    EXPECT_TRUE(client.reads(0, 1, one));
    EXPECT_TRUE(client.reads(block_count - 1, 1, one));
}

TEST_F(FileFaultTest, ErrorsHaveTheirStatus) {
    TestClient client(world_, *device_);
    ASSERT_EQ(client.write(0, 8, one), Status::success);
    faults().read_error = 1;
    EXPECT_FALSE(client.reads(0, 8, one));
    const TestClient::Buffer buffer(4096, one);
    EXPECT_EQ(client.run(Op::read, 0, 8, {&buffer.piece, 1}), Status::read_error);
    EXPECT_EQ(client.compare(0, 8, one), Status::read_error);
    faults().read_error = 0;
    EXPECT_TRUE(client.reads(0, 8, one)) << "not for ever";

    faults().write_error = 1;
    EXPECT_EQ(client.write(0, 8, one), Status::write_error);
    EXPECT_EQ(client.run(Op::unmap, 0, 8), Status::write_error);
    EXPECT_EQ(client.run(Op::write_zeroes, 0, 8), Status::write_error);
    faults().write_error = 0;
    EXPECT_EQ(client.write(0, 8, two), Status::success);
    EXPECT_TRUE(client.reads(0, 8, two));
    EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success) << "a write that failed was never acknowledged";
}

TEST_F(FileFaultTest, AFullDiskRefusesWhatIsNewOnly) {
    for (const bool direct : {true, false}) {
        create(direct);
        faults().capacity_bytes = 100 * block_bytes;
        TestClient client(world_, *device_);
        EXPECT_EQ(client.write(90, 10, one), Status::success);
        EXPECT_EQ(client.write(100, 10, one), Status::no_space);
        EXPECT_EQ(client.write(95, 10, two), Status::no_space) << "half of it fits";
        EXPECT_EQ(client.write(100, 10, one, true), Status::no_space);
        EXPECT_EQ(client.write(90, 10, two), Status::success);
        EXPECT_TRUE(client.reads(90, 10, two));
        EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
        faults().capacity_bytes = UINT64_MAX;
        EXPECT_EQ(client.write(100, 10, one), Status::success) << "there is space again";
        EXPECT_EQ(client.write(100, 10, one, true), Status::success);
    }
}

TEST_F(FileFaultTest, AFlushThatFailedFailsUntilTheDeviceIsMadeAnew) {
    for (const bool direct : {true, false}) {
        create(direct);
        {
            TestClient client(world_, *device_);
            EXPECT_EQ(client.write(0, 8, one), Status::success);
            EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
            EXPECT_EQ(client.write(0, 8, two), Status::success);
            faults().sync_error = 1;
            EXPECT_EQ(client.run(Op::flush, 0, 0), Status::write_error);
            faults().sync_error = 0;
            EXPECT_EQ(client.run(Op::flush, 0, 0), Status::write_error) << "the kernel would say all is well";
            TestClient other(world_, *device_, 1);
            EXPECT_EQ(other.run(Op::flush, 0, 0), Status::write_error) << "and so on every reactor";
            EXPECT_EQ(client.write(0, 8, one), Status::success);
            EXPECT_TRUE(client.reads(0, 8, one));
        }
        create(direct);
        TestClient client(world_, *device_);
        EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
    }
}

TEST_F(FileFaultTest, AForcedWriteThatCannotBeSyncedSpoilsFlushToo) {
    create(false);
    TestClient client(world_, *device_);
    faults().sync_error = 1;
    EXPECT_EQ(client.write(0, 8, one, true), Status::write_error);
    faults().sync_error = 0;
    EXPECT_EQ(client.run(Op::flush, 0, 0), Status::write_error);
    EXPECT_EQ(client.write(0, 8, one, true), Status::write_error) << "its own data may be what was lost";
}

TEST_F(FileFaultTest, OnlyOneOfSeveralFlushesIsToldAndAllFail) {
    create(false);
    TestClient client(world_, *device_);
    TestClient other(world_, *device_, 1);
    ASSERT_EQ(client.write(0, 8, one), Status::success);
    std::deque<TestClient::Call> calls;
    for (int each = 0; each < 4; ++each) calls.emplace_back(Op::flush, 0, 0);
    faults().sync_error = 1;
    for (size_t at = 0; at < calls.size(); ++at) {
        EXPECT_EQ((at % 2 == 0 ? client : other).submit(calls[at]), Progress::pending);
    }
    // The first is under way; the error is gone before the others have begun.
    ASSERT_TRUE(world_.wait_for([&] { return calls[0].is_done; }));
    faults().sync_error = 0;
    for (TestClient::Call& call : calls) EXPECT_EQ(client.finish(call), Status::write_error);
}

// The kernel has told one reactor, which does not know yet; the other one's sync finds nothing wrong.
TEST_F(FileFaultTest, AFlushDoesNotOvertakeOneThatFailed) {
    TestClient client(world_, *device_);
    TestClient other(world_, *device_, 1);
    ASSERT_EQ(client.write(0, 8, one), Status::success);
    TestClient::Call first(Op::flush, 0, 0);
    TestClient::Call second(Op::flush, 0, 0);
    const auto go_on = [this](TestClient& of) {
        for (int turn = 0; turn < 20; ++turn) {
            while (of.thread().reactor().turn()) {
            }
            pass_time(sim_.now() + env::ns_per_ms);
        }
    };
    faults().sync_error = 1;
    ASSERT_EQ(client.submit(first), Progress::pending);
    client.thread().reactor().turn();
    pass_time(sim_.now() + env::ns_per_s);
    faults().sync_error = 0;
    ASSERT_EQ(other.submit(second), Progress::pending);
    go_on(other);
    EXPECT_FALSE(second.is_done);
    EXPECT_EQ(client.finish(first), Status::write_error);
    EXPECT_EQ(other.finish(second), Status::write_error);
}

TEST_F(FileFaultTest, WhatOverlapsGoesInTheOrderItCame) {
    TestClient client(world_, *device_);
    for (int round = 0; round < 50; ++round) {
        const TestClient::Buffer ones(64 * block_bytes, one);
        const TestClient::Buffer twos(64 * block_bytes, two);
        const TestClient::Buffer before(64 * block_bytes, zero);
        const TestClient::Buffer between(64 * block_bytes, zero);
        const TestClient::Buffer after(64 * block_bytes, zero);
        std::deque<TestClient::Call> calls;
        calls.emplace_back(Op::write, 100, 64, std::span(&ones.piece, 1));
        calls.emplace_back(Op::read, 130, 64, std::span(&before.piece, 1));
        calls.emplace_back(Op::write, 130, 64, std::span(&twos.piece, 1));
        calls.emplace_back(Op::read, 100, 64, std::span(&between.piece, 1));
        calls.emplace_back(Op::write_zeroes, 100, 64);
        calls.emplace_back(Op::read, 100, 64, std::span(&after.piece, 1));
        for (TestClient::Call& call : calls) ASSERT_EQ(client.submit(call), Progress::pending);
        for (TestClient::Call& call : calls) ASSERT_EQ(client.finish(call), Status::success);
        const auto is_all = [](Bytes bytes, std::byte value) {
            return std::ranges::all_of(bytes, [value](std::byte each) { return each == value; });
        };
        EXPECT_TRUE(is_all(before.bytes().first(34 * block_bytes), one));
        EXPECT_TRUE(is_all(between.bytes().first(30 * block_bytes), one));
        EXPECT_TRUE(is_all(between.bytes().subspan(30 * block_bytes), two));
        EXPECT_TRUE(is_all(after.bytes(), zero));
    }
}

TEST_F(FileFaultTest, AnotherReactorsRequestIsWaitedForToo) {
    TestClient client(world_, *device_, 0);
    TestClient other(world_, *device_, 1);
    const TestClient::Buffer ones(64 * block_bytes, one);
    const TestClient::Buffer seen(64 * block_bytes, zero);
    TestClient::Call write(Op::write, 100, 64, {&ones.piece, 1});
    TestClient::Call read(Op::read, 100, 64, {&seen.piece, 1});
    EXPECT_EQ(client.submit(write), Progress::pending);
    EXPECT_EQ(other.submit(read), Progress::pending);
    EXPECT_EQ(client.finish(write), Status::success);
    EXPECT_FALSE(read.is_done);
    EXPECT_EQ(other.finish(read), Status::success);
    EXPECT_TRUE(std::ranges::equal(seen.bytes(), ones.bytes()));
}

// A mirror, say, must know that a block may be torn before another reactor can have read it.
TEST_F(FileFaultTest, NobodyReadsWhatAFailedWriteLeftBeforeItsOwnerKnows) {
    struct Owner {
        RangeLocks& locks;
        RangeLocks::Range reader{
            .first = 163 * block_bytes, .end = 164 * block_bytes, .ticket = 0, .writes = false, .link = {}};
        bool could_read = false;
        bool is_done = false;
    } owner{.locks = static_cast<FileDevice*>(device_)->locks()};
    TestClient client(world_, *device_);
    for (const Status status : {Status::write_error, Status::success}) {
        faults().write_error = status == Status::write_error ? 1 : 0;
        const TestClient::Buffer ones(64 * block_bytes, one);
        TestClient::Call write(Op::write, 100, 64, {&ones.piece, 1});
        write.request.context = &owner;
        write.request.done = [](Request& request) {
            Owner& told = *static_cast<Owner*>(request.context);
            told.could_read = told.locks.enter(told.reader);
            told.locks.leave(told.reader);
            told.is_done = true;
        };
        owner.is_done = false;
        EXPECT_EQ(client.submit(write), Progress::pending);
        EXPECT_TRUE(world_.wait_for([&owner] { return owner.is_done; }));
        EXPECT_EQ(write.request.status, status);
        EXPECT_EQ(owner.could_read, status == Status::success);
    }
    faults().write_error = 0;
    EXPECT_EQ(client.write(100, 64, two), Status::success) << "it is nobody's any more";
}

// What finishes a request of a reactor may need the CPU of another, which waits for it.
TEST_F(FileFaultTest, AReactorRestsWhileItWaitsForAnotherReactorsRequest) {
    TestClient client(world_, *device_, 0);
    TestClient other(world_, *device_, 1);
    const TestClient::Buffer ones(64 * block_bytes, one);
    TestClient::Call first(Op::write, 100, 64, {&ones.piece, 1});
    TestClient::Call second(Op::write, 100, 64, {&ones.piece, 1});
    EXPECT_EQ(client.submit(first), Progress::pending);
    EXPECT_EQ(other.submit(second), Progress::pending);
    Reactor& reactor = other.thread().reactor();
    while (reactor.turn()) {
    }
    const auto rest = reactor.begin_rest();
    ASSERT_TRUE(rest.has_value());
    EXPECT_LE(rest->deadline, sim_.now() + Reactor::ask_again_after) << "nobody wakes it";
    reactor.end_rest();
    EXPECT_EQ(client.finish(first), Status::success);
    EXPECT_EQ(other.finish(second), Status::success);
}

TEST_F(FileFaultTest, WhatWaitsCanBeAborted) {
    TestClient client(world_, *device_);
    const TestClient::Buffer ones(64 * block_bytes, one);
    const TestClient::Buffer twos(64 * block_bytes, two);
    const TestClient::Buffer seen(64 * block_bytes, zero);
    TestClient::Call first(Op::write, 100, 64, {&ones.piece, 1});
    TestClient::Call second(Op::write, 100, 64, {&twos.piece, 1});
    TestClient::Call third(Op::write, 100, 64, {&twos.piece, 1});
    TestClient::Call read(Op::read, 100, 64, {&seen.piece, 1});
    for (TestClient::Call* call : {&first, &second, &third, &read}) ASSERT_EQ(client.submit(*call), Progress::pending);
    world_.as(client.thread(), [&] {
        EXPECT_FALSE(client.channel().abort(first.request)) << "it is under way";
        EXPECT_TRUE(client.channel().abort(second.request));
        EXPECT_TRUE(client.channel().abort(third.request));
        EXPECT_FALSE(second.is_done) << "not from inside the call";
    });
    EXPECT_EQ(client.finish(second), Status::aborted);
    EXPECT_EQ(client.finish(third), Status::aborted);
    EXPECT_EQ(client.finish(first), Status::success);
    EXPECT_EQ(client.finish(read), Status::success);
    EXPECT_TRUE(std::ranges::equal(seen.bytes(), ones.bytes()));
}

TEST_F(FileFaultTest, AFillInStepsCanBeAborted) {
    faults().has_punch_hole = false;
    TestClient client(world_, *device_);
    TestClient::Call unmap(Op::unmap, 0, block_count);
    ASSERT_EQ(client.submit(unmap), Progress::pending);
    world_.as(client.thread(), [&] { EXPECT_FALSE(client.channel().abort(unmap.request)); });
    // After the refused call the first megabyte is under way.
    ASSERT_TRUE(world_.wait_for([&] {
        return unmap.is_done || world_.as(client.thread(), [&] { return client.channel().abort(unmap.request); });
    }));
    EXPECT_EQ(client.finish(unmap), Status::aborted);
}

// A transfer may end within a block; a request that is aborted does not.
TEST_F(FileFaultTest, AnAbortedFillLeavesWholeBlocks) {
    static constexpr uint64_t large = 4096;
    create(true, large);
    faults().has_punch_hole = false;
    faults().short_unit_bytes = 512;
    TestClient client(world_, *device_);
    uint32_t aborted = 0;
    for (uint32_t round = 0; round < 100; ++round) {
        faults().short_transfer = 0;
        ASSERT_EQ(client.write(0, 8, one), Status::success);
        faults().short_transfer = 0.9;
        TestClient::Call unmap(Op::unmap, 0, 8);
        ASSERT_EQ(client.submit(unmap), Progress::pending);
        ASSERT_TRUE(world_.wait_for([&] {
            return unmap.is_done || world_.as(client.thread(), [&] { return client.channel().abort(unmap.request); });
        }));
        if (client.finish(unmap) == Status::aborted) ++aborted;
        const TestClient::Buffer seen(8 * large, two);
        ASSERT_EQ(client.run(Op::read, 0, 8, {&seen.piece, 1}), Status::success);
        for (uint64_t at = 0; at < seen.bytes().size(); at += large) {
            const MutableBytes block = seen.bytes().subspan(at, large);
            ASSERT_TRUE(std::ranges::all_of(block, [&](std::byte byte) { return byte == block.front(); })) << at;
        }
    }
    EXPECT_GT(aborted, 0U);
}

TEST_F(FileFaultTest, ComparesOneAtATime) {
    TestClient client(world_, *device_);
    const TestClient::Buffer zeroes(block_bytes, zero);
    TestClient::Call first(Op::compare, 0, 1, {&zeroes.piece, 1});
    TestClient::Call second(Op::compare, 5, 1, {&zeroes.piece, 1});
    EXPECT_EQ(client.submit(first), Progress::pending);
    EXPECT_EQ(client.submit(second), Progress::retry);
    EXPECT_EQ(client.finish(first), Status::success);
    EXPECT_EQ(client.run(second), Status::success);
}

TEST_F(FileFaultTest, WhatWasForcedOrFlushedSurvivesAPowerFailure) {
    for (const bool direct : {true, false}) {
        create(direct);
        TestClient client(world_, *device_);
        EXPECT_EQ(client.run(Op::write_zeroes, 0, block_count), Status::success);
        EXPECT_EQ(client.write(0, 64, one), Status::success);
        EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
        EXPECT_EQ(client.write(64, 64, two, true), Status::success);
        EXPECT_EQ(client.run(Op::write_zeroes, 100, 28, {}, true), Status::success);
    }
    sim_.crash("target");

    TestRuntime again(sim_.make_environment("target"), 1, [this](env::TimeNs deadline) { pass_time(deadline); });
    Registry registry;
    Device* device = *again.run(create_file_device(registry, {.name = "disk", .filename = "/disk"}));
    {
        TestClient client(again, *device);
        EXPECT_TRUE(client.reads(0, 64, one));
        EXPECT_TRUE(client.reads(64, 36, two));
        EXPECT_TRUE(client.reads(100, 28, zero));
    }
    EXPECT_TRUE(again.run(registry.remove("disk")).has_value());
}

}  // namespace
}  // namespace weft::bdev
