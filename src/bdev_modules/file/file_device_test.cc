// Real files, by io_uring and by worker threads.
#include "bdev_modules/file/file_device.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "bdev/test_client.h"
#include "env/linux/test_folder.h"
#include "rpc/json.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};
constexpr std::byte one{1};

class FileTest : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        if (GetParam()) {
            setenv("WEFT_NO_IO_URING", "1", 1);
        } else {
            unsetenv("WEFT_NO_IO_URING");
        }
        world_.emplace();
    }
    void TearDown() override {
        for (const Device* device : registry_.all()) {
            EXPECT_TRUE(world_->run(registry_.remove(device->name())).has_value());
        }
        world_.reset();
        unsetenv("WEFT_NO_IO_URING");
    }
    std::string make_file(const std::string& name, uint64_t bytes) {
        std::ofstream(folder_ / name).put('\0');
        std::filesystem::resize_file(folder_ / name, bytes);
        return folder_ / name;
    }
    Result<Device*> create(FileOptions options) {
        return world_->run(create_file_device(registry_, std::move(options)));
    }
    Device& create(uint64_t bytes, uint32_t block_bytes, std::optional<bool> direct = {}) {
        auto made = create(
            {.name = "disk", .filename = make_file("disk", bytes), .block_bytes = block_bytes, .direct = direct});
        if (!made) ADD_FAILURE() << made.error().message;
        return **made;
    }

    env::TestFolder folder_;
    std::optional<TestRuntime> world_;
    Registry registry_;
};

