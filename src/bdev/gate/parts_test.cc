// Requests that are cut, and ops that a device has not.
#include "bdev/gate/parts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bdev/gate/fake_picky_device.h"
#include "bdev/test_client.h"

namespace weft::bdev {

namespace {

using Call = TestClient::Call;

const std::set<Op> every_op{Op::read,         Op::write,   Op::flush, Op::unmap,
                            Op::write_zeroes, Op::compare, Op::copy,  Op::verify};
const std::set<Op> poor_ops{Op::read, Op::write, Op::flush, Op::unmap};

constexpr Geometry plain{.block_bytes = 512, .block_count = 4096};

Geometry with(const auto& change) {
    Geometry geometry = plain;
    change(geometry);
    return geometry;
}

// How a device may be awkward: each with all ops, and with few.
const std::vector<Geometry>& awkward_geometries() {
    static const std::vector<Geometry> all{
        plain,
        with([](Geometry& g) { g.boundary_blocks = 7; }),
        with([](Geometry& g) { g.max_rw_blocks = 5; }),
        with([](Geometry& g) { g.max_segments = 1; }),
        with([](Geometry& g) { g.max_segments = 3; }),
        with([](Geometry& g) { g.max_segment_bytes = 512; }),
        with([](Geometry& g) {
            g.max_segments = 2;
            g.max_segment_bytes = 1024;
            g.boundary_blocks = 16;
        }),
        with([](Geometry& g) {
            g.max_unmap_blocks = 3;
            g.max_write_zeroes_blocks = 4;
            g.max_copy_blocks = 2;
        }),
    };
    return all;
}

TEST(PartsTest, ADeviceWithLimitsIsADiskLikeAnyOther) {
    for (size_t at = 0; at < awkward_geometries().size(); ++at) {
        for (const bool is_later : {true, false}) {
            for (const uint32_t retry_one_in : {0U, 3U}) {
                SCOPED_TRACE(testing::Message() << "geometry " << at << (is_later ? ", later" : ", at once")
                                                << ", retries " << retry_one_in);
                TestRuntime world;
                PickyDevice device("Picky0", awkward_geometries()[at], every_op);
                device.is_later = is_later;
                device.retry_one_in = retry_one_in;
                TestClient client(world, device);
                expect_behaves_like_a_disk(client, 3, 150);
                EXPECT_EQ(client.channel().in_flight(), 0U);
            }
        }
    }
}

TEST(PartsTest, ADeviceWithFewOpsIsADiskLikeAnyOther) {
    for (size_t at = 0; at < awkward_geometries().size(); ++at) {
        for (const bool is_later : {true, false}) {
            SCOPED_TRACE(testing::Message() << "geometry " << at << (is_later ? ", later" : ", at once"));
            TestRuntime world;
            PickyDevice device("Picky0", awkward_geometries()[at], poor_ops);
            device.is_later = is_later;
            device.retry_one_in = 5;
            TestClient client(world, device);
            expect_behaves_like_a_disk(client, 4, 150);
            expect_behaves_like_a_clever_disk(client, 5, 150);
            EXPECT_EQ(client.channel().in_flight(), 0U);
        }
    }
}

class PartTest : public testing::Test {
protected:
    void make(const Geometry& geometry, const std::set<Op>& ops = every_op) {
        device_.emplace("Picky0", geometry, ops);
        client_.emplace(world_, *device_);
    }
    PickyChannel& channel() { return static_cast<PickyChannel&>(client_->channel()); }

