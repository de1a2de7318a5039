// Disks for tests of raids: they hold data, take their time if they are told to, and fail as they are told.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bdev/data_cursor.h"
#include "bdev/device.h"
#include "bdev/registry.h"
#include "bdev/test_client.h"
#include "bdev_modules/raid/raids.h"
#include "rpc/json.h"

namespace weft::bdev {

class TestDisk;

// Ends requests later, in any order, when the disk is slow. What a request does is done when it ends.
class TestDiskChannel final : public Channel {
public:
    explicit TestDiskChannel(TestDisk& disk) : disk_(disk), poller_(*this) {}

protected:
    Progress start(Request& request) override;

private:
    class Later final : public Poller {
    public:
        explicit Later(TestDiskChannel& channel) : Poller(Thread::current(), "test_disk", 0), channel_(channel) {}
        uint32_t poll() override { return channel_.end_some(); }

    private:
        TestDiskChannel& channel_;
    };
    uint32_t end_some();

    TestDisk& disk_;
    std::vector<Request*> started_;
    std::minstd_rand random_{7};
    Later poller_;
};

class TestDisk final : public Device {
public:
    TestDisk(const std::string& name, const Geometry& geometry, std::vector<std::byte> kept = {})
        : Device(name, Uuid::from_names({"test disk", name}), geometry),
          data(std::make_unique<std::vector<std::byte>>(std::move(kept))) {
        data->resize(geometry.block_bytes * geometry.block_count);
    }
    [[nodiscard]] std::string_view product_name() const override { return "Test disk"; }
    [[nodiscard]] bool supports(Op op) const override { return op <= Op::write_zeroes || op == Op::compare; }

    Status perform(Request& request) {
        const bool reads_only = is_read(request.op);
        const uint64_t end = request.lba + request.blocks;
        const bool is_bad = request.lba < bad_end && bad_begin < end;
        if (reads_only && (fails_reads || is_bad)) return Status::read_error;
        if (!reads_only && fails_writes) return Status::write_error;
        if (!reads_only && request.op != Op::flush) {
            if (request.lba < refuses_end && refuses_begin < end) {
                if (tears) std::memset(data->data() + request.lba * block_bytes(), 0xDD, block_bytes() / 2);
                return Status::write_error;
            }
            if (writes_left == 0) return Status::write_error;
            --writes_left;
        }
        if (request.op == Op::write && is_bad && request.lba <= bad_begin && end >= bad_end) bad_begin = bad_end = 0;
        if (request.op == Op::flush) return Status::success;
        std::byte* const place = data->data() + request.lba * block_bytes();
        const size_t bytes = request.blocks * block_bytes();
        if (request.op == Op::unmap || request.op == Op::write_zeroes) {
            std::memset(place, 0, bytes);
            return Status::success;
        }
        DataCursor cursor(request.data);
        for (size_t at = 0; at < bytes;) {
            const MutableBytes piece = cursor.next(bytes - at);
            if (request.op == Op::read) std::memcpy(piece.data(), place + at, piece.size());
            if (request.op == Op::write) std::memcpy(place + at, piece.data(), piece.size());
            if (request.op == Op::compare && std::memcmp(piece.data(), place + at, piece.size()) != 0) {
                return Status::miscompare;
            }
            at += piece.size();
        }
        return Status::success;
    }
    static bool is_read(Op op) { return op == Op::read || op == Op::compare; }
    void resize(uint64_t blocks) {
        data->resize(blocks * block_bytes());
        set_block_count(blocks);
    }

