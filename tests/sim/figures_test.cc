// What the target counts is what the host did: a queue, a namespace, a host, a device.
#include <gtest/gtest.h>

#include <numeric>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme_host/admin.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Execute;
using nvme_host::Io;
using nvme_host::Qpair;
using nvmf::IoKind;

constexpr uint32_t block_bytes = 512;
constexpr uint64_t block_count = 2048;

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = block_bytes;
    options.block_count = block_count;
    options.pretouch = false;
    auto device = bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"}));
    EXPECT_TRUE(device);
    return std::move(*device);
}

Task<void> execute(Qpair& qpair, nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks, bool succeeds) {
    std::vector<std::byte> data(opcode == nvme::IoOpcode::flush ? 0 : size_t{blocks} * block_bytes);
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    Io io;
    io.command.opcode = static_cast<uint8_t>(opcode);
    io.command.nsid = 1;
    if (!data.empty()) {
        io.command.set_lba_range(slba, blocks);
        io.data = {&piece, 1};
    }
    co_await Execute(qpair, io);
    EXPECT_EQ(io.status().is_success(), succeeds);
}

uint64_t in_buckets(const bdev::OpStatistics& figures) {
    const auto& counts = figures.latencies.counts;
    return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

void expect_what_was_done(const nvmf::IoFigures& io) {
    EXPECT_EQ(io.of(IoKind::write).operations, 2U);
    EXPECT_EQ(io.of(IoKind::write).bytes, (8U + 256U) * block_bytes);
    EXPECT_EQ(io.of(IoKind::read).operations, 3U);
    EXPECT_EQ(io.of(IoKind::read).bytes, 3U * 4U * block_bytes);
    EXPECT_EQ(io.of(IoKind::other).operations, 1U);
    EXPECT_EQ(io.of(IoKind::other).bytes, 0U);
    EXPECT_EQ(io.errors, 1U);
    EXPECT_EQ(in_buckets(io.of(IoKind::write)), 2U);
    EXPECT_EQ(in_buckets(io.of(IoKind::read)), 3U);
    // The long write waits for the host's data; the short one has it in its capsule.
    EXPECT_GT(io.of(IoKind::write).latency_ns_max, io.of(IoKind::write).latency_ns_min);
}

Task<void> look_at_target(Rig& rig, const std::string& hostnqn, bool is_connected) {
    nvmf::PollGroup& group = *rig.target().poll_groups().front();
    const uint32_t id = rig.target().find_subsystem(Rig::nqn)->identity().id;
    co_await resume_on(group.thread());
    const nvmf::NamespaceView* ns = group.subsystem(id)->find(1);
    expect_what_was_done(ns->io.figures());
    const bdev::Statistics& disk = ns->channel->statistics();
    EXPECT_EQ(disk.of(bdev::Op::write).operations, 2U);
    EXPECT_EQ(disk.of(bdev::Op::read).operations, 3U);
    EXPECT_EQ(in_buckets(disk.of(bdev::Op::read)), 3U);
    size_t queues = 0;
    for (const nvmf::Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (at->io == nullptr) continue;
        ++queues;
        expect_what_was_done(at->io->figures());
    }
    EXPECT_EQ(queues, is_connected ? 1U : 0U);
    EXPECT_EQ(group.past_hosts().count(hostnqn), is_connected ? 0U : 1U);
    if (!is_connected) expect_what_was_done(group.past_hosts().at(hostnqn));
    const nvmf::TransportFigures moved = group.transports().front()->transport_figures();
    EXPECT_GT(moved.received_bytes, (8U + 256U) * block_bytes);
    EXPECT_GT(moved.sent_bytes, 12U * block_bytes);
    EXPECT_EQ(moved.connections, 2U);
    EXPECT_EQ(moved.current_connections, is_connected ? 2U : 0U);
    EXPECT_EQ(moved.terminations, 0U);
    co_await resume_on(rig.target_runtime().app_thread());
}

TEST(Figures, AreWhatTheHostDid) {
    Rig rig(1);
    rig.run(rig.export_device(ram_disk()));
    const auto options = rig.host_options(0);
    std::unique_ptr<nvme_host::Controller> controller;
    rig.run_on_host(0, [](Rig& world, auto& made, const auto& wanted) -> Task<void> {
        auto connected = co_await nvme_host::Controller::connect(world.host_group(0), wanted);
        EXPECT_TRUE(connected);
        made = std::move(*connected);
        auto qpair = co_await made->create_io_qpair(world.host_group(0));
        EXPECT_TRUE(qpair);
        co_await execute(**qpair, nvme::IoOpcode::write, 0, 8, true);
        co_await execute(**qpair, nvme::IoOpcode::write, 100, 256, true);
        for (uint64_t slba = 0; slba < 3; ++slba) co_await execute(**qpair, nvme::IoOpcode::read, slba, 4, true);
        co_await execute(**qpair, nvme::IoOpcode::flush, 0, 0, true);
        co_await execute(**qpair, nvme::IoOpcode::read, block_count, 4, false);
    }(rig, controller, options));
    rig.run(look_at_target(rig, options.hostnqn, true));
    rig.run_on_host(0, [](auto& made) -> Task<void> {
        co_await made->disconnect();
        made.reset();
    }(controller));
    rig.run_for(env::ns_per_s);
    rig.run(look_at_target(rig, options.hostnqn, false));
}

}  // namespace
}  // namespace weft::test
