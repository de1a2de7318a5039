// The Zoned Namespace Command Set as a host sees it: Identify, reports, writes and appends, every action, and what is
// refused (NVMe Zoned Namespace Command Set 1.1).
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "bdev_modules/zoned/zoned_device.h"
#include "nvme/zoned.h"
#include "nvme_host/admin.h"
#include "sim/io_user.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme::IoOpcode;
using nvme::ZoneSendAction;
namespace status = nvme::status;

constexpr uint64_t zone_count = 16;
constexpr uint64_t zone_blocks = 64;
constexpr uint64_t capacity = 48;

std::unique_ptr<bdev::Device> zoned_disk() {
    auto device = bdev::ZonedDevice::create({.name = "Zoned0",
                                             .block_bytes = 512,
                                             .zone_count = zone_count,
                                             .zone_blocks = zone_blocks,
                                             .capacity_blocks = capacity,
                                             .active_max = 4,
                                             .open_max = 3},
                                            Uuid::from_names({"sim", "Zoned0"}));
    EXPECT_TRUE(device);
    return std::move(*device);
}

nvme::Command send_command(ZoneSendAction action, uint64_t slba, bool all = false) {
    nvme::Command command = command_of(IoOpcode::zone_management_send, slba, 1);
    command.cdw12 = 0;
    command.cdw13 = static_cast<uint32_t>(action) | (all ? 1U << 8 : 0U);
    return command;
}

nvme::Command report_command(uint64_t slba, size_t bytes, nvme::ZoneReportFilter filter = {}, bool is_partial = false,
                             uint32_t action = 0) {
    nvme::Command command = command_of(IoOpcode::zone_management_receive, slba, 1);
    command.cdw12 = static_cast<uint32_t>(bytes / 4 - 1);
    command.cdw13 = action | static_cast<uint32_t>(filter) << 8 | (is_partial ? 1U << 16 : 0U);
    return command;
}

struct Report {
    nvme::Status status;
    uint64_t count = 0;
    std::vector<nvme::ZoneDescriptor> zones;
};

Task<Report> report(nvme_host::Qpair& qpair, uint64_t slba, size_t bytes, nvme::ZoneReportFilter filter = {},
                    bool is_partial = false) {
    std::vector<std::byte> data(bytes);
    Report got;
    got.status = co_await execute(qpair, report_command(slba, bytes, filter, is_partial), data);
    if (!got.status.is_success() || bytes < 64) co_return got;
    got.count = load<nvme::ZoneReportHeader>(data).zone_count;
    for (size_t at = 64; at + 64 <= bytes && got.zones.size() < got.count; at += 64) {
        got.zones.push_back(load<nvme::ZoneDescriptor>(Bytes(data).subspan(at)));
    }
    co_return got;
}

struct Appended {
    nvme::Status status;
    uint64_t lba = 0;
};

Task<Appended> append(nvme_host::Qpair& qpair, uint64_t slba, uint32_t blocks, std::byte fill) {
    std::vector<std::byte> data(size_t{blocks} * 512, fill);
    nvme_host::Io io;
    io.command = command_of(IoOpcode::zone_append, slba, blocks);
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    io.data = {&piece, 1};
    co_await nvme_host::Execute(qpair, io);
    co_return Appended{io.status(), io.completion.value64()};
}

Task<void> identify_zones(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Controller& controller = user->controller();
    nvme::IdentifyZonedNamespace zones;
    EXPECT_TRUE(co_await nvme_host::identify(controller, "zones", nvme::Cns::io_command_set_namespace, 1, 2,
                                             std::as_writable_bytes(std::span(&zones, 1))));
    EXPECT_EQ(zones.mar, 3U);
    EXPECT_EQ(zones.mor, 2U);
    EXPECT_EQ(zones.lbafe[0].zsze, zone_blocks);
    EXPECT_EQ(zones.lbafe[0].zdes, 0);
    nvme::NamespaceList list;
    for (const uint8_t csi : {uint8_t{0}, uint8_t{2}}) {
        EXPECT_TRUE(co_await nvme_host::identify(controller, "list", nvme::Cns::io_command_set_active_namespace_list, 0,
                                                 csi, std::as_writable_bytes(std::span(&list, 1))));
        EXPECT_EQ(list.nsid[0], csi == 2 ? 1U : 0U);
    }
    const auto ids = co_await nvme_host::identify_namespace_ids(controller, 1);
    EXPECT_TRUE(ids && ids->csi == 2);
    nvme::CommandSetCombinations combinations;
    EXPECT_TRUE(co_await nvme_host::identify(controller, "sets", nvme::Cns::io_command_set_combinations, 0, 0,
                                             std::as_writable_bytes(std::span(&combinations, 1))));
    EXPECT_EQ(combinations.vector[0], 5U);
    nvme::CommandsSupportedAndEffects effects;
    EXPECT_TRUE(co_await nvme_host::get_log_page(controller, "effects",
                                                 {.id = nvme::LogPage::commands_supported_and_effects, .csi = 2}, 0,
                                                 std::as_writable_bytes(std::span(&effects, 1))));
    for (const size_t opcode : {0x79U, 0x7AU, 0x7DU}) EXPECT_NE(effects.iocs[opcode] & 1, 0U) << opcode;
    co_await user->end();
}

