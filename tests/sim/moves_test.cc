// Poll groups move from reactor to reactor while hosts read and write: nothing is lost, done twice or left behind.
#include <gtest/gtest.h>

#include <algorithm>

#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "nvme_host/admin.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
using nvme_host::Io;

constexpr uint32_t block_bytes = 4096;
constexpr uint64_t block_count = 3 * 40 * 12;
constexpr size_t reactor_count = 3;

// Moves threads at random until told to stop.
struct Mover {
    explicit Mover(Rig& its_rig) : rig(its_rig) {
        const CurrentThread scope(&rig.target_runtime().app_thread());
        spawn(run());
    }
    Task<void> run() {
        Placement& placement = rig.target_runtime().placement();
        while (!stop) {
            const auto places = co_await placement.look();
            const auto& place = places[rig.world().prng().below(places.size())];
            const auto moved = co_await placement.move(place.thread_id, rig.world().prng().below(reactor_count));
            EXPECT_TRUE(moved) << moved.error().message;
            ++moves;
            co_await sleep_for(rig.world().prng().between(1, 300) * env::ns_per_us);
        }
        is_stopped = true;
    }
    Rig& rig;
    int moves = 0;
    bool stop = false;
    bool is_stopped = false;
};

// One command after another on its own blocks of the disk; many of these at a time on one queue.
struct Worker {
    Io io;
    iovec piece{};
    std::vector<std::byte> data;
    uint64_t slba = 0;
    uint32_t blocks = 0;
    uint32_t left = 0;
    uint32_t round = 0;
    bool is_write = true;
    nvme_host::Qpair* qpair = nullptr;

    [[nodiscard]] std::byte pattern() const { return static_cast<std::byte>(slba * 7 + round + 1); }
    void submit() {
        std::ranges::fill(data, is_write ? pattern() : std::byte{0});
        piece = {.iov_base = data.data(), .iov_len = data.size()};
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(is_write ? nvme::IoOpcode::write : nvme::IoOpcode::read);
        command.nsid = 1;
        command.set_lba_range(slba, blocks);
        io.command = command;
        io.data = {&piece, 1};
        io.context = this;
        io.done = [](Io& done) { static_cast<Worker*>(done.context)->on_done(); };
        qpair->submit(io);
    }
    void on_done() {
        EXPECT_TRUE(io.is_success());
        if (!is_write) {
            EXPECT_TRUE(std::ranges::all_of(data, [this](std::byte byte) { return byte == pattern(); })) << slba;
            ++round;
        }
        is_write = !is_write;
        if (--left > 0) submit();
    }
};

Task<void> work(Rig& rig, size_t depth, uint32_t commands) {
    auto connected = co_await Controller::connect(rig.host_group(0), rig.host_options(0));
    EXPECT_TRUE(connected) << connected.error().message;
    if (!connected) co_return;
    std::vector<std::unique_ptr<Worker>> workers;
    for (size_t queue = 0; queue < 3; ++queue) {
        auto qpair = co_await (*connected)->create_io_qpair(rig.host_group(0));
        EXPECT_TRUE(qpair) << qpair.error().message;
        if (!qpair) co_return;
        for (size_t at = 0; at < depth; ++at) {
            auto worker = std::make_unique<Worker>();
            worker->blocks = at % 4 == 0 ? 12 : 1;
            worker->slba = (queue * depth + at) * 12;
            worker->data.resize(size_t{worker->blocks} * block_bytes);
            worker->left = commands;
            worker->qpair = *qpair;
            workers.push_back(std::move(worker));
        }
    }
    for (const auto& worker : workers) worker->submit();
    const auto is_done = [](const auto& worker) { return worker->left == 0; };
    while (!std::ranges::all_of(workers, is_done)) co_await sleep_for(100 * env::ns_per_us);
    co_await (*connected)->disconnect();
}

class Moves : public testing::TestWithParam<uint64_t> {};

TEST_P(Moves, LoseNothing) {
    const uint64_t seed = GetParam();
    Rig rig(seed, {.data_reactors = reactor_count, .hosts = 1, .world = {}});
    rig.run([](Rig& r, bool is_file, uint64_t size) -> Task<void> {
        nvmf::TransportOptions options;
        options.num_shared_buffers = 64;
        if (!is_file) {
            bdev::MallocOptions malloc;
            malloc.name = "disk";
            malloc.block_bytes = block_bytes;
            malloc.block_count = block_count;
            malloc.is_concurrent = true;
            malloc.pretouch = false;
            co_await r.export_device(*bdev::MallocDevice::create(malloc, Uuid::from_names({"sim", "disk"})), options);
            co_return;
        }
        env::Files& files = r.target_runtime().environment().files();
        auto file = files.open("/disk", {.create = true});
        EXPECT_TRUE(file && (*file)->resize(size));
        file->reset();
        const auto made = co_await bdev::create_file_device(
            r.bdevs(), {.name = "disk", .filename = "/disk", .block_bytes = block_bytes, .is_concurrent = true});
        EXPECT_TRUE(made) << made.error().message;
        co_await r.export_device("disk", options);
    }(rig, seed % 2 == 0, block_bytes * block_count));
    Mover mover(rig);
    rig.run_on_host(0, work(rig, 40, 20));
    mover.stop = true;
    while (!mover.is_stopped) rig.run_for(env::ns_per_ms);
    rig.run_for(env::ns_per_s);
    EXPECT_GT(mover.moves, 5);
    EXPECT_TRUE(rig.target_is_idle());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Moves, testing::Range(uint64_t{1}, uint64_t{17}));

}  // namespace
}  // namespace weft::test
