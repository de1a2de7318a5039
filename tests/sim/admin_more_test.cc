// Admin commands that the field's hosts seldom send: lists of allocated namespaces, the NVMe-MI log page, Timestamp,
// and what Get Features selects.
#include <gtest/gtest.h>

#include "nvme/feature.h"
#include "nvme/log_page.h"
#include "nvme_host/admin.h"
#include "sim/io_user.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme::AdminOpcode;
using nvme::Cns;
using nvme::FeatureId;
namespace status = nvme::status;

nvme::Command feature_command(AdminOpcode opcode, FeatureId id, uint32_t select = 0, bool save = false) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.cdw10 = static_cast<uint32_t>(id) | select << 8 | (save ? 1U << 31 : 0U);
    return command;
}

Task<nvme::Status> status_of(nvme_host::Controller& controller, nvme::Command command, MutableBytes data = {}) {
    const auto answer = co_await controller.admin(command, data);
    EXPECT_TRUE(answer);
    co_return answer ? nvme::Status::from_wire(answer->status) : status::internal_error;
}

Task<nvme::Status> identify_status(nvme_host::Controller& controller, Cns cns, uint32_t nsid) {
    std::vector<std::byte> data(4096);
    nvme::Command command;
    nvme::IdentifyRequest{.cns = cns, .nsid = nsid}.put_into(command);
    co_return co_await status_of(controller, command, data);
}

Task<void> ask_for_allocated(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Controller& controller = user->controller();
    nvme::NamespaceList list;
    const MutableBytes out = std::as_writable_bytes(std::span(&list, 1));
    EXPECT_TRUE(co_await nvme_host::identify(controller, "allocated", Cns::allocated_namespace_list, 0, 0, out));
    EXPECT_EQ(list.nsid[0], 1U);
    EXPECT_EQ(list.nsid[1], 0U);
    EXPECT_STATUS(co_await identify_status(controller, Cns::allocated_namespace_list, 0xFFFFFFFE),
                  status::invalid_namespace_or_format);
    nvme::IdentifyNamespace ns;
    EXPECT_TRUE(co_await nvme_host::identify(controller, "namespace", Cns::allocated_namespace, 1, 0,
                                             std::as_writable_bytes(std::span(&ns, 1))));
    EXPECT_EQ(ns.nsze, 1024U);
    EXPECT_STATUS(co_await identify_status(controller, Cns::allocated_namespace, 0),
                  status::invalid_namespace_or_format);
    for (const Cns cns : {Cns::primary_controller_capabilities, Cns::secondary_controller_list, Cns::uuid_list,
                          Cns::domain_list, Cns(0x09), Cns(0xFF)}) {
        EXPECT_STATUS(co_await identify_status(controller, cns, 0), status::invalid_field);
    }
    std::array<std::byte, 4096> page;
    page.fill(std::byte{1});
    EXPECT_TRUE(co_await nvme_host::get_log_page(controller, "NVMe-MI", {.id = nvme::LogPage::nvme_mi_commands_effects},
                                                 0, page));
    EXPECT_TRUE(std::ranges::all_of(page, [](std::byte byte) { return byte == std::byte{0}; }));
    co_await user->end();
}

TEST(AdminMore, AllocatedNamespacesAreTheActiveOnes) {
    Rig rig(1);
    rig.run(rig.export_device(ram_disk("Malloc0", 1024)));
    rig.run_on_host(0, ask_for_allocated(rig));
}

Task<void> set_timestamp(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Controller& controller = user->controller();
    EXPECT_NE(controller.identity().oncs & nvme::oncs::timestamp, 0);
    nvme::Timestamp time;
    const MutableBytes data = std::as_writable_bytes(std::span(&time, 1));
    const auto get = feature_command(AdminOpcode::get_features, FeatureId::timestamp);
    EXPECT_STATUS(co_await status_of(controller, get, data), status::success);
    EXPECT_EQ(time.attributes, 0);
    EXPECT_LT(time.value(), 60'000U) << "since the controller was made";
    constexpr uint64_t wanted = 0xFEDC'BA98'7654;
    time.set(wanted);
    EXPECT_STATUS(
        co_await status_of(controller, feature_command(AdminOpcode::set_features, FeatureId::timestamp), data),
        status::success);
    co_await sleep_for(5 * env::ns_per_s);
    EXPECT_STATUS(co_await status_of(controller, get, data), status::success);
    EXPECT_EQ(time.attributes, nvme::Timestamp::origin_host);
    EXPECT_GE(time.value(), wanted + 5000);
    EXPECT_LT(time.value(), wanted + 6000);
    EXPECT_STATUS(
        co_await status_of(controller, feature_command(AdminOpcode::get_features, FeatureId::timestamp, 1), data),
        status::success);
    EXPECT_EQ(time.value(), 0U) << "the default";
    EXPECT_STATUS(
        co_await status_of(controller, feature_command(AdminOpcode::set_features, FeatureId::timestamp, 0, true), data),
        status::feature_not_saveable);
    co_await user->end();
}

TEST(AdminMore, TheTimestampRunsOn) {
    Rig rig(2);
    rig.run(rig.export_device(ram_disk("Malloc0", 1024)));
    rig.run_on_host(0, set_timestamp(rig));
}

Task<void> select_features(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Controller& controller = user->controller();
    nvme::Command set = feature_command(AdminOpcode::set_features, FeatureId::arbitration);
    set.cdw11 = 5;
    EXPECT_STATUS(co_await status_of(controller, set), status::success);
    for (const auto& [select, value] : {std::pair{0U, 5U}, {1U, 0U}, {2U, 0U}, {3U, 4U}}) {
        const auto answer =
            co_await controller.admin(feature_command(AdminOpcode::get_features, FeatureId::arbitration, select));
        EXPECT_TRUE(answer && answer->cdw0 == value) << "SEL " << select;
    }
    for (uint32_t select = 4; select < 8; ++select) {
        EXPECT_STATUS(
            co_await status_of(controller, feature_command(AdminOpcode::get_features, FeatureId::arbitration, select)),
            status::invalid_field);
    }
    co_await user->end();
}

TEST(AdminMore, SelectGivesCurrentDefaultSavedAndCapabilities) {
    Rig rig(3);
    rig.run(rig.export_device(ram_disk("Malloc0", 1024)));
    rig.run_on_host(0, select_features(rig));
}

}  // namespace
}  // namespace weft::test
