// What a well-behaved host is told: discovery, identify, log pages, features, events, aborts, and who may come in.
#include "nvme_host/admin.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "nvme/ascii.h"
#include "nvme/describe.h"
#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
namespace status = nvme::status;

std::unique_ptr<bdev::Device> null_disk(const char* name = "Null0", uint64_t blocks = 1000) {
    return std::make_unique<bdev::NullDevice>(
        bdev::NullOptions{.name = name, .block_bytes = 512, .block_count = blocks}, Uuid::from_names({"sim", name}));
}

// Connects as host 0 and runs `body(controller)`.
template <class Body>
void with_controller(Rig& rig, nvme_host::ControllerOptions options, Body body) {
    rig.run_on_host(0, [](Rig& r, nvme_host::ControllerOptions opts, Body run) -> Task<void> {
        auto controller = co_await Controller::connect(r.host_group(0), std::move(opts));
        EXPECT_TRUE(controller) << controller.error().message;
        if (!controller) co_return;
        co_await run(**controller);
        co_await (*controller)->disconnect();
    }(rig, std::move(options), std::move(body)));
}

// A change of the target while a host's coroutine waits for it: runs `task` on the app thread and comes back.
Task<void> on_target(Rig& rig, Task<void> task) {
    Thread& home = Thread::current();
    co_await resume_on(rig.target_runtime().app_thread());
    co_await std::move(task);
    co_await resume_on(home);
}

TEST(Admin, DiscoveryNamesTheAddressThatWasUsed) {
    Rig rig(1);
    rig.run(rig.export_device(null_disk()));
    rig.run([](Rig& r) -> Task<void> {
        auto made = co_await r.target().create_subsystem({.nqn = "nqn.2016-06.io.spdk:second", .allow_any_host = true});
        auto everywhere = nvmf::normalise("tcp", "", "0.0.0.0", "4421");
        EXPECT_TRUE(co_await (*made)->add_listener(*everywhere, *r.target().find_transport("TCP")));
        auto hidden = co_await r.target().create_subsystem({.nqn = "nqn.2016-06.io.spdk:hidden"});
        EXPECT_TRUE(co_await (*hidden)->add_listener(*everywhere, *r.target().find_transport("TCP")));
    }(rig));
    auto options = rig.host_options(0);
    options.subnqn = nvme::discovery_nqn;
    with_controller(rig, options, [&rig](Controller& controller) -> Task<void> {
        EXPECT_TRUE(controller.is_discovery());
        const auto log = co_await nvme_host::read_discovery_log(controller);
        EXPECT_TRUE(log) << log.error().message;
        if (!log) co_return;
        EXPECT_EQ(log->entries.size(), 2U) << "the subsystem of other hosts is not shown";
        for (const auto& entry : log->entries) {
            EXPECT_EQ(nvme::ascii_of(entry.traddr), rig.target_address().host);
            EXPECT_EQ(entry.cntlid, nvme::cntlid_dynamic);
            // libnvme asks the kernel for TLS when it reads anything else.
            EXPECT_EQ(entry.treq & 3, nvme::DiscoveryLogEntry::secure_channel_not_specified);
        }
    });
}

TEST(Admin, AHostIsToldOfNamespacesThatComeGoAndGrow) {
    Rig rig(2, {.data_reactors = 2, .hosts = 1, .world = {}});
    rig.run(rig.export_device(null_disk()));
    std::vector<nvme::AsyncEvent> events;
    auto options = rig.host_options(0);
    options.on_event = [&events](const nvme::AsyncEvent& event) { events.push_back(event); };
    with_controller(rig, options, [&rig, &events](Controller& controller) -> Task<void> {
        const auto changed = [&controller]() -> Task<std::vector<uint32_t>> {
            nvme::ChangedNamespaceList list;
            EXPECT_TRUE(co_await nvme_host::get_log_page(
                controller, "changed namespaces", {.id = nvme::LogPage::changed_namespace_list, .length_bytes = 4096},
                0, bytes_of(list)));
            std::vector<uint32_t> ids;
            for (const le32 nsid : list.nsid) {
                if (nsid != 0) ids.push_back(nsid);
            }
            co_return ids;
        };
        co_await on_target(rig, [](Rig& r) -> Task<void> { co_await r.export_device(null_disk("Null1")); }(rig));
        co_await sleep_for(env::ns_per_ms * 50);
        EXPECT_EQ(events.size(), 1U);
        EXPECT_EQ(co_await changed(), std::vector<uint32_t>{2});
        const auto active = co_await nvme_host::active_namespaces(controller);
        EXPECT_EQ(*active, (std::vector<uint32_t>{1, 2}));

        co_await on_target(rig, [](Rig& r) -> Task<void> {
            auto* device = static_cast<bdev::NullDevice*>(r.bdevs().find("Null0"));
            EXPECT_TRUE(device->resize(5000));
            r.bdevs().notify_resized(*device);
            co_return;
        }(rig));
        co_await sleep_for(env::ns_per_ms * 50);
        EXPECT_EQ(events.size(), 2U);
        EXPECT_EQ(co_await changed(), std::vector<uint32_t>{1});
        const auto identity = co_await nvme_host::identify_namespace(controller, 1);
        EXPECT_EQ(identity->nsze, 5000U);

        // Two changes before the log is read are one event.
        co_await on_target(rig, [](Rig& r) -> Task<void> {
            EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->remove_namespace(2));
            EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->add_namespace({.bdev_name = "Null1", .nsid = 7}));
        }(rig));
        co_await sleep_for(env::ns_per_ms * 50);
        EXPECT_EQ(events.size(), 3U);
        EXPECT_EQ(co_await changed(), (std::vector<uint32_t>{2, 7}));
        co_await sleep_for(env::ns_per_ms * 50);
        EXPECT_LE(events.size(), 4U);
    });
}

