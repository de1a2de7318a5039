// The contract of FileQueue, held by io_uring, by worker threads and by the simulator alike.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <filesystem>

#include "env/linux/file_ring.h"
#include "env/linux/file_workers.h"
#include "env/test_worlds.h"

namespace weft::env {
namespace {

enum class QueueKind : uint8_t { ring, workers, simulated };
using Kind = FileOperation::Kind;

struct Operation : FileOperation {
    Operation() {
        done = [](FileOperation& self) { ++static_cast<Operation&>(self).done_count; };
    }
    int done_count = 0;
    std::vector<iovec> pieces;
};

class FileQueueTest : public testing::TestWithParam<QueueKind> {
protected:
    static WorldKind world_of(QueueKind kind) {
        return kind == QueueKind::simulated ? WorldKind{.seed = 7} : WorldKind{};
    }

    void SetUp() override {
        auto queue = make_queue();
        if (!queue) GTEST_SKIP() << queue.error().message;
        queue_ = std::move(*queue);
        waiter_ = std::move(*world_.environment().make_waiter());
        ASSERT_TRUE(waiter_->add(queue_->completions(), {.events = Events::readable}, this));
        open({.create = true});
    }

    void TearDown() override {
        if (waiter_ != nullptr) waiter_->remove(queue_->completions());
    }

    Result<std::unique_ptr<FileQueue>> make_queue() {
        switch (GetParam()) {
            case QueueKind::ring: return FileRing::create();
            case QueueKind::workers: return FileWorkers::create();
            case QueueKind::simulated: return world_.environment().make_file_queue();
        }
        return fail(Errc::invalid_argument, "no such kind");
    }

    void open(const OpenOptions& options) {
        file_.reset();
        auto file = world_.environment().files().open(world_.path("file"), options);
        ASSERT_TRUE(file) << file.error().message;
        file_ = std::move(*file);
    }

    Operation& make(Kind kind, uint64_t offset, MutableBytes bytes = {}, uint64_t length = 0) {
        Operation& operation = operations_.emplace_back();
        operation.kind = kind;
        operation.file = file_.get();
        operation.offset = offset;
        operation.length = length;
        operation.pieces = {{.iov_base = bytes.data(), .iov_len = bytes.size()}};
        operation.data = operation.pieces;
        return operation;
    }

    // Sleeps for completions as a reactor does, until nothing is in flight.
    void finish() {
        std::array<Ready, 4> ready{};
        queue_->flush();
        while (queue_->in_flight() > 0) {
            if (queue_->reap() > 0) {
                queue_->flush();
                continue;
            }
            if (queue_->arm()) {
                ASSERT_EQ(world_.wait(*waiter_, ready), 1u) << "completions were not told of";
                EXPECT_EQ(ready[0].context, this);
            }
            queue_->disarm();
        }
    }

    Operation& run(Kind kind, uint64_t offset, MutableBytes bytes = {}, uint64_t length = 0) {
        Operation& operation = make(kind, offset, bytes, length);
        queue_->submit(operation);
        finish();
        EXPECT_EQ(operation.done_count, 1);
        return operation;
    }

