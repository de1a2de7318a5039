#include "bdev_modules/gpt/gpt_device.h"

#include "bdev_modules/gpt/test_gpt_builder.h"
#include "bdev_modules/test_stack.h"

namespace weft::bdev {
namespace {

constexpr const char* type = "6527994e-2c5a-4eec-9613-8f5944074e8b";
constexpr const char* old_type = "7c5222bd-8f5d-4087-9c00-bf9843c7b58c";
constexpr const char* linux_type = "0fc63daf-8483-4772-8e79-3d69d8477de4";
constexpr const char* guids[] = {"aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002",
                                 "aaaaaaaa-0000-4000-8000-000000000003", "aaaaaaaa-0000-4000-8000-000000000004"};

class GptTest : public TestStack {
protected:
    static GptBuilder good(uint32_t block_bytes = 512) {
        GptBuilder builder(block_bytes, 2048);
        builder.add(type, guids[0], 100, 599, u"first");
        builder.add(linux_type, guids[1], 600, 699, u"an operating system's");
        builder.add(old_type, guids[2], 700, 799, u"of long ago");
        builder.add(type, guids[3], 800, 1999);
        return builder;
    }
    // A RAM disk "disk" that holds `bytes` when it is looked at again, as one that comes back with its content.
    void bring(const std::vector<std::byte>& bytes, uint32_t block_bytes = 512) {
        make_ram_disk("disk", bytes.size() / block_bytes, block_bytes);
        {
            TestClient client(world_, *devices_.find("disk"));
            const TestClient::Buffer buffer(bytes.size(), std::byte{0});
            std::ranges::copy(bytes, buffer.bytes().begin());
            ASSERT_EQ(client.run(Op::write, 0, bytes.size() / block_bytes, {&buffer.piece, 1}), Status::success);
        }
        examine("disk");
    }
    void examine(std::string name) {
        world_.run([](Registry& devices, std::string examined) -> Task<bool> {
            co_await devices.wait_for_examine();
            co_await devices.examine(std::move(examined));
            co_await devices.wait_for_examine();
            co_return true;
        }(devices_, std::move(name)));
    }
    GptExaminer gpt_{devices_};
};

TEST_F(GptTest, PartitionsOfTheFieldsTypesAreDevices) {
    for (const uint32_t block_bytes : {512U, 4096U}) {
        bring(good(block_bytes).write(), block_bytes);
        ASSERT_TRUE(is_there("diskp1"));
        EXPECT_FALSE(is_there("diskp2"));
        EXPECT_EQ(devices_.find("diskp1")->block_count(), 500U);
        EXPECT_EQ(devices_.find("diskp3")->block_count(), 99U) << "the old type's lack their last block";
        EXPECT_EQ(devices_.find(guids[3]), devices_.find("diskp4")) << "by its GUID";
        Json facts = Json::object();
        devices_.find("diskp1")->describe(facts);
        EXPECT_EQ(dump_json(facts),
                  R"({"gpt":{"base_bdev":"disk","offset_blocks":100,)"
                  R"("partition_table_guid":"11111111-2222-3333-4444-555555555555",)"
                  R"("partition_type_guid":"6527994e-2c5a-4eec-9613-8f5944074e8b",)"
                  R"("unique_partition_guid":"aaaaaaaa-0000-4000-8000-000000000001","partition_name":"first"}})");
        EXPECT_EQ(devices_.find("disk")->claimed_by(), "gpt");
        {
            TestClient client(world_, *devices_.find("diskp1"));
            expect_behaves_like_a_disk(client, 1, 200);
            TestClient other(world_, *devices_.find("diskp4"));
            EXPECT_TRUE(other.reads(0, 1200, std::byte{0}));
        }
        remove("disk");
        EXPECT_TRUE(devices_.all().empty());
    }
}

TEST_F(GptTest, TheBackupCountsWhenThePrimaryIsBad) {
    auto bytes = good().write();
    bytes[512 + 20] ^= std::byte{1};
    bring(bytes);
    EXPECT_TRUE(is_there("diskp1"));
    EXPECT_TRUE(is_there("diskp4"));
}

TEST_F(GptTest, NothingIsMadeOfATableThatLies) {
    GptBuilder overlapping = good();
    overlapping.list[3].first = 500;
    bring(overlapping.write());
    EXPECT_EQ(devices_.all().size(), 1U);
    EXPECT_EQ(devices_.find("disk")->claimed_by(), "");
    remove("disk");
    auto both_bad = good().write();
    both_bad[512] ^= std::byte{1};
    both_bad[2047 * 512] ^= std::byte{1};
    bring(both_bad);
    EXPECT_EQ(devices_.all().size(), 1U);
}

TEST_F(GptTest, ADiskThatSomebodyHasIsLeftAlone) {
    make_ram_disk("other");
    bring(std::vector<std::byte>(2048 * 512));
    EXPECT_EQ(devices_.all().size(), 2U) << "no table";
    remove("disk");
    ASSERT_TRUE(call("bdev_passthru_create", {{"name", "top"}, {"base_bdev_name", "disk"}}).has_value());
    bring(good().write());
    EXPECT_FALSE(is_there("diskp1"));
    EXPECT_TRUE(is_there("top"));
    examine("top");
    EXPECT_TRUE(is_there("topp1")) << "what it shows has the table";
}

TEST_F(GptTest, ATakenNameLeavesOutOnePartition) {
    make_ram_disk("diskp1");
    bring(good().write());
    EXPECT_EQ(devices_.find("diskp1")->product_name(), "Malloc disk");
    EXPECT_TRUE(is_there("diskp4"));
}

TEST_F(GptTest, StandsUnderASplit) {
    bring(good().write());
    EXPECT_EQ(*call("bdev_split_create", {{"base_bdev", "diskp1"}, {"split_count", 2}}),
              (Json{"diskp1p0", "diskp1p1"}));
    remove("disk");
    EXPECT_TRUE(devices_.all().empty());
    EXPECT_EQ(saved().size(), 1U) << "the split waits; partitions are found, not saved";
}

}  // namespace
}  // namespace weft::bdev
