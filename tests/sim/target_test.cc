// Target and host together in one OS thread: what a host writes it reads again, whatever the network does to the
// segments, and nothing is left behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "nvme/describe.h"
#include "nvme_host/admin.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
using nvme_host::Execute;
using nvme_host::Io;
using nvme_host::Qpair;

constexpr uint32_t block_bytes = 512;
constexpr uint64_t block_count = 2048;

std::unique_ptr<bdev::Device> ram_disk(bool is_concurrent = false, uint32_t block = block_bytes) {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = block;
    options.block_count = block_count;
    options.is_concurrent = is_concurrent;
    options.pretouch = false;
    auto device = bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"}));
    EXPECT_TRUE(device);
    return std::move(*device);
}

nvme::Command command_of(nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.set_lba_range(slba, blocks);
    return command;
}

// One command with its data, to its end.
Task<nvme::Status> execute(Qpair& qpair, nvme::Command command, MutableBytes data) {
    Io io;
    io.command = command;
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    if (!data.empty()) io.data = {&piece, 1};
    co_await Execute(qpair, io);
    co_return io.status();
}

#define EXPECT_STATUS(actual, expected) EXPECT_TRUE((actual).is(expected)) << nvme::describe(actual)

struct Shape {
    bool header_digest;
    bool data_digest;
    bool flow_control;
    bool is_null;
    size_t reactors;
};

// Writes and reads of all sizes at random places, checked against a copy of the disk; several queues.
Task<void> random_io(Rig& rig, Shape shape, int operations) {
    auto options = rig.host_options(0);
    options.header_digest = shape.header_digest;
    options.data_digest = shape.data_digest;
    options.sq_flow_control = shape.flow_control;
    auto connected = co_await Controller::connect(rig.host_group(0), options);
    EXPECT_TRUE(connected) << connected.error().message;
    if (!connected) co_return;
    Controller& controller = **connected;
    std::vector<Qpair*> qpairs;
    for (size_t at = 0; at < 2; ++at) {
        auto qpair = co_await controller.create_io_qpair(rig.host_group(0));
        EXPECT_TRUE(qpair) << qpair.error().message;
        if (!qpair) co_return;
        qpairs.push_back(*qpair);
    }
    sim::Prng& prng = rig.world().prng();
    std::vector<std::byte> disk(block_bytes * block_count);
    for (int done = 0; done < operations; ++done) {
        const uint32_t blocks = static_cast<uint32_t>(prng.coin() ? prng.between(1, 8) : prng.between(1, 256));
        const uint64_t slba = prng.below(block_count - blocks + 1);
        const MutableBytes model = MutableBytes(disk).subspan(slba * block_bytes, size_t{blocks} * block_bytes);
        std::vector<std::byte> data(model.size());
        Qpair& qpair = *qpairs[prng.below(qpairs.size())];
        switch (prng.below(8)) {
            case 0:
            case 1:
            case 2:
                prng.fill(data);
                EXPECT_STATUS(co_await execute(qpair, command_of(nvme::IoOpcode::write, slba, blocks), data),
                              nvme::status::success);
                std::ranges::copy(data, model.begin());
                break;
            case 3:
                EXPECT_STATUS(co_await execute(qpair, command_of(nvme::IoOpcode::write_zeroes, slba, blocks), {}),
                              nvme::status::success);
                std::ranges::fill(model, std::byte{0});
                break;
            case 4:
                std::ranges::copy(model, data.begin());
                EXPECT_STATUS(co_await execute(qpair, command_of(nvme::IoOpcode::compare, slba, blocks), data),
                              nvme::status::success);
                data[prng.below(data.size())] ^= std::byte{1};
                EXPECT_STATUS(co_await execute(qpair, command_of(nvme::IoOpcode::compare, slba, blocks), data),
                              nvme::status::compare_failure);
                break;
            default:
                EXPECT_STATUS(co_await execute(qpair, command_of(nvme::IoOpcode::read, slba, blocks), data),
                              nvme::status::success);
                EXPECT_TRUE(std::ranges::equal(data, model)) << "read of " << blocks << " blocks at " << slba;
                break;
        }
    }
    co_await controller.disconnect();
}