    std::atomic<bool> is_slow = false;
    std::atomic<bool> keeps_reads = false, keeps_writes = false;  // while it is slow: none ends
    std::atomic<bool> fails_reads = false;
    std::atomic<bool> fails_writes = false;
    std::atomic<bool> fails_to_open = false;
    std::atomic<uint64_t> bad_begin = 0, bad_end = 0;  // cannot be read until it is written
    std::atomic<uint64_t> refuses_begin = 0, refuses_end = 0;  // cannot be written
    std::atomic<bool> tears = false;  // … and half of a block is written all the same
    std::atomic<uint64_t> writes_left = UINT64_MAX;            // after these all fail
    std::atomic<uint64_t> reads = 0, writes = 0;
    std::unique_ptr<std::vector<std::byte>> data;

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override {
        if (fails_to_open) return fail(Errc::io_error, "this disk cannot be opened");
        return std::make_unique<TestDiskChannel>(*this);
    }
};

inline Progress TestDiskChannel::start(Request& request) {
    ++(request.op == Op::read ? disk_.reads : disk_.writes);
    if (!disk_.is_slow && started_.empty()) {
        request.status = disk_.perform(request);
        return Progress::done;
    }
    if (random_() % 8 == 0) return Progress::retry;
    started_.push_back(&request);
    return Progress::pending;
}

inline uint32_t TestDiskChannel::end_some() {
    uint32_t ended = 0;
    for (size_t count = started_.size(); count > 0; --count) {
        if (random_() % 2 == 0) continue;
        const size_t at = random_() % started_.size();
        Request& request = *started_[at];
        if (TestDisk::is_read(request.op) ? disk_.keeps_reads : disk_.keeps_writes) continue;
        started_.erase(started_.begin() + static_cast<ptrdiff_t>(at));
        finish(request, disk_.perform(request));
        ++ended;
    }
    return ended;
}

// Disks A, B, C … and raids on them.
class RaidWorld : public testing::Test {
protected:
    static constexpr uint64_t mib = 2048;  // blocks
    void SetUp() override {
        registry_.set_io_thread(world_.data_thread());
        world_.as(world_.app(), [this] { raids_ = std::make_unique<Raids>(registry_, accel_, true); });
    }
    void TearDown() override {
        client_.reset();
        world_.run(ended(registry_.remove_all()));
        forget_all();
        world_.settle();
        EXPECT_TRUE(raids_->all().empty());
    }
    void forget_all() {
        while (!raids_->all().empty()) world_.run(ended(raids_->all().front()->destroy(false)));
    }
    static Task<bool> ended(Task<void> task) {
        co_await std::move(task);
        co_return true;
    }
    TestDisk& add_disk(const std::string& name, uint64_t blocks = 256, uint32_t block_bytes = 512,
                       std::vector<std::byte> kept = {}) {
        return world_.as(world_.app(), [&]() -> TestDisk& {
            const Geometry geometry{.block_bytes = block_bytes, .block_count = blocks, .alignment_bytes = 64};
            return *static_cast<TestDisk*>(*registry_.add(std::make_unique<TestDisk>(name, geometry, std::move(kept))));
        });
    }
    void add_disks(size_t count, uint64_t blocks = 256) {
        for (size_t at = 0; at < count; ++at) add_disk(std::string(1, static_cast<char>('A' + at)), blocks);
        examined();
    }
    bool is_configured(size_t slot) { return facts()["base_bdevs_list"][slot]["is_configured"] == true; }
    void slow(bool is_on) {
        for (Device* device : registry_.all()) {
            if (auto* test_disk = dynamic_cast<TestDisk*>(device)) test_disk->is_slow = is_on;
        }
    }
    TestDisk& disk(const std::string& name) { return static_cast<TestDisk&>(*registry_.find(name)); }
    void remove_disk(const std::string& name) { ASSERT_TRUE(world_.run(registry_.remove(name)).has_value()) << name; }
    void examined() { world_.run(ended(registry_.wait_for_examine())); }
    Errc create(RaidArray::Params params) {
        const auto done = world_.run(raids_->create(std::move(params)));
        if (!done) last_error_ = done.error().message;
        return done ? Errc{} : done.error().code;
    }
    // Errc{} is success too: what is returned for it.
    static constexpr Errc fine = Errc{};
    bool make(RaidLevel level, size_t bases, uint32_t strip_kb = 0, bool has_superblock = false) {
        RaidArray::Params params{.name = "raid",
                                 .uuid = {},
                                 .level = level,
                                 .strip_kb = strip_kb,
                                 .has_superblock = has_superblock,
                                 .bases = {}};
        for (size_t at = 0; at < bases; ++at) params.bases.emplace_back(1, static_cast<char>('A' + at));
        const auto done = world_.run(raids_->create(std::move(params)));
        if (!done) ADD_FAILURE() << done.error().message;
        return done.has_value();
    }
    Device& raid() { return *registry_.find("raid"); }
    RaidArray& array() { return *raids_->find("raid"); }
    TestClient& client() {
        if (!client_) client_.emplace(world_, raid());
        return *client_;
    }
    bool add_base(const std::string& name) {
        const auto done = world_.run(raids_->add_base("raid", name));
        if (!done) last_error_ = done.error().message;
        return done.has_value();
    }
    bool remove_base(const std::string& name) { return world_.run(raids_->remove_base(name)).has_value(); }
    [[nodiscard]] bool is_rebuilding() {
        Json facts = Json::object();
        array().describe_members(facts);
        return facts.contains("process");
    }
    bool rebuilt() {
        return world_.wait_for([this] { return !is_rebuilding(); });
    }
    Json facts() {
        Json facts = Json::object();
        array().describe_members(facts);
        return facts;
    }

    TestRuntime world_{2};
    accel::Framework accel_;
    Registry registry_;
    std::unique_ptr<Raids> raids_;
    std::optional<TestClient> client_;
    std::string last_error_;
};

}  // namespace weft::bdev