TEST(ZonedNamespace, IsIdentified) {
    Rig rig(1);
    rig.run(rig.export_device(zoned_disk()));
    rig.run_on_host(0, identify_zones(rig));
}

Task<void> use_zones(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    std::vector<std::byte> data(16 * 512, std::byte{1});
    const auto write = [&](uint64_t slba, uint32_t blocks) {
        return execute(qpair, command_of(IoOpcode::write, slba, blocks),
                       MutableBytes(data).first(size_t{blocks} * 512));
    };
    const auto send = [&](ZoneSendAction action, uint64_t slba, bool all = false) {
        return execute(qpair, send_command(action, slba, all), {});
    };
    EXPECT_STATUS(co_await write(1, 1), status::zone_invalid_write);
    EXPECT_STATUS(co_await write(0, 16), status::success);
    EXPECT_STATUS(co_await write(0, 16), status::zone_invalid_write);
    EXPECT_STATUS(co_await write(16, 16), status::success);
    EXPECT_STATUS(co_await write(32, 15), status::success);
    EXPECT_STATUS(co_await write(47, 2), status::zone_boundary_error);
    EXPECT_STATUS(co_await write(47, 1), status::success);
    EXPECT_STATUS(co_await write(48, 1), status::zone_is_full);

    Appended got = co_await append(qpair, 64, 8, std::byte{2});
    EXPECT_STATUS(got.status, status::success);
    EXPECT_EQ(got.lba, 64U);
    got = co_await append(qpair, 64, 8, std::byte{3});
    EXPECT_EQ(got.lba, 72U);
    EXPECT_STATUS((co_await append(qpair, 65, 1, std::byte{3})).status, status::invalid_field);
    EXPECT_STATUS((co_await append(qpair, 64, 40, std::byte{3})).status, status::zone_boundary_error);
    EXPECT_STATUS((co_await append(qpair, zone_count * zone_blocks, 1, std::byte{3})).status, status::lba_out_of_range);
    std::vector<std::byte> found(16 * 512);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, 64, 16), found), status::success);
    EXPECT_TRUE(std::all_of(found.begin(), found.begin() + 8 * 512, [](std::byte b) { return b == std::byte{2}; }));
    EXPECT_TRUE(std::all_of(found.begin() + 8 * 512, found.end(), [](std::byte b) { return b == std::byte{3}; }));

    EXPECT_STATUS(co_await send(ZoneSendAction::open, 128), status::success);
    EXPECT_STATUS(co_await send(ZoneSendAction::open, 192), status::success);
    EXPECT_STATUS(co_await send(ZoneSendAction::open, 256), status::success);  // zone 1 makes room
    EXPECT_STATUS(co_await send(ZoneSendAction::open, 320), status::too_many_active_zones);
    EXPECT_STATUS(co_await write(320, 1), status::too_many_active_zones);
    EXPECT_STATUS(co_await send(ZoneSendAction::open, 64), status::too_many_open_zones);
    EXPECT_STATUS(co_await send(ZoneSendAction::close, 128), status::success);
    EXPECT_STATUS(co_await send(ZoneSendAction::close, 0), status::invalid_zone_state_transition);
    EXPECT_STATUS(co_await send(ZoneSendAction::finish, 192), status::success);
    EXPECT_STATUS(co_await send(ZoneSendAction::offline, 192), status::invalid_zone_state_transition);
    EXPECT_STATUS(co_await send(ZoneSendAction::open, 129), status::invalid_field);
    EXPECT_STATUS(co_await send(ZoneSendAction::open, zone_count * zone_blocks), status::lba_out_of_range);
    EXPECT_STATUS(co_await send(ZoneSendAction::open, UINT64_MAX), status::lba_out_of_range);
    for (const uint32_t action : {0U, 6U, 0x0FU, 0x10U, 0x11U, 0x12U, 0xFFU}) {
        EXPECT_STATUS(co_await send(ZoneSendAction(action), 0), status::invalid_field);
    }

    Report all = co_await report(qpair, 0, 64 + 64 * zone_count);
    EXPECT_STATUS(all.status, status::success);
    EXPECT_EQ(all.count, zone_count);
    if (all.zones.size() == zone_count) {
        EXPECT_EQ(all.zones[0].state, 0xE0);
        EXPECT_EQ(all.zones[0].wp, UINT64_MAX);
        EXPECT_EQ(all.zones[1].state, 0x40);
        EXPECT_EQ(all.zones[1].wp, 80U);
        EXPECT_EQ(all.zones[2].state, 0x40);
        EXPECT_EQ(all.zones[3].state, 0xE0);
        EXPECT_EQ(all.zones[4].state, 0x30);
        EXPECT_EQ(all.zones[5].state, 0x10);
        EXPECT_EQ(all.zones[5].zslba, 5 * zone_blocks);
        EXPECT_EQ(all.zones[5].zcap, capacity);
        EXPECT_EQ(all.zones[5].type, 2);
    }
    EXPECT_EQ((co_await report(qpair, 5 * zone_blocks, 64)).count, zone_count - 5) << "all that match";
    EXPECT_EQ((co_await report(qpair, 0, 64, nvme::ZoneReportFilter::full)).count, 2U);
    EXPECT_EQ((co_await report(qpair, 0, 64, nvme::ZoneReportFilter::closed)).count, 2U);
    EXPECT_EQ((co_await report(qpair, 0, 64, nvme::ZoneReportFilter::explicitly_opened)).count, 1U);
    EXPECT_EQ((co_await report(qpair, 0, 64, nvme::ZoneReportFilter::offline)).count, 0U);
    EXPECT_EQ((co_await report(qpair, 0, 64 * 3, {}, true)).count, 2U) << "those that fit";
    EXPECT_STATUS((co_await report(qpair, zone_count * zone_blocks, 64)).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await report(qpair, 0, 4)).status, status::success);
    EXPECT_STATUS((co_await report(qpair, 0, 64, nvme::ZoneReportFilter(8))).status, status::invalid_field);
    std::vector<std::byte> answer(128);
    EXPECT_STATUS(co_await execute(qpair, report_command(0, 128, {}, false, 1), answer), status::invalid_field);

    EXPECT_STATUS(co_await send(ZoneSendAction::reset, 0, true), status::success);
    EXPECT_EQ((co_await report(qpair, 0, 64, nvme::ZoneReportFilter::empty)).count, zone_count);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, 0, 16), found), status::success);
    EXPECT_TRUE(std::ranges::all_of(found, [](std::byte b) { return b == std::byte{0}; }));
    co_await user->end();
}