INSTANTIATE_TEST_SUITE_P(Queues, FileTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Workers" : "Ring"; });

TEST_P(FileTest, BehavesLikeADisk) {
    for (const bool direct : {false, true}) {
        for (const uint32_t block_bytes : {512U, 4096U, 65536U}) {
            Device& device = create(uint64_t{100} * block_bytes, block_bytes, direct);
            EXPECT_EQ(device.geometry().alignment_bytes > 1, direct);
            {
                TestClient client(*world_, device);
                expect_behaves_like_a_disk(client, block_bytes, 60, 15);
                expect_behaves_like_a_clever_disk(client, block_bytes, 60);
            }
            ASSERT_TRUE(world_->run(registry_.remove("disk")).has_value());
            std::filesystem::remove(folder_ / "disk");
        }
    }
}

TEST_P(FileTest, KeepsWhatWasWritten) {
    const std::string path = make_file("kept", 1 << 20);
    {
        TestClient client(*world_, **create({.name = "first", .filename = path}));
        EXPECT_EQ(client.device().block_bytes(), 512U);
        EXPECT_EQ(client.device().block_count(), 2048U);
        EXPECT_TRUE(client.device().geometry().has_write_cache);
        EXPECT_EQ(client.write(8, 8, one), Status::success);
        EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
    }
    ASSERT_TRUE(world_->run(registry_.remove("first")).has_value());
    TestClient client(*world_, **create({.name = "second", .filename = path, .block_bytes = 4096}));
    EXPECT_TRUE(client.reads(0, 1, zero));
    EXPECT_TRUE(client.reads(1, 1, one));
    EXPECT_TRUE(client.reads(2, 254, zero));
}

TEST_P(FileTest, MoreThanASystemCallTakesGoesInParts) {
    TestClient client(*world_, create(4 << 20, 512, false));
    const TestClient::Buffer buffer(3 << 20, one);
    std::minstd_rand random(1);
    const std::vector<iovec> pieces = [&] {
        std::vector<iovec> cut;
        for (size_t at = 0; at < buffer.bytes().size(); at += 512) cut.push_back({buffer.bytes().data() + at, 512});
        return cut;
    }();
    ASSERT_GT(pieces.size(), 5000U);
    EXPECT_EQ(client.run(Op::write, 10, 6144, pieces), Status::success);
    EXPECT_TRUE(client.reads(10, 6144, one));
    EXPECT_TRUE(client.reads(6154, 100, zero));
    EXPECT_EQ(client.run(Op::compare, 10, 6144, pieces), Status::success);
    EXPECT_EQ(client.run(Op::compare, 11, 6144, pieces), Status::miscompare) << "in the last of several steps";
}

TEST_P(FileTest, UnmapGivesSpaceBack) {
    TestClient client(*world_, create(4 << 20, 4096));
    ASSERT_EQ(client.write(0, 1024, one), Status::success);
    ASSERT_EQ(client.run(Op::flush, 0, 0), Status::success);
    ASSERT_EQ(client.run(Op::unmap, 1, 1022), Status::success);
    EXPECT_TRUE(client.reads(1, 1022, zero));
    EXPECT_TRUE(client.reads(0, 1, one));
    struct stat status{};
    ASSERT_EQ(stat((folder_ / "disk").c_str(), &status), 0);
    EXPECT_LT(status.st_blocks * 512, 1 << 20);
    EXPECT_EQ(status.st_size, 4 << 20);
}

TEST_P(FileTest, SaysWhyAFileCannotBeUsed) {
    const auto refused = [this](FileOptions options) { return create(std::move(options)).error(); };
    EXPECT_EQ(refused({.name = "x", .filename = folder_ / "missing"}).code, Errc::not_found);
    EXPECT_EQ(refused({.name = "x", .filename = folder_.path()}).code, Errc::invalid_argument);
    EXPECT_EQ(refused({.name = "x", .filename = ""}).code, Errc::invalid_argument);
    EXPECT_EQ(refused({.name = "", .filename = "/dev/null"}).code, Errc::invalid_argument);
    EXPECT_EQ(refused({.name = "x", .filename = "/dev/null"}).code, Errc::invalid_argument);
    const Error too_small = refused({.name = "x", .filename = make_file("small", 4095), .block_bytes = 4096});
    EXPECT_EQ(too_small.code, Errc::invalid_argument);
    EXPECT_NE(too_small.message.find("not one block"), std::string::npos);
    for (const uint32_t block_bytes : {0U, 256U, 520U, 131072U}) {
        EXPECT_EQ(refused({.name = "x", .filename = make_file("disk", 1 << 20), .block_bytes = block_bytes}).code,
                  Errc::invalid_argument);
    }
    EXPECT_TRUE(registry_.all().empty());
}

TEST_P(FileTest, IsUsedByOneBdevAtATime) {
    const std::string path = make_file("disk", 1 << 20);
    ASSERT_TRUE(create({.name = "first", .filename = path}).has_value());
    for (const bool direct : {false, true}) {
        const auto second = create({.name = "second", .filename = path, .direct = direct});
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error().code, Errc::busy);
        EXPECT_NE(second.error().message.find(path), std::string::npos);
        EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos);
    }
    EXPECT_EQ(create({.name = "first", .filename = make_file("other", 4096)}).error().code, Errc::already_exists);
    ASSERT_TRUE(world_->run(registry_.remove("first")).has_value());
    EXPECT_TRUE(create({.name = "second", .filename = path}).has_value());
}

TEST_P(FileTest, AReadOnlyOneIsNotWritten) {
    const std::string path = make_file("disk", 1 << 20);
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    TestClient client(*world_, **create({.name = "disk", .filename = path, .read_only = true}));
    EXPECT_TRUE(client.reads(0, 8, zero));
    EXPECT_EQ(client.compare(0, 8, zero), Status::success);
    EXPECT_EQ(client.run(Op::flush, 0, 0), Status::success);
    EXPECT_EQ(client.write(0, 8, one), Status::not_supported);
    EXPECT_EQ(client.run(Op::unmap, 0, 8), Status::not_supported);
    EXPECT_EQ(client.run(Op::write_zeroes, 0, 8), Status::not_supported);
}

TEST_P(FileTest, IgnoresWhatIsNoWholeBlockAtTheEnd) {
    Device& device = create(3 * 4096 + 4095, 4096);
    EXPECT_EQ(device.block_count(), 3U);
    TestClient client(*world_, device);
    EXPECT_EQ(client.run(Op::unmap, 2, 2), Status::out_of_range);
}

