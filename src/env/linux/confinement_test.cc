// Names that requests give, and how they try to leave the folders that are allowed.
#include "env/linux/confinement.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "env/linux/files.h"
#include "env/linux/test_folder.h"

namespace weft::env {
namespace {

class ConfinementTest : public testing::Test {
protected:
    ConfinementTest() {
        std::filesystem::create_directories(folder_ / "allowed/sub");
        std::filesystem::create_directories(folder_ / "allowed-not");
        for (const char* name : {"allowed/disk", "allowed/sub/disk", "allowed-not/disk", "outside"}) {
            std::ofstream(folder_ / name) << (std::string(name).starts_with("allowed/") ? "ours" : "secret");
        }
        const auto done = files_.confine({folder_ / "allowed"});
        EXPECT_TRUE(done) << done.error().message;
    }
    // What a request that names it gets: the contents, or the message.
    std::string read(const std::string& path) {
        auto text = files_.read_allowed(path, 100);
        auto file = files_.open(path, {.read_only = true, .reach = Reach::allowed});
        EXPECT_EQ(text.has_value(), file.has_value()) << path;
        return text ? *text : text.error().message;
    }
    void expect_outside(const std::string& path) {
        const std::string answer = read(path);
        EXPECT_NE(answer.find("is not below a folder"), std::string::npos) << path << ": " << answer;
        EXPECT_NE(answer.find("(" + (folder_ / "allowed") + ")"), std::string::npos) << answer;
    }