class RandomIo : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomIo, ReadsWhatWasWritten) {
    const uint64_t seed = GetParam();
    const Shape shape{(seed & 1) != 0, (seed & 2) != 0, (seed & 4) != 0, false, 1 + (seed >> 3) % 2};
    Rig rig(seed, {.data_reactors = shape.reactors, .hosts = 1, .world = {}});
    nvmf::TransportOptions options;
    options.in_capsule_data_size = (seed & 8) != 0 ? 8192 : 4096;
    options.io_unit_size = (seed & 16) != 0 ? 8192 : 131072;
    options.num_shared_buffers = (seed & 32) != 0 ? 32 : 511;
    options.zero_copy_reads = (seed & 2) != 0;
    rig.run(rig.export_device(ram_disk(shape.reactors > 1), options));
    rig.run_on_host(0, random_io(rig, shape, 60));
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomIo, testing::Range(uint64_t{1}, uint64_t{33}));

TEST(Sim, TheSameSeedGivesTheSameRun) {
    const auto hash_of = [](uint64_t seed) {
        Rig rig(seed);
        rig.run(rig.export_device(ram_disk()));
        rig.run_on_host(0, random_io(rig, {true, true, false, false, 1}, 30));
        return rig.world().trace_hash();
    };
    EXPECT_EQ(hash_of(7), hash_of(7));
    EXPECT_NE(hash_of(7), hash_of(8));
}

// Many commands at once, all sizes, from one queue: each is done exactly once and each block is right.
struct Parallel {
    Io io;
    std::vector<std::byte> data;
    iovec piece{};
    uint64_t slba = 0;
    int* left = nullptr;
};

std::byte pattern(uint64_t slba) { return static_cast<std::byte>(slba / 8 * 7 + 1); }

Task<void> deep_queue(Rig& rig, uint32_t depth, uint32_t blocks = 8) {
    auto connected = co_await Controller::connect(rig.host_group(0), rig.host_options(0));
    EXPECT_TRUE(connected) << connected.error().message;
    if (!connected) co_return;
    auto qpair = co_await (*connected)->create_io_qpair(rig.host_group(0));
    EXPECT_TRUE(qpair) << qpair.error().message;
    if (!qpair) co_return;
    for (const bool is_write : {true, false}) {
        std::vector<std::unique_ptr<Parallel>> all;
        int left = static_cast<int>(depth);
        for (uint32_t at = 0; at < depth; ++at) {
            auto one = std::make_unique<Parallel>();
            one->slba = uint64_t{at} * blocks % block_count;
            // Those that share blocks write the same.
            one->data.assign(size_t{blocks} * block_bytes, is_write ? pattern(one->slba) : std::byte{0});
            one->piece = {.iov_base = one->data.data(), .iov_len = one->data.size()};
            one->left = &left;
            one->io.command = command_of(is_write ? nvme::IoOpcode::write : nvme::IoOpcode::read, one->slba, blocks);
            one->io.data = {&one->piece, 1};
            one->io.context = one.get();
            one->io.done = [](Io& io) { --*static_cast<Parallel*>(io.context)->left; };
            all.push_back(std::move(one));
        }
        for (const auto& one : all) (*qpair)->submit(one->io);
        while (left > 0) co_await sleep_for(100 * env::ns_per_us);
        EXPECT_EQ(left, 0);
        for (uint32_t at = 0; at < depth; ++at) {
            EXPECT_TRUE(all[at]->io.is_success());
            const std::byte expected = pattern(all[at]->slba);
            EXPECT_TRUE(std::ranges::all_of(all[at]->data, [expected](std::byte byte) { return byte == expected; }));
        }
    }
    co_await (*connected)->disconnect();
}

