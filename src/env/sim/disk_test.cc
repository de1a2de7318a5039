#include "env/sim/disk.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <set>

#include "env/sim/world.h"

namespace weft::sim {
namespace {

using env::FileOperation;
using Kind = FileOperation::Kind;
constexpr size_t sector_bytes = Contents::sector_bytes;
constexpr size_t sectors = 64;

struct Operation : FileOperation {
    std::vector<std::byte> buffer;
    iovec piece{};
    bool is_done = false;
};

class Machine1 {
public:
    explicit Machine1(uint64_t seed) : world(seed) { start(); }

    void start() {
        machine = world.make_environment("machine");
        queue = std::move(*machine->make_file_queue());
        file = std::move(*machine->files().open("/disk", {.create = true}));
    }

    void crash_and_start() {
        world.crash("machine");
        operations.clear();
        file.reset();
        queue.reset();
        start();
    }

    Operation& submit(Kind kind, uint64_t offset, size_t size = 0, uint8_t fill = 0) {
        Operation& operation = operations.emplace_back();
        operation.kind = kind;
        operation.file = file.get();
        operation.offset = offset;
        operation.length = size;
        operation.buffer.assign(kind == Kind::read || kind == Kind::write ? size : 0, static_cast<std::byte>(fill));
        operation.piece = {.iov_base = operation.buffer.data(), .iov_len = operation.buffer.size()};
        operation.data = std::span(&operation.piece, 1);
        operation.done = [](FileOperation& self) { static_cast<Operation&>(self).is_done = true; };
        queue->submit(operation);
        queue->flush();
        return operation;
    }

    Operation& run(Kind kind, uint64_t offset, size_t size = 0, uint8_t fill = 0) {
        Operation& operation = submit(kind, offset, size, fill);
        while (!operation.is_done && world.step()) queue->reap();
        EXPECT_TRUE(operation.is_done);
        return operation;
    }

    // The first byte of each sector; all of a sector must be alike.
    std::vector<int> sector_fills() {
        const Operation& read = run(Kind::read, 0, sectors * sector_bytes);
        std::vector<int> fills;
        for (size_t at = 0; at < read.buffer.size(); at += sector_bytes) {
            const Bytes sector = Bytes(read.buffer).subspan(at, sector_bytes);
            for (const std::byte byte : sector) EXPECT_EQ(byte, sector[0]);
            fills.push_back(std::to_integer<int>(sector[0]));
        }
        return fills;
    }

    World world;
    std::unique_ptr<env::Environment> machine;
    std::unique_ptr<env::FileQueue> queue;
    std::unique_ptr<env::File> file;
    std::deque<Operation> operations;
};

TEST(SimDisk, ACrashKeepsWhatWasSyncedAndDecidesEachOtherSector) {
    std::set<int> seen;
    size_t mixed = 0;
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        Machine1 disk(seed);
        disk.run(Kind::write, 0, sectors * sector_bytes, 1);
        disk.run(Kind::sync_data, 0);
        disk.run(Kind::write, 0, sectors * sector_bytes / 2, 2);
        EXPECT_EQ(disk.sector_fills().front(), 2);  // seen before it is durable
        disk.crash_and_start();
        const std::vector<int> fills = disk.sector_fills();
        ASSERT_EQ(fills.size(), sectors);
        const std::set<int> first(fills.begin(), fills.begin() + sectors / 2);
        EXPECT_EQ(std::set<int>(fills.begin() + sectors / 2, fills.end()), std::set<int>{1});
        for (const int fill : first) EXPECT_TRUE(fill == 1 || fill == 2);
        if (first.size() == 2) ++mixed;
        disk.crash_and_start();
        EXPECT_EQ(disk.sector_fills(), fills);  // it is decided once
    }
    EXPECT_GT(mixed, 40u);
}

TEST(SimDisk, ASyncedWriteIsDurableByItself) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Machine1 disk(seed);
        ASSERT_TRUE(disk.file->resize(sectors * sector_bytes));
        Operation& write = disk.submit(Kind::write, 0, sectors * sector_bytes, 7);
        write.sync = true;  // the world has not looked at it yet
        while (!write.is_done && disk.world.step()) disk.queue->reap();
        disk.crash_and_start();
        for (const int fill : disk.sector_fills()) EXPECT_EQ(fill, 7);
    }
}

TEST(SimDisk, ASyncCoversOnlyWhatWasDoneBeforeIt) {
    std::set<int> seen;
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        Machine1 disk(seed);
        disk.run(Kind::write, 0, sectors * sector_bytes, 1);
        Operation& sync = disk.submit(Kind::sync_data, 0);
        Operation& write = disk.submit(Kind::write, 0, sectors * sector_bytes, 2);
        while (!(sync.is_done && write.is_done) && disk.world.step()) disk.queue->reap();
        disk.crash_and_start();
        for (const int fill : disk.sector_fills()) {
            EXPECT_TRUE(fill == 1 || fill == 2) << fill;
            seen.insert(fill);
        }
    }
    EXPECT_EQ(seen, (std::set<int>{1, 2}));
}

TEST(SimDisk, SyncsThatOverlapNeverTakeBack) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        Machine1 disk(seed);
        disk.run(Kind::write, 0, sectors * sector_bytes, 1);
        Operation& early = disk.submit(Kind::sync_data, 0);
        disk.run(Kind::write, 0, sectors * sector_bytes, 2);
        Operation& late = disk.submit(Kind::sync_data, 0);
        while (!(early.is_done && late.is_done) && disk.world.step()) disk.queue->reap();
        disk.crash_and_start();
        for (const int fill : disk.sector_fills()) EXPECT_EQ(fill, 2);
    }
}

