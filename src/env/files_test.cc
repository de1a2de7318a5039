// The contract of Files, held by the kernel's and the simulator's alike.
#include "env/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "env/test_worlds.h"

namespace weft::env {
namespace {

class FilesTest : public testing::TestWithParam<WorldKind> {
protected:
    static Errc code_of(const auto& result) { return result ? Errc{0xFF} : result.error().code; }

    TestWorld world_{GetParam()};
    Files& files_{world_.environment().files()};
};

TEST_P(FilesTest, OpensWhatIsThereAndCreatesOnlyWhenTold) {
    const std::string path = world_.path("file");
    EXPECT_EQ(code_of(files_.open(path, {})), Errc::not_found);
    auto file = files_.open(path, {.create = true});
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ((*file)->size_bytes(), 0u);
    ASSERT_TRUE((*file)->resize(1'000'000));
    EXPECT_EQ((*file)->size_bytes(), 1'000'000u);
    EXPECT_FALSE((*file)->is_block_device());
    EXPECT_FALSE((*file)->is_direct());
    EXPECT_EQ((*file)->alignment_bytes(), 1u);
    EXPECT_EQ((*file)->block_bytes(), 512u);
    auto second = files_.open(path, {.read_only = true});
    ASSERT_TRUE(second);
    EXPECT_EQ((*second)->size_bytes(), 1'000'000u);
    EXPECT_FALSE((*second)->resize(5));
}

TEST_P(FilesTest, LocksOutASecondUser) {
    const std::string path = world_.path("file");
    auto file = files_.open(path, {.create = true, .exclusive = true});
    ASSERT_TRUE(file);
    EXPECT_EQ(code_of(files_.open(path, {.exclusive = true})), Errc::busy);
    EXPECT_EQ(code_of(files_.open(path, {.read_only = true, .exclusive = true})), Errc::busy);
    EXPECT_TRUE(files_.open(path, {}));  // who does not ask is not stopped
    file->reset();

    auto reader = files_.open(path, {.read_only = true, .exclusive = true});
    ASSERT_TRUE(reader);
    EXPECT_TRUE(files_.open(path, {.read_only = true, .exclusive = true}));
    EXPECT_EQ(code_of(files_.open(path, {.exclusive = true})), Errc::busy);
    reader->reset();
    EXPECT_TRUE(files_.open(path, {.exclusive = true}));
}

// As the kernel does with the files of a process that was killed, which go some time after it.
TEST(LinuxFiles, ALockThatGoesInAMomentIsWaitedFor) {
    TestWorld world(WorldKind{});
    Files& files = world.environment().files();
    const std::string path = world.path("file");
    auto held = files.open(path, {.create = true, .exclusive = true});
    ASSERT_TRUE(held);
    std::thread holder([&held] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        held->reset();
    });
    EXPECT_TRUE(files.open(path, {.exclusive = true}));
    holder.join();
}

TEST_P(FilesTest, ReplacesAFileAsAWhole) {
    const std::string path = world_.path("state");
    EXPECT_EQ(code_of(files_.read_all(path, 100)), Errc::not_found);
    ASSERT_TRUE(files_.write_atomically(path, "one"));
    EXPECT_EQ(files_.read_all(path, 3), "one");
    ASSERT_TRUE(files_.write_atomically(path, std::string(100'000, 'x')));
    EXPECT_EQ(files_.read_all(path, 100'000), std::string(100'000, 'x'));
    EXPECT_EQ(code_of(files_.read_all(path, 99'999)), Errc::out_of_range);
    ASSERT_TRUE(files_.write_atomically(path, ""));
    EXPECT_EQ(files_.read_all(path, 0), "");
    ASSERT_TRUE(files_.remove(path));
    EXPECT_EQ(code_of(files_.remove(path)), Errc::not_found);
}

TEST_P(FilesTest, AnOpenFileOutlivesItsName) {
    const std::string path = world_.path("file");
    auto file = files_.open(path, {.create = true});
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->resize(10));
    ASSERT_TRUE(files_.remove(path));
    EXPECT_EQ((*file)->size_bytes(), 10u);
    EXPECT_EQ(code_of(files_.open(path, {})), Errc::not_found);
}

TEST_P(FilesTest, WritesDurablyWhereItIsTold) {
    const std::string path = world_.path("file");
    auto file = files_.open(path, {.create = true});
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_durably(0, "hello"));
    ASSERT_TRUE((*file)->write_durably(5, std::string(10'000, 'x')));
    ASSERT_TRUE((*file)->write_durably(1, "a"));
    ASSERT_TRUE((*file)->write_durably(10'005, ""));
    EXPECT_EQ(files_.read_all(path, 20'000), "hallo" + std::string(10'000, 'x'));
    auto reader = files_.open(path, {.read_only = true});
    ASSERT_TRUE(reader);
    EXPECT_FALSE((*reader)->write_durably(0, "x"));
}

TEST_P(FilesTest, AppendsWhateverTheOffset) {
    const std::string path = world_.path("file");
    ASSERT_TRUE(files_.write_atomically(path, "one"));
    auto file = files_.open(path, {.create = true, .append = true});
    ASSERT_TRUE(file) << file.error().message;
    auto other = files_.open(path, {.create = true, .append = true});
    ASSERT_TRUE(other);
    ASSERT_TRUE((*file)->write_durably(0, "two"));
    ASSERT_TRUE((*other)->write_durably(1, "three"));
    EXPECT_EQ(files_.read_all(path, 100), "onetwothree");
}

TEST_P(FilesTest, ARenamedFileTakesThePlaceOfAnother) {
    ASSERT_TRUE(files_.write_atomically(world_.path("a"), "one"));
    ASSERT_TRUE(files_.write_atomically(world_.path("b"), "two"));
    ASSERT_TRUE(files_.rename(world_.path("a"), world_.path("b")));
    EXPECT_EQ(files_.read_all(world_.path("b"), 10), "one");
    EXPECT_EQ(code_of(files_.open(world_.path("a"), {})), Errc::not_found);
    EXPECT_EQ(code_of(files_.rename(world_.path("a"), world_.path("b"))), Errc::not_found);
}

INSTANTIATE_TEST_SUITE_P(Worlds, FilesTest, testing::Values(WorldKind{}, WorldKind{.seed = 1}), name_of_world);

class LinuxFilesTest : public FilesTest {};

TEST_P(LinuxFilesTest, AppendsToNoSymbolicLink) {
    const std::string path = world_.path("file");
    ASSERT_TRUE(files_.write_atomically(path, "one"));
    ASSERT_EQ(symlink(path.c_str(), world_.path("link").c_str()), 0);
    EXPECT_EQ(code_of(files_.open(world_.path("link"), {.create = true, .append = true})), Errc::invalid_argument);
}

// A lock file beside a socket in a folder that all may write: a link there must not make us open its target.
TEST_P(LinuxFilesTest, MakesNothingThroughASymbolicLink) {
    const std::string path = world_.path("victim");
    ASSERT_EQ(symlink(path.c_str(), world_.path("rpc.sock.lock").c_str()), 0);
    const OpenOptions options{.create = true, .exclusive = true};
    EXPECT_EQ(code_of(files_.open(world_.path("rpc.sock.lock"), options)), Errc::invalid_argument);
    EXPECT_EQ(code_of(files_.open(path, {})), Errc::not_found);
    ASSERT_TRUE(files_.write_atomically(path, "there"));
    EXPECT_EQ(code_of(files_.open(world_.path("rpc.sock.lock"), options)), Errc::invalid_argument);
}

TEST_P(LinuxFilesTest, ASecretIsReadOnlyIfItIsKeptFromOthers) {
    const std::string path = world_.path("key");
    ASSERT_TRUE(files_.write_atomically(path, "secret"));
    for (const mode_t mode : {0600U, 0400U, 0640U}) {
        ASSERT_EQ(chmod(path.c_str(), mode), 0);
        EXPECT_EQ(files_.read_secret(path, 100), "secret") << mode;
    }
    for (const mode_t mode : {0644U, 0602U, 0660U, 0601U}) {
        ASSERT_EQ(chmod(path.c_str(), mode), 0);
        EXPECT_EQ(code_of(files_.read_secret(path, 100)), Errc::permission_denied) << mode;
    }
    EXPECT_EQ(code_of(files_.read_secret(world_.path("none"), 100)), Errc::not_found);
    ASSERT_EQ(mkfifo(world_.path("pipe").c_str(), 0600), 0);
    EXPECT_EQ(code_of(files_.read_secret(world_.path("pipe"), 100)), Errc::invalid_argument);
}

TEST_P(LinuxFilesTest, RefusesWhatIsNeitherFileNorBlockDevice) {
    EXPECT_EQ(code_of(files_.open(world_.path(""), {})), Errc::invalid_argument);
    EXPECT_EQ(code_of(files_.open("/dev/null", {})), Errc::invalid_argument);
    ASSERT_EQ(mkfifo(world_.path("fifo").c_str(), 0600), 0);
    EXPECT_EQ(code_of(files_.open(world_.path("fifo"), {})), Errc::invalid_argument);  // and does not hang
}

TEST_P(LinuxFilesTest, WritesForItsOwnerOnlyAndLeavesNothingBehind) {
    const std::string path = world_.path("state");
    ASSERT_TRUE(files_.write_atomically(path, "secret"));
    struct stat status{};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(::access((path + ".tmp").c_str(), F_OK), -1);
    EXPECT_EQ(code_of(files_.write_atomically(world_.path("none/state"), "x")), Errc::not_found);
}

TEST_P(LinuxFilesTest, MakesAFolderForItsOwnerOnly) {
    const std::string path = world_.path("folder");
    ASSERT_TRUE(files_.make_folder(path));
    struct stat status{};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
    EXPECT_TRUE(files_.make_folder(path));
    EXPECT_EQ(code_of(files_.make_folder(world_.path("none/folder"))), Errc::not_found);
    ASSERT_TRUE(files_.write_atomically(world_.path("file"), ""));
    EXPECT_EQ(code_of(files_.make_folder(world_.path("file"))), Errc::already_exists);
}

TEST_P(LinuxFilesTest, TellsTheAlignmentOfDirectIo) {
    auto file = files_.open(world_.path("file"), {.direct = true, .create = true});
    if (!file && file.error().code == Errc::not_supported) GTEST_SKIP() << file.error().message;
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_TRUE((*file)->is_direct());
    const uint32_t alignment = (*file)->alignment_bytes();
    EXPECT_TRUE(alignment == 512 || alignment == 4096) << alignment;
}

INSTANTIATE_TEST_SUITE_P(Kernel, LinuxFilesTest, testing::Values(WorldKind{}), name_of_world);

}  // namespace
}  // namespace weft::env