TEST(Admin, IdsAreSetAndTheSameAfterARestart) {
    const auto ids_of = [](uint64_t seed) {
        Rig rig(seed);
        rig.run(rig.export_device(null_disk()));
        nvme_host::NamespaceIds ids;
        std::string serial;
        with_controller(rig, rig.host_options(0), [&](Controller& controller) -> Task<void> {
            ids = *co_await nvme_host::identify_namespace_ids(controller, 1);
            serial = nvme::ascii_of(controller.identity().sn);
        });
        return std::tuple(ids.nguid, ids.eui64, ids.uuid, serial);
    };
    const auto first = ids_of(3);
    EXPECT_EQ(first, ids_of(4));
    EXPECT_FALSE(is_zero(std::as_bytes(std::span(std::get<0>(first)))));
    EXPECT_FALSE(is_zero(std::as_bytes(std::span(std::get<1>(first)))));
    EXPECT_FALSE(std::get<3>(first).empty());
}

TEST(Admin, LogPagesAreThereAndReadInPieces) {
    Rig rig(5);
    rig.run(rig.export_device(null_disk()));
    with_controller(rig, rig.host_options(0), [](Controller& controller) -> Task<void> {
        nvme::SupportedLogPages supported;
        EXPECT_TRUE(co_await nvme_host::get_log_page(controller, "supported pages", {.length_bytes = sizeof supported},
                                                     0, bytes_of(supported)));
        for (size_t id = 0; id < supported.lid.size(); ++id) {
            std::vector<std::byte> page(512);
            const auto read = co_await nvme_host::get_log_page(
                controller, "page", {.id = nvme::LogPage(id), .length_bytes = page.size()}, nvme::broadcast_nsid, page);
            EXPECT_EQ(read.has_value(), supported.lid[id] != 0) << "log page " << id;
        }
        nvme::FirmwareSlotInformation firmware;
        EXPECT_TRUE(co_await nvme_host::get_log_page(
            controller, "firmware", {.id = nvme::LogPage::firmware_slot, .length_bytes = sizeof firmware}, 0,
            bytes_of(firmware)));
        std::vector<std::byte> piece(8);
        EXPECT_TRUE(co_await nvme_host::get_log_page(
            controller, "firmware", {.id = nvme::LogPage::firmware_slot, .length_bytes = 8, .offset = 8}, 0, piece));
        EXPECT_TRUE(std::ranges::equal(piece, std::as_bytes(std::span(firmware.frs[0]))));
        // A refused command is in the error log, the newest first.
        nvme::Command bad;
        bad.opcode = static_cast<uint8_t>(nvme::AdminOpcode::get_features);
        bad.cdw10 = 0xEE;
        const auto refused = co_await controller.admin(bad);
        EXPECT_TRUE(refused && nvme::Status::from_wire(refused->status).is(status::invalid_field));
        nvme::ErrorInformation error;
        EXPECT_TRUE(co_await nvme_host::get_log_page(
            controller, "errors", {.id = nvme::LogPage::error_information, .length_bytes = sizeof error}, 0,
            bytes_of(error)));
        EXPECT_EQ(error.opcode, bad.opcode);
        EXPECT_TRUE(nvme::Status::from_wire(error.status).is(status::invalid_field));
    });
}