    static std::vector<std::byte> pattern(size_t size, uint8_t first = 1) {
        std::vector<std::byte> bytes(size);
        for (size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(first + at % 251);
        return bytes;
    }

    TestWorld world_{world_of(GetParam())};
    std::unique_ptr<FileQueue> queue_;
    std::unique_ptr<Waiter> waiter_;
    std::unique_ptr<File> file_;
    std::deque<Operation> operations_;
};

TEST_P(FileQueueTest, ReadsWhatWasWritten) {
    auto written = pattern(10'000);
    std::vector<std::byte> read(10'000);
    const Operation& write = run(Kind::write, 3000, written);
    EXPECT_FALSE(write.failed);
    EXPECT_EQ(write.bytes, 10'000u);
    EXPECT_EQ(run(Kind::read, 3000, read).bytes, 10'000u);
    EXPECT_EQ(read, written);
    EXPECT_EQ(file_->size_bytes(), 13'000u);
}

TEST_P(FileQueueTest, GathersAndScatters) {
    auto written = pattern(3000);
    std::vector<std::byte> read(3000);
    const auto split = [](Operation& operation, std::vector<std::byte>& bytes) {
        operation.pieces = {{.iov_base = bytes.data(), .iov_len = 1},
                            {.iov_base = bytes.data() + 1, .iov_len = 1999},
                            {.iov_base = bytes.data() + 2000, .iov_len = 1000}};
        operation.data = operation.pieces;
    };
    Operation& write = make(Kind::write, 0);
    split(write, written);
    queue_->submit(write);
    finish();
    Operation& back = make(Kind::read, 0);
    split(back, read);
    queue_->submit(back);
    finish();
    EXPECT_EQ(back.bytes, 3000u);
    EXPECT_EQ(read, written);
}

TEST_P(FileQueueTest, IsShortAtTheEnd) {
    auto bytes = pattern(1000);
    run(Kind::write, 0, bytes);
    EXPECT_EQ(run(Kind::read, 600, bytes).bytes, 400u);
    const Operation& beyond = run(Kind::read, 1000, bytes);
    EXPECT_FALSE(beyond.failed);
    EXPECT_EQ(beyond.bytes, 0u);
}

TEST_P(FileQueueTest, TakesMoreThanTheSystemDoes) {
    constexpr size_t count = size_t{3} * FileRing::operations_max;
    std::vector<std::vector<std::byte>> blocks;
    for (size_t at = 0; at < count; ++at) {
        blocks.push_back(pattern(512, static_cast<uint8_t>(at)));
        queue_->submit(make(Kind::write, at * 512, blocks.back()));
    }
    EXPECT_EQ(queue_->in_flight(), count);
    finish();
    for (const Operation& operation : operations_) {
        EXPECT_EQ(operation.done_count, 1);
        EXPECT_EQ(operation.bytes, 512u);
    }
    std::vector<std::byte> all(count * 512);
    EXPECT_EQ(run(Kind::read, 0, all).bytes, all.size());
    for (size_t at = 0; at < count; ++at) {
        ASSERT_EQ(std::memcmp(all.data() + at * 512, blocks[at].data(), 512), 0) << at;
    }
}

TEST_P(FileQueueTest, MakesDurableWhenAsked) {
    auto bytes = pattern(4096);
    Operation& write = make(Kind::write, 0, bytes);
    write.sync = true;
    queue_->submit(write);
    finish();
    EXPECT_FALSE(write.failed);
    EXPECT_FALSE(run(Kind::sync_data, 0).failed);
}

TEST_P(FileQueueTest, ClearsRangesWithoutChangingTheSize) {
    auto bytes = pattern(16384);
    for (const Kind kind : {Kind::zero_range, Kind::punch_hole}) {
        run(Kind::write, 0, bytes);
        const Operation& clear = run(kind, 4096, {}, 8192);
        if (clear.failed && clear.error == Errc::not_supported) continue;  // not with every file system
        ASSERT_FALSE(clear.failed) << describe(clear.error);
        std::vector<std::byte> read(16384);
        run(Kind::read, 0, read);
        EXPECT_TRUE(is_zero(Bytes(read).subspan(4096, 8192)));
        EXPECT_EQ(std::memcmp(read.data(), bytes.data(), 4096), 0);
        EXPECT_EQ(std::memcmp(read.data() + 12288, bytes.data() + 12288, 4096), 0);
        EXPECT_FALSE(run(kind, 12288, {}, 8192).failed);
        EXPECT_EQ(file_->size_bytes(), 16384u);
    }
}

TEST_P(FileQueueTest, ReportsFailures) {
    open({.read_only = true});
    auto bytes = pattern(512);
    const Operation& write = run(Kind::write, 0, bytes);
    EXPECT_TRUE(write.failed);
    EXPECT_EQ(write.error, Errc::io_error);
    EXPECT_EQ(write.bytes, 0u);
}

TEST_P(FileQueueTest, RunsDoneOnlyWhenReapedAndLetsItSubmit) {
    struct Chain : Operation {
        FileQueue* queue = nullptr;
        Operation* next = nullptr;
    };
    auto bytes = pattern(512);
    Operation& second = make(Kind::write, 512, bytes);
    Chain first;
    first.kind = Kind::write;
    first.file = file_.get();
    first.pieces = {{.iov_base = bytes.data(), .iov_len = 512}};
    first.data = first.pieces;
    first.queue = queue_.get();
    first.next = &second;
    first.done = [](FileOperation& self) {
        auto& chain = static_cast<Chain&>(self);
        ++chain.done_count;
        chain.queue->submit(*chain.next);
    };
    queue_->submit(first);
    EXPECT_EQ(first.done_count, 0);
    queue_->flush();
    EXPECT_EQ(first.done_count, 0);
    finish();
    EXPECT_EQ(first.done_count, 1);
    EXPECT_EQ(second.done_count, 1);
    EXPECT_EQ(queue_->in_flight(), 0u);
}

TEST_P(FileQueueTest, IsSilentWhenAllIsDone) {
    auto bytes = pattern(512);
    std::array<Ready, 4> ready{};
    for (int round = 0; round < 20; ++round) {
        for (uint64_t at = 0; at < 8; ++at) queue_->submit(make(Kind::write, at * 512, bytes));
        finish();
        // A stale notice may come once: a reactor that wakes, finds nothing and sleeps again loses little.
        world_.wait_in_vain(*waiter_, std::span(ready).first(1));
        ASSERT_EQ(waiter_->wait(0, ready), 0u);
    }
}

TEST_P(FileQueueTest, CopiesFilesThatAreInMemory) {
    if (GetParam() == QueueKind::simulated) GTEST_SKIP() << "no file systems there";
    const std::string path = fmt::format("/dev/shm/weft_env_test.{}", getpid());
    auto file = world_.environment().files().open(path, {.create = true, .exclusive = true});
    ASSERT_TRUE(file) << file.error().message;
    std::filesystem::remove(path);
    file_ = std::move(*file);
    if (!file_->is_in_memory()) GTEST_SKIP() << "/dev/shm is no tmpfs";
    auto bytes = pattern(10000);
    std::vector<std::byte> got(bytes.size());
    EXPECT_EQ(run(Kind::write, 12345, bytes).bytes, bytes.size());
    EXPECT_EQ(run(Kind::read, 12345, got).bytes, bytes.size());
    EXPECT_EQ(got, bytes);
    EXPECT_FALSE(run(Kind::sync_data, 0).failed);
    EXPECT_EQ(run(Kind::read, 20000, got).bytes, 2345u) << "short at the end";
    Operation& pending = make(Kind::read, 0, got);
    queue_->submit(pending);
    EXPECT_EQ(pending.done_count, 0) << "never inside submit()";
    finish();
    EXPECT_EQ(pending.done_count, 1);
}

TEST_P(FileQueueTest, DoesDirectIoWhenAligned) {
    auto direct = world_.environment().files().open(world_.path("direct"), {.direct = true, .create = true});
    if (!direct) GTEST_SKIP() << direct.error().message;
    file_ = std::move(*direct);
    const size_t unit = file_->alignment_bytes();
    alignas(4096) static std::array<std::byte, 16384> buffer;
    const auto bytes = pattern(buffer.size());
    std::ranges::copy(bytes, buffer.begin());
    const Operation& write = run(Kind::write, unit, buffer);
    ASSERT_FALSE(write.failed) << describe(write.error);
    EXPECT_EQ(write.bytes, buffer.size());
    buffer.fill({});
    EXPECT_EQ(run(Kind::read, unit, buffer).bytes, buffer.size());
    EXPECT_TRUE(std::ranges::equal(buffer, bytes));
    const Operation& misaligned = run(Kind::write, unit, MutableBytes(buffer).subspan(1, unit));
    // Some kernels and devices take any memory.
    if (misaligned.failed || GetParam() == QueueKind::simulated) {
        EXPECT_TRUE(misaligned.failed);
        EXPECT_EQ(misaligned.error, Errc::invalid_argument);
    }
}

// A filter as containers have it, on one thread and those it starts.
void refuse_io_uring(int number) {
    constexpr auto field = static_cast<uint32_t>(offsetof(seccomp_data, nr));
    std::array<sock_filter, 4> filter{{
        {.code = BPF_LD | BPF_W | BPF_ABS, .jt = 0, .jf = 0, .k = field},
        {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 1, .k = SYS_io_uring_setup},
        {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ERRNO | static_cast<uint32_t>(number)},
        {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW},
    }};
    const sock_fprog program{.len = filter.size(), .filter = filter.data()};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST(LinuxFileQueue, IsMadeOfThreadsWhereIoUringIsRefused) {
    for (const int number : {EPERM, ENOSYS}) {
        auto environment = std::move(*make_linux_environment());
        auto thread = OsThread::start({.name = "contained"}, [&environment, number] {
            refuse_io_uring(number);
            for (int at = 0; at < 2; ++at) {
                const auto queue = environment->make_file_queue();
                ASSERT_TRUE(queue) << queue.error().message;
                EXPECT_NE(dynamic_cast<FileWorkers*>(queue->get()), nullptr);
            }
        });
        ASSERT_TRUE(thread);
    }
}

TEST(LinuxFileQueue, IsMadeOfThreadsWhenTold) {
    ASSERT_EQ(setenv("WEFT_NO_IO_URING", "1", 1), 0);
    auto environment = std::move(*make_linux_environment());
    ASSERT_EQ(unsetenv("WEFT_NO_IO_URING"), 0);
    const auto queue = environment->make_file_queue();
    ASSERT_TRUE(queue);
    EXPECT_NE(dynamic_cast<FileWorkers*>(queue->get()), nullptr);
}

std::string name_of_queue(const testing::TestParamInfo<QueueKind>& info) {
    constexpr const char* names[] = {"Ring", "Workers", "Simulated"};
    return names[static_cast<size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileQueueTest,
                         testing::Values(QueueKind::ring, QueueKind::workers, QueueKind::simulated), name_of_queue);

}  // namespace
}  // namespace weft::env