TEST_P(FileTest, RescanFindsANewSize) {
    auto& device = static_cast<FileDevice&>(create(1 << 20, 4096));
    EXPECT_EQ(*world_->run(device.rescan()), false);
    std::filesystem::resize_file(folder_ / "disk", 2 << 20);
    EXPECT_EQ(device.block_count(), 256U) << "until it is rescanned";
    EXPECT_EQ(*world_->run(device.rescan()), true);
    EXPECT_EQ(device.block_count(), 512U);
    {
        TestClient client(*world_, device);
        EXPECT_EQ(client.write(511, 1, one), Status::success);
    }
    std::filesystem::resize_file(folder_ / "disk", 8192);
    EXPECT_EQ(*world_->run(device.rescan()), true);
    EXPECT_EQ(device.block_count(), 2U);
    std::filesystem::resize_file(folder_ / "disk", 100);
    EXPECT_EQ(world_->run(device.rescan()).error().code, Errc::invalid_argument);
    EXPECT_EQ(device.block_count(), 2U);
}

TEST_P(FileTest, ReadsBeyondTheEndOfATruncatedFileFail) {
    for (const bool direct : {false, true}) {
        {
            TestClient client(*world_, create(1 << 20, 4096, direct));
            ASSERT_EQ(client.write(0, 256, one), Status::success);
            std::filesystem::resize_file(folder_ / "disk", 8192 + 100);
            EXPECT_TRUE(client.reads(0, 2, one));
            const TestClient::Buffer buffer(4 * 4096, one);
            EXPECT_EQ(client.run(Op::read, 1, 4, {&buffer.piece, 1}), Status::read_error);
            EXPECT_EQ(client.run(Op::read, 100, 4, {&buffer.piece, 1}), Status::read_error);
            EXPECT_EQ(client.compare(1, 4, one), Status::read_error);
            EXPECT_EQ(client.compare(1, 4, zero), Status::miscompare);
            EXPECT_EQ(client.compare(100, 4, one), Status::read_error);
        }
        ASSERT_TRUE(world_->run(registry_.remove("disk")).has_value());
    }
}

TEST_P(FileTest, HasAUuidOfItsFile) {
    const std::string path = make_file("disk", 4096);
    const Uuid uuid = (*create({.name = "first", .filename = path}))->uuid();
    ASSERT_TRUE(world_->run(registry_.remove("first")).has_value());
    EXPECT_EQ((*create({.name = "second", .filename = path}))->uuid(), uuid);
    const Uuid given = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    EXPECT_EQ((*create({.name = "third", .filename = make_file("x", 4096), .uuid = given}))->uuid(), given);
}

TEST_P(FileTest, WritesTheCallThatMakesItAgain) {
    const Uuid uuid = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    const std::string path = make_file("disk", 8192);
    const Device* aio = *create({.name = "disk",
                                 .filename = path,
                                 .block_bytes = 4096,
                                 .read_only = true,
                                 .direct = false,
                                 .fallocate = false,
                                 .uuid = uuid});
    const std::string other_path = make_file("other", 8192);
    const Device* uring = *create({.name = "other", .filename = other_path, .kind = FileKind::uring});
    Json entries = Json::array();
    aio->write_config(entries);
    uring->write_config(entries);
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(dump_json(entries[0]),
              R"({"method":"bdev_aio_create","params":{"name":"disk","filename":")" + path +
                  R"(","block_size":4096,"uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","direct":false,)"
                  R"("readonly":true,"fallocate":false}})");
    EXPECT_EQ(dump_json(entries[1]), R"({"method":"bdev_uring_create","params":{"name":"other","filename":")" +
                                         other_path + R"(","uuid":")" + uring->uuid().to_string() + R"("}})");
    EXPECT_EQ(aio->product_name(), "AIO disk");
    EXPECT_EQ(uring->product_name(), "URING bdev");
    Json specific = Json::object();
    aio->describe(specific);
    EXPECT_EQ(specific["aio"]["filename"], path);
    EXPECT_EQ(specific["aio"]["direct"], false);
}

}  // namespace
}  // namespace weft::bdev