TEST(ZonedNamespace, IsWrittenAndManaged) {
    Rig rig(2);
    rig.run(rig.export_device(zoned_disk()));
    rig.run_on_host(0, use_zones(rig));
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

// Appends of several queues, on two reactors: each has a place of its own, and nothing lies between them.
TEST(ZonedNamespace, AppendsNeverMeet) {
    for (uint64_t seed = 10; seed < 15; ++seed) {
        Rig rig(seed, {.data_reactors = 2, .hosts = 3, .world = {}});
        rig.run(rig.export_device(zoned_disk()));
        std::set<uint64_t> places;
        size_t running = 3;
        for (size_t host = 0; host < 3; ++host) {
            const CurrentThread scope(&rig.host_thread(host));
            spawn([](Rig& r, size_t who, std::set<uint64_t>& all, size_t& left) -> Task<void> {
                co_await yield();
                auto user = co_await IoUser::connect(r, who);
                if (user) {
                    for (int at = 0; at < 8; ++at) {
                        const Appended got = co_await append(user->qpair(), 128, 2, static_cast<std::byte>(who + 1));
                        EXPECT_STATUS(got.status, status::success);
                        EXPECT_TRUE(all.insert(got.lba).second) << got.lba;
                    }
                    co_await user->end();
                }
                --left;
            }(rig, host, places, running));
        }
        rig.run_until(rig.world().now() + 60 * env::ns_per_s, [&running] { return running == 0; });
        ASSERT_EQ(running, 0U);
        ASSERT_EQ(places.size(), 24U);
        EXPECT_EQ(*places.begin(), 128U);
        EXPECT_EQ(*places.rbegin(), 128 + capacity - 2);
    }
}

// Commands of zones on a namespace without them.
TEST(ZonedNamespace, OthersHaveNoZones) {
    Rig rig(3);
    rig.run(rig.export_device(ram_disk("Malloc0", 1024)));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto user = co_await IoUser::connect(r, 0);
        if (!user) co_return;
        std::vector<std::byte> data(512);
        EXPECT_STATUS(co_await execute(user->qpair(), send_command(ZoneSendAction::open, 0), {}),
                      status::invalid_opcode);
        EXPECT_STATUS(co_await execute(user->qpair(), report_command(0, 512), data), status::invalid_opcode);
        EXPECT_STATUS((co_await append(user->qpair(), 0, 1, std::byte{1})).status, status::invalid_opcode);
        co_await user->end();
    }(rig));
}

}  // namespace
}  // namespace weft::test
