// A user of a device in tests: requests that are waited for, and a comparison with a model of what a disk is.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <vector>

#include "bdev/device.h"
#include "bdev/test_runtime.h"

namespace weft::bdev {

class TestClient {
public:
    TestClient(TestRuntime& world, Device& device, size_t reactor = 0)
        : world_(world), thread_(world.data_thread(reactor)), device_(device) {
        channel_ = world_.as(thread_, [this] {
            auto channel = device_.channel();
            WEFT_ASSERT(channel.has_value());
            return std::move(*channel);
        });
    }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;
    ~TestClient() {
        world_.as(thread_, [this] { channel_.reset(); });
        world_.settle();
    }

    [[nodiscard]] Channel& channel() { return *channel_; }
    [[nodiscard]] Thread& thread() { return thread_; }
    [[nodiscard]] Device& device() { return device_; }

    // A request that tells when it is done.
    struct Call {
        Request request;
        bool is_done = false;
        Call(Op op, uint64_t lba, uint64_t blocks, std::span<const iovec> data = {}) {
            request.op = op;
            request.lba = lba;
            request.blocks = blocks;
            request.data = data;
            request.context = this;
            request.done = [](Request& done) { static_cast<Call*>(done.context)->is_done = true; };
        }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
    };
    Progress submit(Call& call) {
        const Progress progress = world_.as(thread_, [&] { return channel_->submit(call.request); });
        if (progress == Progress::done) call.is_done = true;
        return progress;
    }
    Status finish(Call& call) {
        WEFT_ASSERT(world_.wait_for([&] { return call.is_done; }));
        return call.request.status;
    }
    Status run(Call& call) {
        while (submit(call) == Progress::retry) world_.turn();
        return finish(call);
    }
    Status run(Op op, uint64_t lba, uint64_t blocks, std::span<const iovec> data = {}, bool fua = false) {
        Call call(op, lba, blocks, data);
        call.request.fua = fua;
        return run(call);
    }
    // With one piece of memory, which is aligned for any device.
    Status write(uint64_t lba, uint64_t blocks, std::byte fill, bool fua = false) {
        const Buffer buffer(blocks * device_.block_bytes(), fill);
        return run(Op::write, lba, blocks, {&buffer.piece, 1}, fua);
    }
    Status compare(uint64_t lba, uint64_t blocks, std::byte expected) {
        const Buffer buffer(blocks * device_.block_bytes(), expected);
        return run(Op::compare, lba, blocks, {&buffer.piece, 1});
    }
    // The range reads as `expected` throughout.
    testing::AssertionResult reads(uint64_t lba, uint64_t blocks, std::byte expected) {
        const Buffer buffer(blocks * device_.block_bytes(), std::byte{0xEE});
        const Status status = run(Op::read, lba, blocks, {&buffer.piece, 1});
        if (status != Status::success) return testing::AssertionFailure() << name_of(status);
        const auto wrong = std::ranges::find_if(buffer.bytes(), [&](std::byte byte) { return byte != expected; });
        if (wrong == buffer.bytes().end()) return testing::AssertionSuccess();
        return testing::AssertionFailure()
               << "byte " << wrong - buffer.bytes().begin() << " is " << static_cast<int>(*wrong);
    }

