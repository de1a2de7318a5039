// I/O through a whole stack in the simulated world: segments of any size, small windows, delays.
#include <gtest/gtest.h>

#include <deque>

#include "nvme_host/test_world.h"

namespace weft::nvme_host {
namespace {

struct TestCommand {
    Io io;
    iovec piece{};
    std::vector<std::byte> data;
    uint64_t block = 0;
    int done_count = 0;

    void prepare(nvme::IoOpcode opcode, uint64_t first_block, uint32_t blocks) {
        block = first_block;
        data.resize(size_t{blocks} * FakeTarget::block_bytes);
        piece = {.iov_base = data.data(), .iov_len = data.size()};
        io.data = {&piece, 1};
        io.command.opcode = static_cast<uint8_t>(opcode);
        io.command.nsid = 1;
        io.command.set_lba_range(first_block, blocks);
        io.context = this;
        io.done = [](Io& done) { ++static_cast<TestCommand*>(done.context)->done_count; };
    }
};

Task<void> wait_for_all(const std::deque<TestCommand>& commands) {
    const auto is_done = [](const TestCommand& one) { return one.done_count > 0; };
    while (!std::ranges::all_of(commands, is_done)) co_await sleep_for(20 * env::ns_per_us);
}

// Writes ranges of all sizes, more than the depth at a time, and reads them back.
Task<void> write_and_read(TestWorld& world, Qpair& qpair) {
    sim::Prng& prng = world.world.prng();
    std::deque<TestCommand> writes;
    uint64_t block = 0;
    while (block + 256 < world.target->storage.size() / FakeTarget::block_bytes) {
        const auto blocks = static_cast<uint32_t>(prng.between(1, 256));
        TestCommand& write = writes.emplace_back();
        write.prepare(nvme::IoOpcode::write, block, blocks);
        prng.fill(write.data);
        block += blocks;
    }
    for (TestCommand& one : writes) qpair.submit(one.io);
    co_await wait_for_all(writes);
    std::deque<TestCommand> reads;
    for (const TestCommand& write : writes) {
        EXPECT_EQ(write.done_count, 1);
        EXPECT_TRUE(write.io.is_success()) << nvme::describe(write.io.status());
        reads.emplace_back().prepare(nvme::IoOpcode::read, write.block,
                                     static_cast<uint32_t>(write.data.size() / FakeTarget::block_bytes));
    }
    for (TestCommand& one : reads) qpair.submit(one.io);
    co_await wait_for_all(reads);
    for (size_t at = 0; at < reads.size(); ++at) {
        EXPECT_TRUE(reads[at].io.is_success()) << nvme::describe(reads[at].io.status());
        EXPECT_EQ(reads[at].io.bytes_moved, reads[at].data.size());
        EXPECT_EQ(reads[at].data, writes[at].data);
    }
}

TEST(Qpair, MovesDataUnharmed) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        TestWorld world(seed);
        world.target->success_flag = seed % 2 == 0;
        ControllerOptions options = world.options();
        options.header_digest = seed % 3 == 0;
        options.data_digest = seed % 5 < 2;
        options.data_alignment = static_cast<uint8_t>(seed % 4 * 3);
        options.io_depth = static_cast<uint32_t>(seed % 7 + 1);
        const auto error =
            world.with_controller(options, [&](Controller& controller, tcp::ConnectionGroup& group) -> Task<void> {
                auto qpair = co_await controller.create_io_qpair(group);
                EXPECT_TRUE(qpair) << qpair.error().message;
                EXPECT_EQ((*qpair)->depth(), seed % 7 + 1);
                co_await write_and_read(world, **qpair);
            });
        EXPECT_FALSE(error) << error->message;
    }
}

