#include "bdev_modules/null/null_device.h"

#include <gtest/gtest.h>

#include "bdev/test_client.h"
#include "bdev/zeroes.h"
#include "rpc/json.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};
constexpr std::byte one{1};

class NullTest : public testing::Test {
protected:
    void TearDown() override {
        for (const Device* device : registry_.all()) {
            EXPECT_TRUE(world_.run(registry_.remove(device->name())).has_value());
        }
    }
    Result<Device*> create(NullOptions options) {
        return world_.as(world_.app(), [&] { return create_null_device(registry_, std::move(options)); });
    }

    TestRuntime world_;
    Registry registry_;
};

TEST_F(NullTest, ReadsAsZeroWhateverWasWritten) {
    TestClient client(world_, **create({.name = "null", .block_bytes = 4096, .block_count = 1000}));
    EXPECT_EQ(client.write(0, 300, one), Status::success);
    EXPECT_TRUE(client.reads(0, 300, zero)) << "and not what the buffer held";
    EXPECT_EQ(client.compare(0, 300, zero), Status::success);
    EXPECT_EQ(client.compare(0, 300, one), Status::miscompare);
    EXPECT_EQ(client.run(Op::unmap, 0, 1000), Status::success);
    EXPECT_EQ(client.run(Op::write_zeroes, 0, 1000), Status::success);
    EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
}

TEST_F(NullTest, LendsZeroesUpToAMegabyte) {
    TestClient client(world_, **create({.name = "null", .block_bytes = 4096, .block_count = 1000}));
    world_.as(client.thread(), [&] {
        const auto lent = client.channel().lend(3, 256);
        ASSERT_TRUE(lent.has_value());
        EXPECT_EQ(lent->size(), zeroes_bytes);
        EXPECT_TRUE(is_zero(*lent));
        EXPECT_TRUE(client.channel().lend(999, 1).has_value());
        EXPECT_TRUE(client.device().lends(256));
        EXPECT_FALSE(client.device().lends(257));
        EXPECT_FALSE(client.channel().lend(3, 257).has_value());
        EXPECT_FALSE(client.channel().lend(1000, 1).has_value());
        EXPECT_FALSE(client.channel().lend(1, UINT64_MAX).has_value());
        EXPECT_FALSE(client.channel().lend(0, 0).has_value());
        client.channel().unlend(3, 256);
        client.channel().unlend(999, 1);
    });
}

TEST_F(NullTest, MayBeAsLargeAsADeviceCanBe) {
    EXPECT_EQ(create({.name = "x", .block_bytes = 4096, .block_count = uint64_t{1} << 52}).error().code,
              Errc::invalid_argument);
    TestClient client(world_, **create({.name = "null", .block_bytes = 4096, .block_count = uint64_t{1} << 51}));
    EXPECT_TRUE(client.reads((uint64_t{1} << 51) - 2, 2, zero));
    EXPECT_EQ(client.write((uint64_t{1} << 51) - 1, 2, one), Status::out_of_range);
    EXPECT_EQ(client.run(Op::unmap, 0, uint64_t{1} << 51), Status::success);
}

TEST_F(NullTest, ChangesItsSize) {
    auto* device = static_cast<NullDevice*>(*create({.name = "null", .block_bytes = 512, .block_count = 100}));
    TestClient client(world_, *device);
    EXPECT_EQ(client.write(100, 1, one), Status::out_of_range);
    world_.as(world_.app(), [&] { EXPECT_TRUE(device->resize(200).has_value()); });
    EXPECT_EQ(client.write(100, 1, one), Status::success);
    world_.as(world_.app(), [&] { EXPECT_FALSE(device->resize(0).has_value()); });
    world_.as(world_.app(), [&] { EXPECT_FALSE(device->resize(UINT64_MAX).has_value()); });
    world_.as(world_.app(), [&] { EXPECT_FALSE(device->resize(199).has_value()) << "it may be lent"; });
    EXPECT_EQ(device->block_count(), 200U);
}

TEST_F(NullTest, WritesTheCallThatMakesItAgain) {
    const Device* device = *create({.name = "null",
                                    .block_bytes = 512,
                                    .block_count = 100,
                                    .uuid = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
                                    .physical_block_bytes = 4096});
    EXPECT_EQ(device->geometry().optimal_blocks, 8U);
    Json entries = Json::array();
    device->write_config(entries);
    EXPECT_EQ(dump_json(entries),
              R"([{"method":"bdev_null_create","params":{"name":"null","num_blocks":100,"block_size":512,)"
              R"("uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","physical_block_size":4096}}])");
}

TEST_F(NullTest, NeedsANameOfItsOwn) {
    EXPECT_EQ(create({.name = "", .block_count = 1}).error().code, Errc::invalid_argument);
    ASSERT_TRUE(create({.name = "null", .block_count = 1}).has_value());
    EXPECT_EQ(create({.name = "null", .block_count = 1}).error().code, Errc::already_exists);
}

}  // namespace
}  // namespace weft::bdev
