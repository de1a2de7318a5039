#include "env/linux/shared_memory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace weft::env {
namespace {

std::string own_name() { return "weft_shared_memory_test." + std::to_string(getpid()); }

TEST(SharedMemory, IsReadByOthersWhileItLives) {
    const std::string path = shared_memory_path(own_name());
    {
        const auto memory = make_linux_shared_memory(own_name(), 5000);
        ASSERT_TRUE(memory) << memory.error().message;
        EXPECT_EQ((*memory)->path(), path);
        EXPECT_TRUE(is_zero((*memory)->bytes()));
        struct stat status{};
        ASSERT_EQ(stat(path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U);
        EXPECT_GE(status.st_blocks * 512, 5000) << "all of it is there, so that no store fails";

        const auto view = open_file_view(path);
        ASSERT_TRUE(view) << view.error().message;
        EXPECT_EQ((*view)->size_bytes(), uint64_t{5000});
        (*memory)->bytes()[4999] = std::byte{7};
        std::array<std::byte, 10> read{};
        EXPECT_EQ((*view)->read(4998, read), size_t{2});
        EXPECT_EQ(read[1], std::byte{7});
        EXPECT_EQ((*view)->read(6000, read), size_t{0});
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(SharedMemory, TakesTheNameThatADeadProcessLeft) {
    const std::string path = shared_memory_path(own_name());
    std::ofstream(path) << "of the dead";
    const auto memory = make_linux_shared_memory(own_name(), 64);
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_TRUE(is_zero((*memory)->bytes()));
}

// What a link of somebody else's leads to is not written to.
TEST(SharedMemory, FollowsNoLink) {
    const std::string path = shared_memory_path(own_name());
    const std::string other = path + ".other";
    std::ofstream(other) << "precious";
    std::filesystem::create_symlink(other, path);
    {
        const auto memory = make_linux_shared_memory(own_name(), 64);
        ASSERT_TRUE(memory);
        (*memory)->bytes()[0] = std::byte{1};
    }
    std::string text;
    std::ifstream(other) >> text;
    EXPECT_EQ(text, "precious");
    std::filesystem::remove(other);
}

TEST(FileView, IsOfOrdinaryFilesOnly) {
    EXPECT_EQ(open_file_view("/nonexistent").error().code, Errc::not_found);
    EXPECT_EQ(open_file_view("/").error().code, Errc::invalid_argument);
    EXPECT_EQ(open_file_view("/dev/zero").error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace weft::env