    struct Buffer {
        static constexpr std::align_val_t alignment{4096};
        Buffer(size_t bytes, std::byte fill) : piece{.iov_base = ::operator new(bytes, alignment), .iov_len = bytes} {
            std::ranges::fill(this->bytes(), fill);
        }
        Buffer(const Buffer&) = delete;
        Buffer& operator=(const Buffer&) = delete;
        ~Buffer() { ::operator delete(piece.iov_base, alignment); }
        [[nodiscard]] MutableBytes bytes() const { return {static_cast<std::byte*>(piece.iov_base), piece.iov_len}; }
        iovec piece;
    };

private:
    TestRuntime& world_;
    Thread& thread_;
    Device& device_;
    ChannelRef<Channel> channel_;
};

// `memory` cut into pieces at random places that are multiples of `unit`.
inline std::vector<iovec> cut_up(MutableBytes memory, size_t unit, std::minstd_rand& random) {
    std::vector<iovec> pieces;
    while (!memory.empty()) {
        const size_t units_max = std::min<size_t>(memory.size() / unit, 1 + random() % 40);
        const size_t bytes = unit * std::uniform_int_distribution<size_t>(0, units_max)(random);
        pieces.push_back({memory.data(), bytes});
        memory = memory.subspan(bytes);
    }
    return pieces;
}

// Random operations on a device that reads as zero; after each its answer is what a plain array would give. One in
// `sync_every` must be on stable storage: on a real disk that others use too, that takes long.
inline void expect_behaves_like_a_disk(TestClient& client, uint32_t seed, uint32_t rounds, uint32_t sync_every = 4) {
    const uint64_t block_bytes = client.device().block_bytes();
    const uint64_t block_count = client.device().block_count();
    const size_t unit = client.device().geometry().alignment_bytes;
    std::vector<std::byte> model(block_bytes * block_count);
    std::minstd_rand random(seed);
    for (uint32_t round = 0; round < rounds; ++round) {
        const uint64_t lba = random() % block_count;
        const uint64_t blocks_max = std::clamp<uint64_t>(262144 / block_bytes, 1, 64);
        const uint64_t blocks = 1 + random() % std::min(block_count - lba, blocks_max);
        const MutableBytes place = MutableBytes(model).subspan(lba * block_bytes, blocks * block_bytes);
        const TestClient::Buffer buffer(place.size(), static_cast<std::byte>(random()));
        const std::vector<iovec> pieces = cut_up(buffer.bytes(), unit, random);
        Status expected = Status::success;
        const bool is_synced = random() % sync_every == 0;
        const Op any_op =
            std::array{Op::read, Op::write, Op::write, Op::compare, Op::unmap, Op::write_zeroes}[random() % 6];
        const Op op = is_synced && random() % 3 == 0 ? Op::flush : any_op;
        if (op == Op::compare && random() % 2 == 0) std::ranges::copy(place, buffer.bytes().begin());
        if (op == Op::compare && !std::ranges::equal(place, buffer.bytes())) expected = Status::miscompare;
        if (op == Op::write) std::ranges::copy(buffer.bytes(), place.begin());
        if (op == Op::unmap || op == Op::write_zeroes) std::ranges::fill(place, std::byte{0});
        ASSERT_EQ(client.run(op, lba, blocks, pieces, is_synced), expected)
            << "round " << round << ": " << name_of(op) << " of " << blocks << " blocks at " << lba;
        if (op == Op::read) ASSERT_TRUE(std::ranges::equal(place, buffer.bytes())) << "round " << round;
    }
}

// The same for the ops that not every device has; those that this one has not are left out.
inline void expect_behaves_like_a_clever_disk(TestClient& client, uint32_t seed, uint32_t rounds) {
    Device& device = client.device();
    const uint64_t block_bytes = device.block_bytes();
    const uint64_t block_count = device.block_count();
    const size_t unit = device.geometry().alignment_bytes;
    std::vector<std::byte> model(block_bytes * block_count);
    const auto at = [&](uint64_t lba, uint64_t blocks) {
        return MutableBytes(model).subspan(lba * block_bytes, blocks * block_bytes);
    };
    const TestClient::Buffer all(model.size(), std::byte{0});
    ASSERT_EQ(client.run(Op::write, 0, block_count, {&all.piece, 1}), Status::success);
    std::minstd_rand random(seed);
    for (uint32_t round = 0; round < rounds; ++round) {
        const Op op = std::array{Op::compare_and_write, Op::copy, Op::verify, Op::write}[random() % 4];
        if (!device.supports(op)) continue;
        const uint64_t blocks_max = std::clamp<uint64_t>(compare_and_write_bytes_max / block_bytes, 1, 40);
        const uint64_t lba = random() % block_count;
        const uint64_t blocks = 1 + random() % std::min(block_count - lba, blocks_max);
        const TestClient::Buffer data(blocks * block_bytes, static_cast<std::byte>(random()));
        const TestClient::Buffer expected(blocks * block_bytes, std::byte{0});
        std::ranges::copy(at(lba, blocks), expected.bytes().begin());
        const std::vector<iovec> pieces = cut_up(data.bytes(), unit, random);
        const std::vector<iovec> expected_pieces = cut_up(expected.bytes(), unit, random);
        TestClient::Call call(op, lba, blocks,
                              has_data(op) ? std::span<const iovec>(pieces) : std::span<const iovec>());
        Status outcome = Status::success;
        if (op == Op::compare_and_write) {
            call.request.expected = expected_pieces;
            if (random() % 3 == 0) {
                expected.bytes()[random() % expected.bytes().size()] ^= std::byte{1};
                outcome = Status::miscompare;
            }
        }
        if (op == Op::copy) {
            call.request.source_lba = random() % (block_count - blocks + 1);
            const uint64_t from = call.request.source_lba;
            if (from < lba + blocks && lba < from + blocks) outcome = Status::failed;
            if (outcome == Status::success) std::ranges::copy(at(from, blocks), data.bytes().begin());
        }
        ASSERT_EQ(client.run(call), outcome)
            << "round " << round << ": " << name_of(op) << " of " << blocks << " at " << lba;
        if (op != Op::verify && outcome == Status::success) std::ranges::copy(data.bytes(), at(lba, blocks).begin());
    }
    ASSERT_EQ(client.run(Op::read, 0, block_count, {&all.piece, 1}), Status::success);
    EXPECT_TRUE(std::ranges::equal(all.bytes(), model));
}

}  // namespace weft::bdev
