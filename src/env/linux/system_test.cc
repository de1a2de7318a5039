// Clock, randomness, memory mappings, OS threads, offload: one test file, as none of them has much to test.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "env/environment.h"
#include "env/linux/os_thread.h"

namespace weft::env {
namespace {

class SystemTest : public testing::Test {
protected:
    std::unique_ptr<Environment> environment_ = std::move(*make_linux_environment());
};

TEST_F(SystemTest, ClockNeverGoesBack) {
    TimeNs last = environment_->clock().now();
    for (int at = 0; at < 1000; ++at) {
        const TimeNs now = environment_->clock().now();
        ASSERT_GE(now, last);
        last = now;
    }
    EXPECT_GT(environment_->clock().wall(), 1'600'000'000 * ns_per_s);
}

TEST_F(SystemTest, RandomFillsAllOfIt) {
    std::vector<std::byte> first(100'000);
    std::vector<std::byte> second(100'000);
    environment_->random().fill(first);
    environment_->random().fill(second);
    EXPECT_NE(first, second);
    EXPECT_FALSE(is_zero(Bytes(first).last(64)));
    environment_->random().fill({});
}

TEST_F(SystemTest, MachineIdIsStable) {
    EXPECT_FALSE(environment_->machine_id().empty());
    EXPECT_EQ(environment_->machine_id(), environment_->machine_id());
}

TEST(Mapping, IsAlignedZeroAndUntouched) {
    constexpr size_t size = size_t{64} << 20;
    auto mapping = map_memory(size + 1, {.name = "test", .huge_pages = false});
    ASSERT_TRUE(mapping) << mapping.error().message;
    EXPECT_EQ(mapping->size(), size + 4096);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mapping->data()) % (size_t{2} << 20), 0u);
    EXPECT_EQ(mapping->descriptor(), -1);
    std::vector<unsigned char> resident(mapping->size() / 4096);
    ASSERT_EQ(mincore(mapping->data(), mapping->size(), resident.data()), 0);
    EXPECT_EQ(std::ranges::count(resident, 0), static_cast<ptrdiff_t>(resident.size()));
    EXPECT_TRUE(is_zero(Bytes(mapping->data(), 8192)));
    mapping->data()[size] = std::byte{1};
}

TEST(Mapping, CanBeGivenToAnother) {
    auto mapping = map_memory(8192, {.name = "weft_test", .sharing = Sharing::always});
    ASSERT_TRUE(mapping);
    ASSERT_GE(mapping->descriptor(), 0);
    void* second = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, mapping->descriptor(), 0);
    ASSERT_NE(second, MAP_FAILED);
    mapping->data()[4097] = std::byte{7};
    EXPECT_EQ(static_cast<const std::byte*>(second)[4097], std::byte{7});
    munmap(second, 8192);
}

TEST(Mapping, IsSharedUnlessThatCostsHugePages) {
    auto mapping = map_memory(size_t{4} << 20, {.name = "weft_test", .sharing = Sharing::unless_slower});
    ASSERT_TRUE(mapping);
    mapping->data()[0] = std::byte{1};
    std::ifstream smaps("/proc/self/smaps");
    bool is_mine = false;
    bool is_huge = false;  // eligible for it, whether or not the system had one at hand
    for (std::string line; std::getline(smaps, line);) {
        uintptr_t start = 0;
        uintptr_t end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) {
            const auto mine = reinterpret_cast<uintptr_t>(mapping->data());
            is_mine = start <= mine && mine < end;
        }
        if (is_mine && line.starts_with("THPeligible:")) is_huge = line.ends_with('1');
    }
    EXPECT_TRUE(is_huge || mapping->descriptor() >= 0);
}

// In kibibytes, of all the process.
size_t resident_kib() {
    std::ifstream statm("/proc/self/statm");
    size_t total = 0;
    size_t resident = 0;
    statm >> total >> resident;
    return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

TEST(Mapping, PopulatesWithMemoryOfItsOwn) {
    constexpr size_t size = size_t{64} << 20;
    auto mapping = map_memory(size, {.sharing = Sharing::unless_slower});
    ASSERT_TRUE(mapping);
    mapping->data()[5000] = std::byte{7};
    const size_t before = resident_kib();
    populate({mapping->data(), size});
    EXPECT_GT(resident_kib(), before + (size - (size_t{4} << 20)) / 1024);
    EXPECT_EQ(mapping->data()[5000], std::byte{7});
    EXPECT_EQ(mapping->data()[0], std::byte{0});
}

TEST(Mapping, MovesAndRefusesTheImpossible) {
    auto mapping = map_memory(4096, {});
    ASSERT_TRUE(mapping);
    std::byte* const start = mapping->data();
    Mapping moved = std::move(*mapping);
    EXPECT_EQ(mapping->data(), nullptr);
    EXPECT_EQ(moved.data(), start);
    moved = Mapping();
    const auto impossible = map_memory(size_t{1} << 60, {});
    ASSERT_FALSE(impossible);
    EXPECT_EQ(impossible.error().code, Errc::no_memory);
}

TEST(OsThread, IsNamedAndPinnedAndJoined) {
    const size_t cpu = usable_cpus().back();
    std::string name;
    int ran_on = -1;
    size_t helpers = 0;
    {
        auto thread = OsThread::start({.name = "a_very_long_thread_name", .cpu = static_cast<int>(cpu)}, [&] {
            std::array<char, 32> buffer{};
            pthread_getname_np(pthread_self(), buffer.data(), buffer.size());
            name = buffer.data();
            ran_on = sched_getcpu();
            helpers = cpus_for_helpers().size();
        });
        ASSERT_TRUE(thread) << thread.error().message;
    }
    EXPECT_EQ(name, "a_very_long_thr");
    EXPECT_EQ(ran_on, static_cast<int>(cpu));
    EXPECT_EQ(helpers, std::max<size_t>(1, usable_cpus().size() - 1));
}

TEST(OsThread, UnpinnedOnesDoNotInheritAPin) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    std::unique_ptr<OsThread> inner;
    {
        auto outer = OsThread::start({.name = "outer", .cpu = static_cast<int>(usable_cpus().front())}, [&] {
            auto started = OsThread::start({.name = "inner"}, [&] { sched_getaffinity(0, sizeof(allowed), &allowed); });
            if (started) inner = std::move(*started);
        });
        ASSERT_TRUE(outer);
    }
    inner.reset();
    EXPECT_EQ(static_cast<size_t>(CPU_COUNT(&allowed)), usable_cpus().size());
}

TEST(OsThread, RefusesACpuWeMayNotUse) {
    const auto thread = OsThread::start({.name = "none", .cpu = 1023}, [] {});
    ASSERT_FALSE(thread);
    EXPECT_EQ(thread.error().code, Errc::invalid_argument);
}

TEST_F(SystemTest, OffloadRunsWorkThenDoneElsewhere) {
    const int here = current_os_thread_id();
    std::atomic<int> done{0};
    constexpr int count = 50;
    for (int at = 0; at < count; ++at) {
        auto worked_on = std::make_unique<int>(0);
        int* const place = worked_on.get();
        environment_->offload({.work = [place] { *place = current_os_thread_id(); },
                               .done =
                                   [&done, here, worked_on = std::move(worked_on)] {
                                       if (*worked_on == current_os_thread_id() && *worked_on != here) ++done;
                                   }});
    }
    environment_.reset();  // runs what is queued
    EXPECT_EQ(done.load(), count);
}

TEST_F(SystemTest, WaiterWakesFromAnotherThreadAndKeepsItsDeadline) {
    auto waiter = std::move(*environment_->make_waiter());
    Ready ready{};
    const TimeNs start = environment_->clock().now();
    EXPECT_EQ(waiter->wait(start + 3 * ns_per_ms, std::span(&ready, 1)), 0u);
    EXPECT_GE(environment_->clock().now(), start + 3 * ns_per_ms);
    std::thread other([&waiter] { waiter->wake(); });
    EXPECT_EQ(waiter->wait(time_never, std::span(&ready, 1)), 0u);
    other.join();
    waiter->wake();  // before the wait: it ends that one
    EXPECT_EQ(waiter->wait(time_never, std::span(&ready, 1)), 0u);
    EXPECT_EQ(waiter->wait(0, std::span(&ready, 1)), 0u);
}

}  // namespace
}  // namespace weft::env