TEST(SimDisk, AWriteUnderWayAtACrashMayBeTorn) {
    std::set<int> seen;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Machine1 disk(seed);
        disk.run(Kind::write, 0, sectors * sector_bytes, 1);
        disk.run(Kind::sync_data, 0);
        const Operation& write = disk.submit(Kind::write, 0, sectors * sector_bytes, 2);
        EXPECT_FALSE(write.is_done);
        disk.crash_and_start();
        for (const int fill : disk.sector_fills()) seen.insert(fill);
    }
    EXPECT_EQ(seen, (std::set<int>{1, 2}));
}

TEST(SimDisk, CompletesInAnyOrder) {
    bool is_reversed = false;
    for (uint64_t seed = 1; seed <= 20 && !is_reversed; ++seed) {
        Machine1 disk(seed);
        const Operation& first = disk.submit(Kind::write, 0, 512, 1);
        const Operation& second = disk.submit(Kind::write, 512, 512, 2);
        while (!first.is_done && !second.is_done && disk.world.step()) disk.queue->reap();
        is_reversed = second.is_done;
        while (disk.world.step()) disk.queue->reap();
    }
    EXPECT_TRUE(is_reversed);
}

TEST(SimDisk, FailsAsToldPerFile) {
    Machine1 disk(1);
    disk.run(Kind::write, 0, 4096, 1);
    FileFaults& faults = disk.world.file_faults("machine", "/disk");

    faults.read_error = 1;
    EXPECT_EQ(disk.run(Kind::read, 0, 512).error, Errc::io_error);
    faults.read_error = 0;
    faults.write_error = 1;
    EXPECT_TRUE(disk.run(Kind::write, 0, 512, 9).failed);
    faults.write_error = 0;
    faults.sync_error = 1;
    EXPECT_TRUE(disk.run(Kind::sync_data, 0).failed);
    faults.sync_error = 0;

    faults.short_transfer = 1;
    const Operation& read = disk.run(Kind::read, 0, 4096);
    EXPECT_FALSE(read.failed);
    EXPECT_GT(read.bytes, 0u);
    EXPECT_LT(read.bytes, 4096u);
    faults.short_transfer = 0;

    faults.capacity_bytes = 5000;
    EXPECT_EQ(disk.run(Kind::write, 4096, 4096, 3).bytes, 904u);
    EXPECT_EQ(disk.run(Kind::write, 8192, 4096, 3).error, Errc::no_space);
    faults.has_zero_range = false;
    EXPECT_EQ(disk.run(Kind::zero_range, 0, 4096).error, Errc::not_supported);
    EXPECT_FALSE(disk.run(Kind::punch_hole, 0, 4096).failed);

    disk.world.file_faults("machine", "/state").write_error = 1;
    EXPECT_EQ(disk.machine->files().write_atomically("/state", "x").error().code, Errc::io_error);
    EXPECT_EQ(disk.machine->files().read_all("/state", 10).error().code, Errc::not_found);
}

TEST(SimDisk, ACrashFreesLocksAndDescriptorsAndKeepsWholeFiles) {
    Machine1 disk(3);
    auto locked = std::move(*disk.machine->files().open("/locked", {.create = true, .exclusive = true}));
    ASSERT_TRUE(disk.machine->files().write_atomically("/state", "durable"));
    disk.world.set_descriptor_limit("machine", 2);
    disk.crash_and_start();
    locked.reset();
    const auto again = disk.machine->files().open("/locked", {.exclusive = true});
    EXPECT_TRUE(again) << again.error().message;
    EXPECT_EQ(disk.machine->files().read_all("/state", 100), "durable");
}

TEST(SimDisk, IsTheSameForTheSameSeed) {
    const auto run = [](uint64_t seed) {
        Machine1 disk(seed);
        disk.world.file_faults("machine", "/disk") = {.read_error = 0.1, .write_error = 0.1, .short_transfer = 0.2};
        for (int round = 0; round < 50; ++round) {
            const uint64_t sector = disk.world.prng().below(sectors);
            const Kind kind = disk.world.prng().coin() ? Kind::write : Kind::read;
            disk.submit(kind, sector * sector_bytes, 2048, static_cast<uint8_t>(round));
            if (round % 8 == 0) disk.submit(Kind::sync_data, 0);
            if (disk.world.prng().coin()) disk.world.step();
            disk.queue->reap();
            if (round == 30) disk.crash_and_start();
        }
        while (disk.world.step()) disk.queue->reap();
        return disk.world.trace_hash();
    };
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        EXPECT_EQ(run(seed), run(seed));
        hashes.insert(run(seed));
    }
    EXPECT_EQ(hashes.size(), 20u);
}

TEST(Contents, ReadsZeroWhereNothingWasWrittenAndAfterShrinking) {
    Contents contents;
    contents.resize(uint64_t{1} << 40);  // costs nothing
    std::array<std::byte, 1000> bytes;
    bytes.fill(std::byte{5});
    contents.write(4000, bytes);
    EXPECT_EQ(contents.read(4500, bytes), 1000u);
    EXPECT_EQ(bytes[499], std::byte{5});
    EXPECT_EQ(bytes[500], std::byte{0});
    contents.resize(4100);
    contents.resize(10'000);
    EXPECT_EQ(contents.read(4099, bytes), 1000u);
    EXPECT_EQ(bytes[0], std::byte{5});
    EXPECT_EQ(bytes[1], std::byte{0});
    EXPECT_EQ(contents.read(9999, bytes), 1u);
    EXPECT_EQ(contents.read(10'000, bytes), 0u);
}

}  // namespace
}  // namespace weft::sim