TEST(Qpair, LivesOnAnotherThread) {
    TestWorld world(3);
    const auto error =
        world.with_controller(world.options(), [&](Controller& controller, tcp::ConnectionGroup&) -> Task<void> {
            co_await resume_on(*world.other_thread);
            auto group = tcp::ConnectionGroup::create(Thread::current());
            co_await resume_on(*world.thread);
            auto qpair = co_await controller.create_io_qpair(**group);
            EXPECT_TRUE(qpair);
            EXPECT_EQ(&(*qpair)->thread(), world.other_thread);
            co_await resume_on(*world.other_thread);
            co_await write_and_read(world, **qpair);
            co_await resume_on(*world.thread);
            co_await controller.destroy_io_qpair(**qpair);
            co_await resume_on(*world.other_thread);
            group->reset();
            co_await resume_on(*world.thread);
        });
    EXPECT_FALSE(error) << error->message;
}

TEST(Qpair, AreAsManyAsTheControllerGrants) {
    TestWorld world;
    world.target->granted_queues = 1;
    const auto error =
        world.with_controller(world.options(), [&](Controller& controller, tcp::ConnectionGroup& group) -> Task<void> {
            EXPECT_EQ(controller.io_queue_limit(), 1u);
            auto first = co_await controller.create_io_qpair(group);
            EXPECT_TRUE(first);
            auto second = co_await controller.create_io_qpair(group);
            EXPECT_FALSE(second);
            EXPECT_EQ(second.error().code, Errc::too_many);
            co_await controller.destroy_io_qpair(**first);
            auto third = co_await controller.create_io_qpair(group);
            EXPECT_TRUE(third);
        });
    EXPECT_FALSE(error) << error->message;
}

TEST(Qpair, GivesBackEveryCommandWhenItsConnectionBreaks) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        TestWorld world(seed);
        const auto error = world.with_controller(
            world.options(), [&](Controller& controller, tcp::ConnectionGroup& group) -> Task<void> {
                auto qpair = co_await controller.create_io_qpair(group);
                EXPECT_TRUE(qpair);
                std::deque<TestCommand> commands;
                for (uint64_t count = 0; count < 200; ++count) {
                    commands.emplace_back().prepare(count % 2 == 0 ? nvme::IoOpcode::read : nvme::IoOpcode::write,
                                                    count * 8, 32);
                    (*qpair)->submit(commands.back().io);
                }
                co_await sleep_for(world.world.prng().below(5 * env::ns_per_ms));
                const auto connections = world.world.connections();
                if (seed % 3 == 0) {
                    world.target->close_all();
                } else if (seed % 3 == 1) {
                    world.world.reset_connection(connections.back().id);
                } else {
                    co_await controller.destroy_io_qpair(**qpair);
                }
                co_await wait_for_all(commands);
                for (const TestCommand& one : commands) {
                    EXPECT_EQ(one.done_count, 1);
                    EXPECT_TRUE(one.io.is_success() || one.io.status().is(nvme::status::host_path_error));
                }
            });
        EXPECT_FALSE(error) << error->message;
    }
}

TEST(Qpair, EndsWhenACommandIsNotAnsweredInTime) {
    TestWorld world;
    ControllerOptions options = world.options();
    options.io_timeout = env::ns_per_s;
    const auto error =
        world.with_controller(options, [&](Controller& controller, tcp::ConnectionGroup& group) -> Task<void> {
            auto qpair = co_await controller.create_io_qpair(group);
            EXPECT_TRUE(qpair);
            world.target->ignore = [](const nvme::Command&, bool admin) { return !admin; };
            TestCommand read;
            read.prepare(nvme::IoOpcode::read, 0, 1);
            co_await Execute(**qpair, read.io);
            EXPECT_TRUE(read.io.status().is(nvme::status::host_path_error));
            EXPECT_NE((*qpair)->failure(), nullptr);
            EXPECT_EQ((*qpair)->failure()->code, Errc::timed_out);
        });
    EXPECT_FALSE(error) << error->message;
}

}  // namespace
}  // namespace weft::nvme_host