TEST(Admin, FeaturesKeepWhatIsSet) {
    Rig rig(6);
    rig.run(rig.export_device(null_disk()));
    with_controller(rig, rig.host_options(0), [](Controller& controller) -> Task<void> {
        const auto feature = [&controller](nvme::AdminOpcode opcode, nvme::FeatureId id,
                                           uint32_t value) -> Task<nvme::Completion> {
            nvme::Command command;
            command.opcode = static_cast<uint8_t>(opcode);
            command.cdw10 = static_cast<uint32_t>(id);
            command.cdw11 = value;
            co_return *co_await controller.admin(command);
        };
        const auto status_of = [](const nvme::Completion& completion) {
            return nvme::Status::from_wire(completion.status);
        };
        using enum nvme::AdminOpcode;
        EXPECT_TRUE(status_of(co_await feature(set_features, nvme::FeatureId::arbitration, 0x03020107)).is_success());
        EXPECT_EQ((co_await feature(get_features, nvme::FeatureId::arbitration, 0)).cdw0, 0x03020107U);
        EXPECT_EQ((co_await feature(get_features, nvme::FeatureId::number_of_queues, 0)).cdw0, 126U | 126U << 16);
        EXPECT_EQ((co_await feature(get_features, nvme::FeatureId::volatile_write_cache, 0)).cdw0, 1U);
        EXPECT_TRUE(status_of(co_await feature(set_features, nvme::FeatureId::volatile_write_cache, 0))
                        .is(status::feature_not_changeable));
        EXPECT_TRUE(status_of(co_await feature(set_features, nvme::FeatureId::keep_alive_timer, 30'000)).is_success());
        EXPECT_EQ((co_await feature(get_features, nvme::FeatureId::keep_alive_timer, 0)).cdw0, 30'000U);
        EXPECT_TRUE(status_of(co_await feature(set_features, nvme::FeatureId::host_identifier, 0))
                        .is(status::command_sequence_error));
        EXPECT_TRUE(
            status_of(co_await feature(set_features, nvme::FeatureId::power_management, 1)).is(status::invalid_field));
    });
}

TEST(Admin, OnlyAllowedHostsComeInAndARemovedOneGoes) {
    Rig rig(7, {.data_reactors = 1, .hosts = 2, .world = {}});
    rig.run(rig.export_device(null_disk()));
    const std::string mine = rig.host_options(0).hostnqn;
    rig.run([](Rig& r, std::string host) -> Task<void> {
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        EXPECT_TRUE(co_await subsystem.set_allow_any_host(false));
        EXPECT_TRUE(co_await subsystem.add_host(host));
        EXPECT_FALSE(co_await subsystem.add_host(host));
        EXPECT_FALSE(co_await subsystem.add_host("hello"));
    }(rig, mine));
    rig.run_on_host(1, [](Rig& r) -> Task<void> {
        auto refused = co_await Controller::connect(r.host_group(1), r.host_options(1));
        EXPECT_FALSE(refused);
        if (!refused) EXPECT_NE(refused.error().message.find("84"), std::string::npos) << refused.error().message;
    }(rig));
    bool is_lost = false;
    auto options = rig.host_options(0);
    options.on_lost = [&is_lost](const Error&) { is_lost = true; };
    with_controller(rig, options, [&rig, &is_lost, mine](Controller& controller) -> Task<void> {
        auto qpair = co_await controller.create_io_qpair(rig.host_group(0));
        EXPECT_TRUE(qpair);
        co_await on_target(rig, [](Rig& r, std::string host) -> Task<void> {
            EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->remove_host(host));
        }(rig, mine));
        co_await sleep_for(env::ns_per_ms * 100);
        EXPECT_TRUE(is_lost);
    });
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

TEST(Admin, ControllerIdsStayInTheirRangeAndRunOut) {
    Rig rig(8);
    rig.run([](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await r.target().create_transport({}));
        auto made = co_await r.target().create_subsystem(
            {.nqn = Rig::nqn, .allow_any_host = true, .min_cntlid = 10, .max_cntlid = 11});
        auto address = nvmf::normalise("tcp", "", r.target_address().host, std::to_string(Rig::port));
        EXPECT_TRUE(co_await (*made)->add_listener(*address, *r.target().find_transport("TCP")));
    }(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        std::vector<std::unique_ptr<Controller>> controllers;
        for (const uint16_t expected : std::initializer_list<uint16_t>{10, 11}) {
            auto controller = co_await Controller::connect(r.host_group(0), r.host_options(0));
            EXPECT_TRUE(controller) << controller.error().message;
            if (!controller) co_return;
            EXPECT_EQ((*controller)->cntlid(), expected);
            controllers.push_back(std::move(*controller));
        }
        EXPECT_FALSE(co_await Controller::connect(r.host_group(0), r.host_options(0))) << "both ids are in use";
        co_await controllers[0]->disconnect();
        co_await sleep_for(env::ns_per_ms * 100);
        auto again = co_await Controller::connect(r.host_group(0), r.host_options(0));
        EXPECT_TRUE(again);
        if (again) {
            EXPECT_EQ((*again)->cntlid(), 10);
            co_await (*again)->disconnect();
        }
        co_await controllers[1]->disconnect();
    }(rig));
}

TEST(Admin, AbortingWhatIsNotThereOrAnEventRequest) {
    Rig rig(9);
    rig.run(rig.export_device(null_disk()));
    with_controller(rig, rig.host_options(0), [](Controller& controller) -> Task<void> {
        nvme::Command abort;
        abort.opcode = static_cast<uint8_t>(nvme::AdminOpcode::abort);
        abort.cdw10 = 0xBEEF0001;
        const auto answer = co_await controller.admin(abort);
        EXPECT_TRUE(answer && nvme::Status::from_wire(answer->status).is_success());
        if (answer) EXPECT_EQ(answer->cdw0 & 1, 1U);
    });
}

}  // namespace
}  // namespace weft::test