    TestFolder folder_;
    LinuxFiles files_;
};

TEST_F(ConfinementTest, WhatLiesBelowIsFound) {
    EXPECT_EQ(read(folder_ / "allowed/disk"), "ours");
    EXPECT_EQ(read(folder_ / "allowed//sub///disk"), "ours");
    EXPECT_EQ(read(folder_ / "allowed/sub/../disk"), "ours");
    EXPECT_NE(read(folder_ / "allowed/none").find("o such file"), std::string::npos);
    EXPECT_FALSE(files_.open(folder_ / "allowed", {.reach = Reach::allowed}));
}

TEST_F(ConfinementTest, NothingElseIs) {
    expect_outside(folder_ / "outside");
    expect_outside(folder_ / "allowed-not/disk");
    expect_outside(folder_ / "allowed/../outside");
    expect_outside(folder_ / "allowed/sub/../../outside");
    expect_outside("/etc/passwd");
    expect_outside("/proc/self/environ");
    expect_outside("outside");
    expect_outside("");
}

TEST_F(ConfinementTest, LinksLeadToWhatIsAllowedOnly) {
    std::filesystem::create_symlink(folder_ / "outside", folder_ / "allowed/absolute");
    std::filesystem::create_symlink("../outside", folder_ / "allowed/relative");
    std::filesystem::create_symlink("..", folder_ / "allowed/up");
    std::filesystem::create_symlink("/proc/self/root", folder_ / "allowed/magic");
    std::filesystem::create_symlink("sub/disk", folder_ / "allowed/inside");
    expect_outside(folder_ / "allowed/absolute");
    expect_outside(folder_ / "allowed/relative");
    expect_outside(folder_ / "allowed/up/outside");
    expect_outside(folder_ / "allowed/magic/etc/passwd");
    EXPECT_EQ(read(folder_ / "allowed/inside"), "ours");
}

TEST_F(ConfinementTest, AFolderIsWhatItWasWhenItWasAllowed) {
    std::filesystem::rename(folder_ / "allowed", folder_ / "moved");
    std::filesystem::create_symlink(folder_ / "allowed-not", folder_ / "allowed");
    EXPECT_EQ(read(folder_ / "allowed/disk"), "ours");
}

TEST_F(ConfinementTest, AFolderMayBeNamedThroughALinkOrAsWhatItIs) {
    std::filesystem::create_symlink(folder_ / "allowed", folder_ / "link");
    ASSERT_TRUE(files_.confine({folder_ / "link/"}));
    EXPECT_EQ(read(folder_ / "link/disk"), "ours");
    EXPECT_EQ(read(folder_ / "allowed/disk"), "ours");
}

TEST_F(ConfinementTest, OneOfSeveralFoldersIsEnough) {
    ASSERT_TRUE(files_.confine({folder_ / "allowed", folder_ / "allowed-not"}));
    EXPECT_EQ(read(folder_ / "allowed/disk"), "ours");
    EXPECT_EQ(read(folder_ / "allowed-not/disk"), "secret");
    EXPECT_NE(read(folder_ / "outside").find(folder_ / "allowed, " + folder_ / "allowed-not"), std::string::npos);
}

// Somebody exchanges a folder and a link to the outside all the time while names are looked up.
TEST_F(ConfinementTest, ARaceIsNotWon) {
    std::filesystem::create_directories(folder_ / "allowed/good");
    std::filesystem::create_directories(folder_ / "elsewhere");
    std::ofstream(folder_ / "allowed/good/file") << "ours";
    std::ofstream(folder_ / "elsewhere/file") << "secret";
    std::filesystem::create_symlink(folder_ / "elsewhere", folder_ / "allowed/bad");
    std::atomic<bool> is_over = false;
    std::thread other([&] {
        while (!is_over) {
            ASSERT_EQ(renameat2(AT_FDCWD, (folder_ / "allowed/good").c_str(), AT_FDCWD,
                                (folder_ / "allowed/bad").c_str(), RENAME_EXCHANGE),
                      0);
        }
    });
    int found = 0;
    int refused = 0;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (int round = 0; round < 20'000 || found == 0 || refused == 0; ++round) {
        ASSERT_LT(std::chrono::steady_clock::now(), limit) << found << " found, " << refused << " refused";
        const auto text = files_.read_allowed(folder_ / "allowed/good/file", 100);
        ASSERT_TRUE(!text || *text == "ours");
        ++(text ? found : refused);
    }
    is_over = true;
    other.join();
}

// Also a file that is made, and the one that takes its place.
TEST_F(ConfinementTest, FilesAreReplacedBelowTheFoldersOnly) {
    std::filesystem::create_symlink("..", folder_ / "allowed/up");
    std::filesystem::create_symlink(folder_ / "outside", folder_ / "allowed/link");
    EXPECT_TRUE(files_.write_allowed(folder_ / "allowed/sub/new", "one"));
    EXPECT_TRUE(files_.write_allowed(folder_ / "allowed/sub/new", "two"));
    EXPECT_EQ(read(folder_ / "allowed/sub/new"), "two");
    EXPECT_FALSE(std::filesystem::exists(std::string(folder_ / "allowed/sub/new") + ".tmp"));
    // The link is replaced, not what it leads to.
    EXPECT_TRUE(files_.write_allowed(folder_ / "allowed/link", "three"));
    EXPECT_EQ(read(folder_ / "allowed/link"), "three");
    for (const char* name : {"new", "allowed/../new", "allowed/up/new", "allowed/..", "allowed/sub/"}) {
        EXPECT_FALSE(files_.write_allowed(folder_ / name, "no")) << name;
    }
    EXPECT_FALSE(std::filesystem::exists(std::string(folder_ / "new")));
    EXPECT_EQ(files_.read_all(folder_ / "outside", 100), "secret");
}

TEST_F(ConfinementTest, WhatIsNoFileIsRefused) {
    ASSERT_EQ(mkfifo((folder_ / "allowed/pipe").c_str(), 0600), 0);
    EXPECT_NE(read(folder_ / "allowed/pipe").find("is not a file"), std::string::npos);  // and does not hang
}

TEST_F(ConfinementTest, OperatorsAreNotConfined) {
    EXPECT_EQ(files_.read_all(folder_ / "outside", 100), "secret");
    EXPECT_TRUE(files_.open(folder_ / "outside", {}));
}

TEST_F(ConfinementTest, FoldersThatAreNoneAreRefused) {
    EXPECT_EQ(files_.confine({"relative"}).error().code, Errc::invalid_argument);
    EXPECT_EQ(files_.confine({folder_ / "none"}).error().code, Errc::not_found);
    EXPECT_FALSE(files_.confine({folder_ / "outside"}));
}

}  // namespace
}  // namespace weft::env