    TestRuntime world_;
    std::optional<PickyDevice> device_;
    std::optional<TestClient> client_;
    TestClient::Buffer buffer_{size_t{512} * 1024, std::byte{0x5A}};
};

TEST_F(PartTest, WhatKeepsTheLimitsIsNotTouched) {
    make(with([](Geometry& g) { g.boundary_blocks = 8; }));
    EXPECT_EQ(client_->write(8, 8, std::byte{1}), Status::success);
    EXPECT_EQ(device_->starts, 1U);
    EXPECT_EQ(client_->write(7, 2, std::byte{1}), Status::success);
    EXPECT_EQ(device_->starts, 3U);
    EXPECT_EQ(channel().statistics().of(Op::write).operations, 2U) << "parts are not the user's";
    EXPECT_EQ(channel().statistics().of(Op::write).bytes, 512U * 10);
}

TEST_F(PartTest, ABoundedNumberIsUnderWay) {
    make(with([](Geometry& g) { g.max_unmap_blocks = 1; }));
    device_->is_stuck = true;
    Call call(Op::unmap, 0, 1000);
    EXPECT_EQ(client_->submit(call), Progress::pending);
    world_.settle();
    EXPECT_EQ(channel().pending().size(), Parts::under_way_max);
    device_->is_stuck = false;
    EXPECT_EQ(client_->finish(call), Status::success);
    EXPECT_EQ(device_->starts, 1000U);
    EXPECT_EQ(device_->under_way_max, Parts::under_way_max);
}

TEST_F(PartTest, ManyRequestsShareWhatThereIsAndAllEnd) {
    make(with([](Geometry& g) { g.max_unmap_blocks = 1; }));
    std::vector<std::unique_ptr<Call>> calls;
    for (uint64_t at = 0; at < 40; ++at) {
        calls.push_back(std::make_unique<Call>(Op::unmap, at * 100, 100));
        EXPECT_EQ(client_->submit(*calls.back()), Progress::pending);
    }
    for (const auto& call : calls) EXPECT_EQ(client_->finish(*call), Status::success);
    EXPECT_LE(device_->under_way_max, Parts::parts_max);
    EXPECT_EQ(device_->starts, 4000U);
}

TEST_F(PartTest, TheFirstErrorIsTheError) {
    make(with([](Geometry& g) { g.max_rw_blocks = 1; }));
    device_->fails_at = 20;
    Call call(Op::write, 0, 1024, {&buffer_.piece, 1});
    EXPECT_EQ(client_->run(call), Status::write_error);
    EXPECT_LT(device_->starts, 20U + Parts::under_way_max + 1) << "nothing is begun after it";
    EXPECT_EQ(channel().statistics().errors[static_cast<size_t>(Status::write_error)], 1U);
}

TEST_F(PartTest, AbortReachesThePartsAndStopsTheRest) {
    make(with([](Geometry& g) { g.max_unmap_blocks = 1; }));
    device_->is_stuck = true;
    Call call(Op::unmap, 0, 1000);
    client_->submit(call);
    world_.settle();
    world_.as(client_->thread(), [&] {
        EXPECT_TRUE(channel().abort(call.request));
        EXPECT_TRUE(channel().abort(call.request)) << "once more changes nothing";
    });
    EXPECT_EQ(client_->finish(call), Status::aborted);
    EXPECT_EQ(device_->starts, Parts::under_way_max);
    EXPECT_EQ(channel().in_flight(), 0U);
}

TEST_F(PartTest, AbortOfOneThatWaitsForParts) {
    make(with([](Geometry& g) { g.max_unmap_blocks = 1; }));
    device_->is_stuck = true;
    std::vector<std::unique_ptr<Call>> calls;
    for (uint64_t at = 0; at < 10; ++at) {
        calls.push_back(std::make_unique<Call>(Op::unmap, at * 100, 100));
        client_->submit(*calls.back());
    }
    world_.settle();
    world_.as(client_->thread(), [&] { EXPECT_TRUE(channel().abort(calls.back()->request)); });
    EXPECT_EQ(client_->finish(*calls.back()), Status::aborted);
    device_->is_stuck = false;
    for (size_t at = 0; at < 9; ++at) EXPECT_EQ(client_->finish(*calls[at]), Status::success);
}

TEST_F(PartTest, DataInMorePiecesThanAPartHasIsBounced) {
    make(with([](Geometry& g) { g.max_segments = 4; }));
    // 600 pieces of one byte are in the first blocks: no part holds them.
    std::vector<iovec> pieces;
    auto* at = static_cast<std::byte*>(buffer_.piece.iov_base);
    for (int count = 0; count < 600; ++count) pieces.push_back({at++, 1});
    pieces.push_back({at, 512 * 4 - 600});
    EXPECT_EQ(client_->run(Op::write, 10, 4, pieces), Status::success);
    EXPECT_TRUE(client_->reads(10, 4, std::byte{0x5A}));
    std::ranges::fill(buffer_.bytes(), std::byte{0});
    EXPECT_EQ(client_->run(Op::read, 10, 4, pieces), Status::success);
    EXPECT_TRUE(std::ranges::all_of(buffer_.bytes().first(size_t{512} * 4),
                                    [](std::byte byte) { return byte == std::byte{0x5A}; }));
}

TEST_F(PartTest, WritesAreOfWholeUnits) {
    make(with([](Geometry& g) {
        g.write_unit_blocks = 4;
        g.max_rw_blocks = 6;
    }));
    EXPECT_EQ(client_->write(0, 12, std::byte{1}), Status::success);
    EXPECT_EQ(device_->starts, 3U) << "not cut inside a unit";
    EXPECT_EQ(client_->write(1, 4, std::byte{1}), Status::failed);
    EXPECT_EQ(client_->write(4, 3, std::byte{1}), Status::failed);
    EXPECT_TRUE(client_->reads(3, 5, std::byte{1}));
}

TEST_F(PartTest, OrIntoSingleUnits) {
    make(with([](Geometry& g) {
        g.write_unit_blocks = 4;
        g.splits_on_write_unit = true;
    }));
    EXPECT_EQ(client_->write(0, 12, std::byte{1}), Status::success);
    EXPECT_EQ(device_->starts, 3U);
}

TEST_F(PartTest, SaysWhatMayBeAskedOfIt) {
    make(plain, poor_ops);
    for (const Op op : {Op::compare, Op::compare_and_write, Op::copy, Op::verify, Op::write_zeroes}) {
        EXPECT_FALSE(device_->supports(op));
        EXPECT_TRUE(device_->accepts(op)) << name_of(op);
    }
    EXPECT_FALSE(device_->accepts(Op::write_uncorrectable));
    client_.reset();
    make(plain, {Op::read});
    EXPECT_TRUE(device_->accepts(Op::compare));
    EXPECT_FALSE(device_->accepts(Op::copy));
    EXPECT_FALSE(device_->accepts(Op::unmap)) << "nobody would know that it does nothing";
    EXPECT_EQ(client_->run(Op::unmap, 0, 1), Status::not_supported);
}

TEST_F(PartTest, ALongZeroingLetsOthersHaveTheirTurn) {
    make(with([](Geometry& g) { g.max_rw_blocks = 1; }), poor_ops);
    device_->is_later = false;
    Call call(Op::write_zeroes, 0, 4000);
    EXPECT_EQ(client_->submit(call), Progress::pending);
    EXPECT_LT(device_->starts, 50U);
    EXPECT_EQ(client_->finish(call), Status::success);
}

// Whoever is told submits the next one from inside: none is forgotten.
TEST_F(PartTest, RequestsThatFollowEachOtherAllEnd) {
    make(with([](Geometry& g) { g.max_unmap_blocks = 1; }));
    device_->is_later = false;
    struct Chain {
        Request request;
        Channel* channel = nullptr;
        uint32_t left = 20;
    };
    std::array<Chain, 5> chains;
    for (Chain& chain : chains) {
        chain.channel = &channel();
        chain.request.op = Op::unmap;
        chain.request.blocks = 40;
        chain.request.context = &chain;
        chain.request.done = [](Request& done) {
            auto& mine = *static_cast<Chain*>(done.context);
            if (--mine.left > 0) EXPECT_EQ(mine.channel->submit(done), Progress::pending);
        };
        world_.as(client_->thread(), [&] { EXPECT_EQ(channel().submit(chain.request), Progress::pending); });
    }
    EXPECT_TRUE(world_.wait_for(
        [&] { return std::ranges::all_of(chains, [](const Chain& chain) { return chain.left == 0; }); }));
    EXPECT_EQ(device_->starts, 5U * 20 * 40);
}

// Two channels count in the same block by compare and write: no step is lost.
TEST(CompareAndWriteTest, NobodyComesInBetween) {
    TestRuntime world(2);
    PickyDevice device("Picky0", plain, poor_ops);
    constexpr uint32_t steps = 40;
    {
        TestClient first(world, device, 0);
        TestClient second(world, device, 1);
        struct Counter {
            explicit Counter(TestClient& its_client) : client(its_client) {}
            TestClient& client;
            uint32_t done = 0;
            uint32_t missed = 0;
            TestClient::Buffer expected{512, std::byte{0}};
            TestClient::Buffer data{512, std::byte{0}};
            std::unique_ptr<Call> call;
            void next() {
                auto* before = reinterpret_cast<uint32_t*>(expected.piece.iov_base);
                auto* after = reinterpret_cast<uint32_t*>(data.piece.iov_base);
                if (call != nullptr && call->request.status == Status::success) ++done;
                if (call != nullptr && call->request.status == Status::miscompare) ++missed;
                if (call != nullptr) *before = *before + 1;  // ours, or the other's
                *after = *before + 1;
                call = std::make_unique<Call>(Op::compare_and_write, 5, 1, std::span<const iovec>(&data.piece, 1));
                call->request.expected = {&expected.piece, 1};
                ASSERT_EQ(client.submit(*call), Progress::pending);
            }
        };
        Counter one(first);
        Counter two(second);
        one.next();
        two.next();
        const bool is_done = world.wait_for([&] {
            for (Counter* counter : {&one, &two}) {
                if (counter->call->is_done && counter->done + counter->missed < steps) counter->next();
            }
            return one.call->is_done && two.call->is_done && one.done + one.missed == steps &&
                   two.done + two.missed == steps;
        });
        EXPECT_TRUE(is_done);
        const auto value = *reinterpret_cast<const uint32_t*>(device.memory.data() + size_t{5} * 512);
        const auto last = [](const Counter& counter) {
            return counter.call->request.status == Status::success ? 1U : 0U;
        };
        EXPECT_EQ(value, one.done + two.done + last(one) + last(two));
        EXPECT_GE(value, steps) << "each step is somebody's";
    }
}

}  // namespace

}  // namespace weft::bdev
