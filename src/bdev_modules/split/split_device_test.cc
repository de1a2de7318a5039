#include "bdev_modules/split/split_device.h"

#include "bdev/gate/device_gate.h"
#include "bdev/gate/fake_picky_device.h"
#include "bdev_modules/test_stack.h"

namespace weft::bdev {
namespace {

class SplitTest : public TestStack {};

Json params(uint32_t count, uint64_t size_mib = 0, const char* base = "base") {
    return {{"base_bdev", base}, {"split_count", count}, {"split_size_mb", size_mib}};
}

TEST_F(SplitTest, FollowsItsBase) {
    expect_follows_its_base("basep0", "bdev_split_create", "bdev_split_delete", params(2), "Split Disk");
}

TEST_F(SplitTest, PartsAreDisksThatDoNotTouchEachOther) {
    make_ram_disk("base", 1000, 4096);
    EXPECT_EQ(*call("bdev_split_create", params(3)), (Json{"basep0", "basep1", "basep2"}));
    TestClient before(world_, *devices_.find("basep0"));
    TestClient behind(world_, *devices_.find("basep2"));
    EXPECT_EQ(behind.device().block_count(), 333U);
    EXPECT_EQ(before.write(0, 333, std::byte{1}), Status::success);
    EXPECT_EQ(behind.write(0, 333, std::byte{3}), Status::success);
    {
        TestClient client(world_, *devices_.find("basep1"));
        expect_behaves_like_a_disk(client, 1, 300);
        expect_behaves_like_a_clever_disk(client, 2, 200);
        EXPECT_EQ(client.write(332, 2, std::byte{2}), Status::out_of_range);
    }
    EXPECT_TRUE(before.reads(0, 333, std::byte{1}));
    EXPECT_TRUE(behind.reads(0, 333, std::byte{3}));
    Json facts = Json::object();
    behind.device().describe(facts);
    EXPECT_EQ(dump_json(facts), R"({"split":{"base_bdev":"base","offset_blocks":666}})");
}

// Both parts' resets reach the disk, which is reset once at a time; meanwhile their requests wait.
TEST_F(SplitTest, AResetGoesDownToTheDisk) {
    PickyDevice& disk = *static_cast<PickyDevice*>(world_.as(world_.app(), [&] {
        return *devices_.add(std::make_unique<PickyDevice>("base", Geometry{.block_bytes = 512, .block_count = 1000},
                                                           std::set<Op>{Op::read, Op::write}));
    }));
    ASSERT_TRUE(call("bdev_split_create", params(2)).has_value());
    TestClient client(world_, *devices_.find("basep0"));
    int well = 0;
    world_.as(world_.app(), [&] {
        for (const char* part : {"basep0", "basep1"}) {
            spawn([](Device& device, int& count) -> Task<void> {
                if (co_await device.gate().reset(env::ns_per_s)) ++count;
            }(*devices_.find(part), well));
        }
    });
    EXPECT_EQ(client.write(0, 8, std::byte{1}), Status::success);
    EXPECT_TRUE(world_.wait_for([&] { return well == 2; }));
    EXPECT_GE(disk.resets, 1U);
    EXPECT_TRUE(client.reads(0, 8, std::byte{1}));
    disk.reset_outcome = fail(Errc::io_error, "it does not come back");
    const Result<void> failed = world_.run(devices_.find("basep1")->gate().reset(env::ns_per_s));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "base: it does not come back");
    EXPECT_EQ(client.write(0, 8, std::byte{2}), Status::success) << "it is not for us to say that it is of no use";
}

// The disk is removed while it is being reset on behalf of a part: nobody waits for ever.
TEST_F(SplitTest, TheDiskMayGoWhileItIsReset) {
    make_ram_disk("base");
    ASSERT_TRUE(call("bdev_split_create", params(2)).has_value());
    std::optional<TestClient> client;
    client.emplace(world_, *devices_.find("basep0"));
    Device& part = client->device();
    bool is_reset = false;
    bool is_gone = false;
    world_.as(world_.app(), [&] {
        spawn([](Device& device, bool& done) -> Task<void> {
            static_cast<void>(co_await device.gate().reset(env::ns_per_s));
            done = true;
        }(part, is_reset));
        spawn([](Registry& devices, bool& done) -> Task<void> {
            static_cast<void>(co_await devices.remove("base"));
            done = true;
        }(devices_, is_gone));
    });
    EXPECT_TRUE(world_.wait_for([&] { return is_reset; }));
    client.reset();
    EXPECT_TRUE(world_.wait_for([&] { return is_gone; }));
}

TEST_F(SplitTest, SizesAreMebibytes) {
    make_ram_disk("base", 5000);  // 2.4 MiB
    EXPECT_EQ(*call("bdev_split_create", params(7, 1)), (Json{"basep0", "basep1"})) << "as many as there is room for";
    EXPECT_EQ(devices_.find("basep1")->block_count(), 2048U);
    EXPECT_EQ(saved().at(1).at("params").at("split_count"), 7)
        << "and as asked for, should the base be larger next time";
    EXPECT_EQ(call("bdev_split_delete", {{"base_bdev", "base"}}), Json(true));
    EXPECT_EQ(code_of("bdev_split_create", params(1, 3)), rpc::code::invalid_params) << "larger than the whole";
}

TEST_F(SplitTest, WhatCannotBeIsRefused) {
    make_ram_disk("base", 100);
    for (const Json& wrong : {params(0), params(4097), params(101), params(1, uint64_t{1} << 44), params(2, 0, "")}) {
        const rpc::Response answer = call("bdev_split_create", wrong);
        ASSERT_FALSE(answer.has_value()) << dump_json(wrong);
        EXPECT_EQ(answer.error().code, rpc::code::invalid_params);
        EXPECT_TRUE(answer.error().message.starts_with("Failed to create ")) << answer.error().message;
    }
    make_ram_disk("basep1");
    EXPECT_EQ(code_of("bdev_split_create", params(2)), rpc::code::invalid_params) << "a name is taken";
    EXPECT_FALSE(is_there("basep0"));
    EXPECT_TRUE(devices_.find("base")->claimed_by().empty());
    EXPECT_EQ(code_of("bdev_split_delete", {{"base_bdev", "base"}}), rpc::code::invalid_params);
}

TEST_F(SplitTest, NamesOfPartsArePromised) {
    EXPECT_EQ(*call("bdev_split_create", params(2)), Json::array());
    EXPECT_EQ(code_of("bdev_passthru_create", {{"name", "basep1"}, {"base_bdev_name", "other"}}), -17);
}

TEST_F(SplitTest, ProtectionThatIsBoundToBlocksIsNotCutLoose) {
    for (const int type : {1, 2, 3}) {
        const Json disk = {
            {"name", "base"}, {"num_blocks", 64}, {"block_size", 512}, {"md_size", 8}, {"dif_type", type}};
        ASSERT_TRUE(call("bdev_malloc_create", disk).has_value());
        const rpc::Response answer = call("bdev_split_create", params(2));
        EXPECT_EQ(answer.has_value(), type != 1);
        if (type == 1) EXPECT_NE(answer.error().message.find("type 1"), std::string::npos) << answer.error().message;
        TearDown();
    }
    ASSERT_TRUE(call("weft_zoned_create", {{"name", "base"}, {"block_size", 512}, {"num_zones", 4}, {"zone_size", 16}})
                    .has_value());
    EXPECT_EQ(code_of("bdev_split_create", params(2)), rpc::code::invalid_params) << "zones";
}

TEST_F(SplitTest, OneOfItsPartsMayGo) {
    make_ram_disk("base");
    ASSERT_TRUE(call("bdev_split_create", params(3)).has_value());
    remove("basep0");
    EXPECT_TRUE(is_there("basep1"));
    EXPECT_EQ(saved().at(1).at("method"), "bdev_split_create");
    remove("basep1");
    EXPECT_EQ(saved().size(), 2U);
    remove("basep2");
    EXPECT_EQ(saved().size(), 1U) << "with the last one it is forgotten";
}

TEST_F(SplitTest, ABaseThatShrinksTakesItsBlocksAlong) {
    FakeDevice& fake = make_fake("base");
    ASSERT_TRUE(call("bdev_split_create", params(2)).has_value());
    fake.resize(600);
    TestClient client(world_, *devices_.find("basep1"));
    EXPECT_EQ(client.run(Op::verify, 0, 100), Status::success);
    EXPECT_EQ(client.run(Op::verify, 100, 1), Status::out_of_range);
}

}  // namespace
}  // namespace weft::bdev
