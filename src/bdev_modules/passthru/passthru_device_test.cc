#include "bdev_modules/passthru/passthru_device.h"

#include "bdev/zones.h"
#include "bdev_modules/test_stack.h"

namespace weft::bdev {
namespace {

class PassthruTest : public TestStack {};

const Json params = {{"name", "top"}, {"base_bdev_name", "base"}};

TEST_F(PassthruTest, FollowsItsBase) {
    expect_follows_its_base("top", "bdev_passthru_create", "bdev_passthru_delete", params, "passthru");
}

TEST_F(PassthruTest, IsTheDiskBelow) {
    for (const uint32_t block_bytes : {512U, 4096U}) {
        make_ram_disk("base", 500, block_bytes);
        EXPECT_EQ(*call("bdev_passthru_create", params), Json("top"));
        {
            TestClient client(world_, *devices_.find("top"));
            expect_behaves_like_a_disk(client, 1, 300);
            expect_behaves_like_a_clever_disk(client, 2, 200);
        }
        remove("base");
        EXPECT_TRUE(call("bdev_passthru_delete", {{"name", "top"}}).has_value());
    }
}

TEST_F(PassthruTest, TellsWhatItStandsOn) {
    make_ram_disk("base");
    ASSERT_TRUE(call("bdev_passthru_create",
                     {{"name", "top"}, {"base_bdev_name", "base"}, {"uuid", "11111111-2222-3333-4444-555555555555"}})
                    .has_value());
    Json facts = Json::object();
    devices_.find("top")->describe(facts);
    EXPECT_EQ(dump_json(facts), R"({"passthru":{"name":"top","base_bdev_name":"base"}})");
    EXPECT_EQ(devices_.find("top")->uuid().to_string(), "11111111-2222-3333-4444-555555555555");
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", "two"}, {"base_bdev_name", "base"}}), -1) << "EPERM";
    EXPECT_EQ(code_of("bdev_delay_delete", {{"name", "top"}}), -19) << "it is not one of delay's";
}

TEST_F(PassthruTest, StandsOnOneLikeItself) {
    make_ram_disk("base");
    ASSERT_TRUE(call("bdev_passthru_create", params).has_value());
    ASSERT_TRUE(call("bdev_passthru_create", {{"name", "roof"}, {"base_bdev_name", "top"}}).has_value());
    remove("base");
    EXPECT_TRUE(devices_.all().empty());
    make_ram_disk("base");
    EXPECT_TRUE(comes("roof")) << "each when what it stands on is there";
}

TEST_F(PassthruTest, AnyNameOfTheBaseWillDo) {
    make_ram_disk("base");
    const std::string uuid = devices_.find("base")->uuid().to_string();
    ASSERT_TRUE(call("bdev_passthru_create", {{"name", "top"}, {"base_bdev_name", uuid}}).has_value());
    EXPECT_TRUE(is_there("top"));
}

TEST_F(PassthruTest, NamesThatCannotBeAreRefused) {
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", ""}, {"base_bdev_name", "base"}}), rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", "top"}, {"base_bdev_name", ""}}), rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", "top"}, {"base_bdev_name", "top"}}), rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", "a\nb"}, {"base_bdev_name", "top"}}),
              rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", "top"}, {"base_bdev_name", std::string(256, 'x')}}),
              rpc::code::invalid_params);
    EXPECT_TRUE(saved().empty());
}

TEST_F(PassthruTest, ResizesAreHandedOn) {
    ASSERT_TRUE(call("bdev_null_create", {{"name", "base"}, {"num_blocks", 2048}, {"block_size", 512}}).has_value());
    ASSERT_TRUE(call("bdev_passthru_create", params).has_value());
    uint32_t told = 0;
    auto held = world_.as(world_.app(), [&] {
        return *devices_.open("top", [&told](Event event) { told += event == Event::resized ? 1 : 0; });
    });
    ASSERT_TRUE(call("bdev_null_resize", {{"name", "base"}, {"new_size", 2}}).has_value());
    EXPECT_TRUE(world_.wait_for([&] { return told == 1; }));
    EXPECT_EQ(devices_.find("top")->block_count(), 4096U);
    world_.as(world_.app(), [&] { held.reset(); });
}

TEST_F(PassthruTest, HasTheZonesOfItsBase) {
    ASSERT_TRUE(call("weft_zoned_create", {{"name", "base"}, {"block_size", 512}, {"num_zones", 4}, {"zone_size", 16}})
                    .has_value());
    ASSERT_TRUE(call("bdev_passthru_create", params).has_value());
    Device& device = *devices_.find("top");
    ASSERT_NE(device.zones(), nullptr);
    TestClient client(world_, device);
    const TestClient::Buffer buffer(2 * 512, std::byte{1});
    for (const uint64_t expected : {16U, 18U}) {
        TestClient::Call append(Op::zone_append, 16, 2, {&buffer.piece, 1});
        EXPECT_EQ(client.run(append), Status::success);
        EXPECT_EQ(append.request.lba, expected);
    }
    EXPECT_EQ(device.zones()->zone(1).write_pointer, 20U);
}

TEST_F(PassthruTest, CarriesMetadata) {
    ASSERT_TRUE(call("bdev_malloc_create",
                     {{"name", "base"}, {"num_blocks", 64}, {"block_size", 512}, {"md_size", 8}, {"dif_type", 1}})
                    .has_value());
    ASSERT_TRUE(call("bdev_passthru_create", params).has_value());
    Device& device = *devices_.find("top");
    EXPECT_EQ(device.metadata(), devices_.find("base")->metadata());
    TestClient client(world_, device);
    const TestClient::Buffer data(512, std::byte{1});
    const TestClient::Buffer tuple(8, std::byte{7});
    for (const Op op : {Op::write, Op::read}) {
        TestClient::Call call(op, 3, 1, {&data.piece, 1});
        call.request.metadata = {&tuple.piece, 1};
        EXPECT_EQ(client.run(call), Status::success);
        if (op == Op::write) std::ranges::fill(tuple.bytes(), std::byte{0});
    }
    EXPECT_TRUE(std::ranges::all_of(tuple.bytes(), [](std::byte byte) { return byte == std::byte{7}; }));
}

}  // namespace
}  // namespace weft::bdev
