#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "bdev/test_client.h"
#include "bdev_modules/malloc/malloc_device.h"

namespace weft::bdev {
namespace {

constexpr uint32_t block_bytes = 4096;
constexpr uint64_t disk_blocks = 64;
constexpr uint64_t lba = 5;
constexpr uint64_t blocks = 40;  // more than are locked at a time

struct Shape {
    ProtectionFormat format;
    bool is_concurrent;
};

class Accompanied : public testing::TestWithParam<Shape> {
protected:
    Accompanied() {
        auto made = world_.run(create_malloc_device(registry_, {.name = "disk",
                                                                .block_bytes = block_bytes,
                                                                .block_count = disk_blocks,
                                                                .metadata = GetParam().format,
                                                                .is_concurrent = GetParam().is_concurrent}));
        WEFT_ASSERT(made.has_value());
        device_ = *made;
        client_.emplace(world_, *device_);
    }
    void TearDown() override {
        client_.reset();
        EXPECT_TRUE(world_.run(registry_.remove("disk")).has_value());
    }

    [[nodiscard]] static const ProtectionFormat& format() { return GetParam().format; }
    [[nodiscard]] static Protection checks() {
        return {.reference = lba,
                .application_tag = 7,
                .application_mask = 0xFFFF,
                .checks_guard = true,
                .checks_application = true,
                .checks_reference = true,
                .checks_storage = true};
    }
    [[nodiscard]] static Protection ours() {
        Protection protection = checks();
        protection.is_ours = true;
        return protection;
    }

    // A pattern, and its metadata with right tuples.
    struct Content {
        std::vector<std::byte> data = std::vector<std::byte>(blocks * block_bytes);
        std::vector<std::byte> metadata = std::vector<std::byte>(blocks * format().metadata_bytes);
        Content() {
            std::minstd_rand random(1);
            for (std::byte& byte : data) byte = static_cast<std::byte>(random() >> 8);
            for (std::byte& byte : metadata) byte = static_cast<std::byte>(random() >> 8);
            make_tuples();
        }
        void make_tuples() {
            if (!format().has_tuple()) return;
            for (uint64_t at = 0; at < blocks; ++at) write_tuple(format(), checks(), at, block(at), metadata_of(at));
        }
        MutableBytes block(uint64_t at) { return MutableBytes(data).subspan(at * block_bytes, block_bytes); }
        MutableBytes metadata_of(uint64_t at) {
            return MutableBytes(metadata).subspan(at * format().metadata_bytes, format().metadata_bytes);
        }
        [[nodiscard]] std::vector<std::byte> together() {
            std::vector<std::byte> all;
            for (uint64_t at = 0; at < blocks; ++at) {
                all.insert(all.end(), block(at).begin(), block(at).end());
                all.insert(all.end(), metadata_of(at).begin(), metadata_of(at).end());
            }
            return all;
        }
    };

    Status run_together(Op op, std::vector<std::byte>& all, const Protection* protection = nullptr) {
        std::minstd_rand random(2);
        const std::vector<iovec> pieces = cut_up(all, 1, random);
        TestClient::Call call(op, lba, blocks, pieces);
        call.request.metadata_in_data = true;
        call.request.protection = protection;
        return client_->run(call);
    }
    Status run_apart(Op op, Content& content, const Protection* protection = nullptr, bool with_metadata = true) {
        const iovec data{content.data.data(), content.data.size()};
        const iovec metadata{content.metadata.data(), content.metadata.size()};
        TestClient::Call call(op, lba, blocks, {&data, 1});
        if (with_metadata) call.request.metadata = {&metadata, 1};
        call.request.protection = protection;
        return client_->run(call);
    }

