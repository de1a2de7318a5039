// Each device that stands on others, behind NVMe/TCP: what is written is there, flushes pass, and when its base is
// pulled out under load every command is answered and nothing is left.
#include <gtest/gtest.h>

#include <algorithm>

#include "bdev_modules/crypto/crypto_device.h"
#include "bdev_modules/delay/delay_device.h"
#include "bdev_modules/error/error_device.h"
#include "bdev_modules/file/file_device.h"
#include "bdev_modules/passthru/passthru_device.h"
#include "bdev_modules/split/split_device.h"
#include "nvmf/subsystem.h"
#include "sim/device_modules.h"
#include "sim/io_user.h"

namespace weft::test {
namespace {

constexpr uint64_t base_blocks = 1024;
constexpr uint32_t blocks_of_write = 16;  // whole stripes of raid5f
constexpr uint64_t writes = 24;

struct Kind {
    const char* name;
    size_t bases;
    std::string top;
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

Task<void> add_files(Rig& rig, size_t count) {
    for (size_t at = 0; at < count; ++at) {
        const std::string name(1, static_cast<char>('A' + at));
        {
            auto file = rig.target_runtime().environment().files().open("/" + name, {.create = true});
            EXPECT_TRUE(file && (*file)->resize(base_blocks * 512));
        }
        const auto made = co_await bdev::create_file_device(
            rig.bdevs(), {.name = name, .filename = "/" + name, .block_bytes = 512, .is_concurrent = true});
        EXPECT_TRUE(made) << made.error().message;
    }
}

// What stands on A, or on A, B and so on. It is asked for before its bases are there.
Task<void> build(Rig& rig, Kind kind) {
    DeviceModules& modules = rig.modules();
    EXPECT_TRUE(
        modules.accel.keys().add(modules.accel.module_of(accel::Op::encrypt),
                                 {.name = "k",
                                  .key = std::move(*accel::secret_of_hex("27182818284590452353602874713526")),
                                  .key2 = std::move(*accel::secret_of_hex("31415926535897932384626433832795"))}));
    const std::string_view name = kind.name;
    Result<void> asked;
    if (name == "passthru") asked = create_passthru_device(modules.awaited, {.name = "top", .base = "A"});
    if (name == "delay") {
        asked = create_delay_device(modules.awaited, {.name = "top", .base = "A", .latency_us = {100, 200, 300, 400}});
    }
    if (name == "error") asked = create_error_device(modules.awaited, {.base = "A"});
    if (name == "split") asked = create_split_devices(modules.awaited, {.base = "A", .count = 2});
    if (name == "crypto") {
        asked =
            create_crypto_device(modules.awaited, modules.accel, {.name = "top", .base_name = "A", .key_name = "k"});
    }
    if (kind.bases > 1) {
        bdev::RaidArray::Params params{.name = "top"};
        params.level = name == "raid0"   ? bdev::RaidLevel::raid0
                       : name == "raid1" ? bdev::RaidLevel::raid1
                                         : bdev::RaidLevel::raid5f;
        params.strip_kb = name == "raid1" ? 0U : 4U;
        for (size_t at = 0; at < kind.bases; ++at) params.bases.emplace_back(1, static_cast<char>('A' + at));
        asked = co_await modules.raids.create(std::move(params));
    }
    EXPECT_TRUE(asked) << asked.error().message;
    co_await add_files(rig, kind.bases);
    for (int left = 100; left > 0 && rig.bdevs().find(kind.top) == nullptr; --left) co_await sleep_for(env::ns_per_ms);
    EXPECT_NE(rig.bdevs().find(kind.top), nullptr);
    co_await rig.export_device(kind.top);
}

std::byte pattern_of(uint64_t at) { return static_cast<std::byte>(at * 7 + 1); }

Task<void> write_all(nvme_host::Qpair& qpair) {
    std::vector<std::byte> data(blocks_of_write * 512);
    for (uint64_t at = 0; at < writes; ++at) {
        std::ranges::fill(data, pattern_of(at));
        EXPECT_STATUS(
            co_await execute(qpair, command_of(nvme::IoOpcode::write, at * blocks_of_write, blocks_of_write), data),
            nvme::status::success);
    }
}

Task<void> expect_all(nvme_host::Qpair& qpair) {
    for (uint64_t at = 0; at < writes; ++at) {
        std::vector<std::byte> data(blocks_of_write * 512);
        EXPECT_STATUS(
            co_await execute(qpair, command_of(nvme::IoOpcode::read, at * blocks_of_write, blocks_of_write), data),
            nvme::status::success);
        EXPECT_TRUE(std::ranges::all_of(data, [at](std::byte byte) { return byte == pattern_of(at); })) << at;
    }
}

class StacksTest : public testing::TestWithParam<Kind> {
protected:
    Rig rig_{11, {.data_reactors = 2, .hosts = 1, .world = {}}};
};

TEST_P(StacksTest, KeepsWhatIsWritten) {
    rig_.run(build(rig_, GetParam()));
    rig_.run_on_host(0, [](Rig& rig) -> Task<void> {
        auto user = co_await IoUser::connect(rig, 0);
        co_await write_all(user->qpair());
        EXPECT_STATUS(co_await execute(user->qpair(), command_of(nvme::IoOpcode::flush, 0, 1), {}),
                      nvme::status::success);
        co_await expect_all(user->qpair());
        co_await user->end();
    }(rig_));
    rig_.run_for(env::ns_per_s);
    EXPECT_TRUE(rig_.target_is_idle());
}

// Hosts write and read until they are told that there is no namespace.
TEST_P(StacksTest, AnswersEverythingWhenItsBasesAreKeptFromIt) {
    const Kind kind = GetParam();
    rig_.run(build(rig_, kind));
    int answered = 0;
    rig_.run_on_host(0, [](Rig& rig, Kind what, int& count) -> Task<void> {
        auto user = co_await IoUser::connect(rig, 0);
        co_await write_all(user->qpair());
        {
            const CurrentThread scope(&rig.target_runtime().app_thread());
            spawn([](Rig& target, size_t bases) -> Task<void> {
                co_await yield();  // into a turn of the target's
                for (size_t at = 0; at < bases; ++at) {
                    const std::string base(1, static_cast<char>('A' + at));
                    EXPECT_TRUE(co_await target.bdevs().remove(base));
                }
            }(rig, what.bases));
        }
        std::vector<std::byte> data(blocks_of_write * 512);
        for (;; ++count) {
            const bool is_write = count % 2 == 0;
            const auto status = co_await execute(
                user->qpair(), command_of(is_write ? nvme::IoOpcode::write : nvme::IoOpcode::read, 0, blocks_of_write),
                data);
            if (!status.is_success()) {
                EXPECT_STATUS(status, nvme::status::invalid_namespace_or_format);
                break;
            }
        }
        co_await user->end();
    }(rig_, kind, answered));
    rig_.run_for(env::ns_per_s);
    EXPECT_EQ(rig_.bdevs().find(kind.top), nullptr);
    EXPECT_TRUE(rig_.bdevs().all().empty());
    EXPECT_TRUE(rig_.target_is_idle());
}

INSTANTIATE_TEST_SUITE_P(All, StacksTest,
                         testing::Values(Kind{"passthru", 1, "top"}, Kind{"delay", 1, "top"}, Kind{"error", 1, "EE_A"},
                                         Kind{"split", 1, "Ap1"}, Kind{"crypto", 1, "top"}, Kind{"raid0", 2, "top"},
                                         Kind{"raid1", 2, "top"}, Kind{"raid5f", 3, "top"}),
                         [](const auto& info) { return std::string(info.param.name); });

// A side goes, and is filled again while a host writes: then the other goes, and all is there. The rebuild waits for
// writes that a disk takes its time for; were it to ask without resting this would not end.
TEST(MirrorTest, IsRebuiltUnderLoad) {
    sim::Options world;
    world.disk.latency = {.min = 200 * env::ns_per_us, .max = env::ns_per_ms};
    Rig rig(12, {.data_reactors = 2, .hosts = 1, .world = world});
    rig.run(build(rig, {"raid1", 2, "top"}));
    bool is_rebuilt = false;
    rig.run_on_host(0, [](Rig& r, bool& rebuilt) -> Task<void> {
        auto user = co_await IoUser::connect(r, 0);
        co_await write_all(user->qpair());
        {
            const CurrentThread scope(&r.target_runtime().app_thread());
            spawn([](Rig& target, bool& done) -> Task<void> {
                co_await yield();  // into a turn of the target's
                bdev::Raids& raids = target.modules().raids;
                EXPECT_TRUE(co_await raids.remove_base("A"));
                EXPECT_TRUE(co_await raids.add_base("top", "A"));
                auto* raid = static_cast<bdev::RaidDevice*>(target.bdevs().find("top"));
                while (raid->count_of(bdev::BaseMode::in_sync) < 2) co_await sleep_for(env::ns_per_ms);
                EXPECT_TRUE(co_await raids.remove_base("B"));
                done = true;
            }(r, rebuilt));
        }
        while (!rebuilt) co_await write_all(user->qpair());
        co_await expect_all(user->qpair());
        co_await user->end();
    }(rig, is_rebuilt));
    EXPECT_TRUE(is_rebuilt);
}

}  // namespace
}  // namespace weft::test