TEST(Sim, AFullQueueOfCommandsIsDoneOnceEach) {
    for (uint64_t seed = 100; seed < 110; ++seed) {
        Rig rig(seed);
        rig.run(rig.export_device(ram_disk()));
        rig.run_on_host(0, deep_queue(rig, 127));
        rig.run_for(env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

// Two buffers for all: commands wait for them in turn, some in the middle of what was received, and none is lost.
TEST(Sim, AFewBuffersServeManyCommands) {
    for (uint64_t seed = 400; seed < 420; ++seed) {
        Rig rig(seed);
        nvmf::TransportOptions options;
        options.num_shared_buffers = 2;
        options.buf_cache_size = 1;
        rig.run(rig.export_device(ram_disk(), options));
        rig.run_on_host(0, deep_queue(rig, 100, seed % 2 == 0 ? 8 : 256));
        rig.run_for(env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

// A host that connects and works until its connection fails or it has done enough.
Task<void> work_until_lost(Rig& rig, size_t host, bool& ended) {
    auto options = rig.host_options(host);
    options.admin_timeout = 5 * env::ns_per_s;
    options.io_timeout = 5 * env::ns_per_s;
    auto connected = co_await Controller::connect(rig.host_group(host), options);
    if (connected) {
        auto qpair = co_await (*connected)->create_io_qpair(rig.host_group(host));
        std::vector<std::byte> data(size_t{64} * block_bytes);
        for (int done = 0; qpair && done < 100; ++done) {
            const auto opcode = done % 2 == 0 ? nvme::IoOpcode::write : nvme::IoOpcode::read;
            const nvme::Status outcome = co_await execute(**qpair, command_of(opcode, 0, 64), data);
            if (!outcome.is_success()) break;
        }
        co_await (*connected)->disconnect();
    }
    ended = true;
}

TEST(Sim, ALostConnectionLeavesNothingAndDisturbsNobody) {
    for (uint64_t seed = 200; seed < 240; ++seed) {
        Rig rig(seed, {.data_reactors = 2, .hosts = 2, .world = {}});
        rig.run(rig.export_device(ram_disk(true)));
        bool ended[2] = {false, false};
        for (size_t host = 0; host < 2; ++host) {
            const CurrentThread scope(&rig.host_group(host).thread());
            spawn(work_until_lost(rig, host, ended[host]));
        }
        // Somewhere in handshake, Connect, identify or I/O.
        rig.run_for(rig.world().prng().below(10 * env::ns_per_ms));
        for (const auto& connection : rig.world().connections()) {
            if (connection.from == "host0") rig.world().reset_connection(connection.id);
        }
        for (int second = 0; second < 60 && !(ended[0] && ended[1]); ++second) rig.run_for(env::ns_per_s);
        EXPECT_TRUE(ended[0] && ended[1]) << "seed " << seed;
        rig.run_for(20 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

// Namespaces come and go, and change size, while a host works on another one.
TEST(Sim, NamespacesChangeUnderLoad) {
    for (uint64_t seed = 300; seed < 310; ++seed) {
        Rig rig(seed, {.data_reactors = 2, .hosts = 1, .world = {}});
        rig.run(rig.export_device(ram_disk(true)));
        bool ended = false;
        {
            const CurrentThread scope(&rig.host_group(0).thread());
            spawn(work_until_lost(rig, 0, ended));
        }
        rig.run([](Rig& r) -> Task<void> {
            nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
            for (int round = 0; round < 10; ++round) {
                auto made = bdev::create_null_device(r.bdevs(), {.name = "Null0", .block_count = 1000});
                EXPECT_TRUE(made);
                auto nsid = co_await subsystem.add_namespace({.bdev_name = "Null0"});
                EXPECT_TRUE(nsid) << nsid.error().message;
                co_await sleep_for(r.world().prng().below(env::ns_per_ms));
                // The device goes first: its namespace follows.
                const Result<void> removed = co_await r.bdevs().remove("Null0");
                EXPECT_TRUE(removed) << removed.error().message;
                EXPECT_EQ(subsystem.namespaces().size(), 1U);
            }
        }(rig));
        for (int second = 0; second < 60 && !ended; ++second) rig.run_for(env::ns_per_s);
        EXPECT_TRUE(ended) << "seed " << seed;
        rig.run_for(20 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

}  // namespace
}  // namespace weft::test