    TestRuntime world_{2};
    Registry registry_;
    Device* device_ = nullptr;
    std::optional<TestClient> client_;
};

std::vector<Shape> all_shapes() {
    std::vector<Shape> shapes;
    for (const bool is_concurrent : {false, true}) {
        shapes.push_back({{.metadata_bytes = 24}, is_concurrent});
        for (const auto type : {ProtectionType::type1, ProtectionType::type2, ProtectionType::type3}) {
            shapes.push_back({{.metadata_bytes = 8, .type = type}, is_concurrent});
            shapes.push_back({{.metadata_bytes = 64, .type = type, .is_first = true}, is_concurrent});
            shapes.push_back({{.metadata_bytes = 16, .type = type, .guard = Guard::crc64}, is_concurrent});
            shapes.push_back({{.metadata_bytes = 32, .type = type, .guard = Guard::crc32}, is_concurrent});
        }
    }
    return shapes;
}
INSTANTIATE_TEST_SUITE_P(EveryShape, Accompanied, testing::ValuesIn(all_shapes()));

TEST_P(Accompanied, BehavesLikeADiskToWhoeverKnowsNothingOfMetadata) {
    EXPECT_FALSE(device_->consumes_data_inline());
    EXPECT_FALSE(device_->lends(1));
    expect_behaves_like_a_disk(*client_, block_bytes, 200);
}

TEST_P(Accompanied, WrittenTogetherReadsApart) {
    Content written;
    std::vector<std::byte> all = written.together();
    ASSERT_EQ(run_together(Op::write, all), Status::success);
    Content read;
    std::ranges::fill(read.data, std::byte{0});
    std::ranges::fill(read.metadata, std::byte{0});
    ASSERT_EQ(run_apart(Op::read, read), Status::success);
    EXPECT_EQ(read.data, written.data);
    EXPECT_EQ(read.metadata, written.metadata);
}

TEST_P(Accompanied, WrittenApartReadsTogether) {
    Content written;
    ASSERT_EQ(run_apart(Op::write, written), Status::success);
    std::vector<std::byte> all(written.together().size());
    ASSERT_EQ(run_together(Op::read, all), Status::success);
    EXPECT_EQ(all, written.together());
    EXPECT_EQ(run_together(Op::compare, all), Status::success);
    all.back() ^= std::byte{1};
    EXPECT_EQ(run_together(Op::compare, all), Status::miscompare);
    all.back() ^= std::byte{1};
    all[3] ^= std::byte{1};
    EXPECT_EQ(run_together(Op::compare, all), Status::miscompare);
}

TEST_P(Accompanied, TuplesThatWeMakeAreThoseThatAHostWouldMake) {
    if (!format().has_tuple()) return;
    Content content;
    Content sent = content;
    for (uint64_t at = 0; at < blocks; ++at) {
        std::ranges::fill(sent.metadata_of(at).subspan(format().tuple_offset(), format().tuple_bytes()), std::byte{0});
    }
    const Protection protection = ours();
    ASSERT_EQ(run_apart(Op::write, sent, &protection), Status::success);
    std::vector<std::byte> all(content.together().size());
    ASSERT_EQ(run_together(Op::read, all), Status::success);
    EXPECT_EQ(all, content.together());
}

TEST_P(Accompanied, AHostThatLeavesTheTuplesToUsSeesPlainBlocks) {
    if (!format().is_tuple_only()) return;
    Content content;
    const Protection protection = ours();
    ASSERT_EQ(run_apart(Op::write, content, &protection, false), Status::success);
    Content read;
    std::ranges::fill(read.data, std::byte{0});
    ASSERT_EQ(run_apart(Op::read, read, &protection, false), Status::success);
    EXPECT_EQ(read.data, content.data);
    ASSERT_EQ(run_apart(Op::read, read), Status::success);
    EXPECT_EQ(read.metadata, content.metadata);
}

TEST_P(Accompanied, AWrongTupleIsRefusedAndNothingIsWritten) {
    if (!format().has_tuple()) return;
    ASSERT_EQ(client_->write(0, disk_blocks, std::byte{9}), Status::success);
    Content content;
    content.block(blocks - 1)[0] ^= std::byte{1};
    std::vector<std::byte> all = content.together();
    const Protection protection = checks();
    EXPECT_EQ(run_together(Op::write, all, &protection), Status::guard_error);
    EXPECT_TRUE(client_->reads(0, disk_blocks, std::byte{9}));
}

TEST_P(Accompanied, AStoredBlockThatDoesNotFitItsTupleIsNotGiven) {
    if (!format().has_tuple()) return;
    Content content;
    content.block(blocks / 2)[0] ^= std::byte{1};
    std::vector<std::byte> all = content.together();
    ASSERT_EQ(run_together(Op::write, all), Status::success) << "nothing is checked when nothing is asked for";
    Protection protection = checks();
    EXPECT_EQ(run_together(Op::read, all, &protection), Status::guard_error);
    protection.checks_guard = false;
    EXPECT_EQ(run_together(Op::read, all, &protection), Status::success);
    protection.application_tag = 8;
    EXPECT_EQ(run_together(Op::read, all, &protection), Status::application_tag_error);
    protection.checks_application = false;
    protection.reference += 1;
    EXPECT_EQ(run_together(Op::read, all, &protection),
              format().type == ProtectionType::type3 ? Status::success : Status::reference_tag_error);
}

TEST_P(Accompanied, WhatHoldsNothingPassesEveryCheck) {
    Content content;
    const Protection protection = checks();
    const Protection* const asked = format().has_tuple() ? &protection : nullptr;
    const std::vector<std::byte> zeroes(content.data.size());
    EXPECT_EQ(run_apart(Op::read, content, asked), Status::success) << "never written";
    EXPECT_EQ(content.data, zeroes);
    for (const Op op : {Op::unmap, Op::write_zeroes}) {
        Content other;
        ASSERT_EQ(run_apart(Op::write, other), Status::success);
        ASSERT_EQ(client_->run(op, lba, blocks), Status::success);
        EXPECT_EQ(run_apart(Op::read, content, asked), Status::success);
        EXPECT_EQ(content.data, zeroes);
    }
}

TEST_P(Accompanied, WriteZeroesMakesTuplesWhenAsked) {
    if (!format().has_tuple()) return;
    const Protection protection = ours();
    TestClient::Call call(Op::write_zeroes, lba, blocks);
    call.request.protection = &protection;
    ASSERT_EQ(client_->run(call), Status::success);
    Content expected;
    std::ranges::fill(expected.data, std::byte{0});
    std::ranges::fill(expected.metadata, std::byte{0});
    expected.make_tuples();
    Content read;
    ASSERT_EQ(run_apart(Op::read, read), Status::success);
    EXPECT_EQ(read.data, expected.data);
    EXPECT_EQ(read.metadata, expected.metadata);
}

TEST_P(Accompanied, MemoryOfTheWrongLengthIsRefused) {
    Content content;
    std::vector<std::byte> all = content.together();
    all.pop_back();
    EXPECT_EQ(run_together(Op::write, all), Status::failed);
    content.metadata.pop_back();
    EXPECT_EQ(run_apart(Op::write, content), Status::failed);
    const Protection protection = checks();
    if (!format().has_tuple()) {
        EXPECT_EQ(run_apart(Op::write, content, &protection, false), Status::failed);
    }
}

TEST(MetadataOfNoDisk, IsRefused) {
    TestRuntime world{1};
    Registry registry;
    ASSERT_TRUE(world.run(create_malloc_device(registry, {.name = "plain", .block_count = 8})).has_value());
    {
        TestClient client(world, *registry.find("plain"));
        std::vector<std::byte> memory(512 + 8);
        const iovec piece{memory.data(), memory.size()};
        TestClient::Call call(Op::read, 0, 1, {&piece, 1});
        call.request.metadata_in_data = true;
        EXPECT_EQ(client.run(call), Status::failed);
    }
    ASSERT_TRUE(world.run(registry.remove("plain")).has_value());
}

}  // namespace
}  // namespace weft::bdev
