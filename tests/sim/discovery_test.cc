// The discovery log: referrals, filters, extended entries, the discovery subsystem's own name, and who is told of
// changes. Also hooks of embedding programs, and more than one target.
#include <gtest/gtest.h>

#include "bdev_modules/null/null_device.h"
#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "sim/raw_host.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
namespace status = nvme::status;
const std::string well_known(nvme::discovery_nqn);

std::unique_ptr<bdev::Device> null_disk() {
    return std::make_unique<bdev::NullDevice>(
        bdev::NullOptions{.name = "Null0", .block_bytes = 512, .block_count = 1000}, Uuid::from_names({"sim", "N"}));
}

// A discovery controller of host 0 for `body`.
template <class Body>
void with_discovery(Rig& rig, nvme_host::ControllerOptions options, Body body) {
    rig.run_on_host(0, [](Rig& r, nvme_host::ControllerOptions opts, Body run) -> Task<void> {
        auto controller = co_await Controller::connect(r.host_group(0), std::move(opts));
        EXPECT_TRUE(controller) << controller.error().message;
        if (!controller) co_return;
        EXPECT_TRUE((*controller)->is_discovery());
        co_await run(**controller);
        co_await (*controller)->disconnect();
    }(rig, std::move(options), std::move(body)));
}

nvme_host::ControllerOptions discovery_options(Rig& rig, std::string nqn = well_known) {
    auto options = rig.host_options(0);
    options.subnqn = std::move(nqn);
    return options;
}

Task<void> on_target(Rig& rig, Task<void> task) {
    Thread& home = Thread::current();
    co_await resume_on(rig.target_runtime().app_thread());
    co_await std::move(task);
    co_await resume_on(home);
}

// A second port of the subsystem, and the discovery subsystem on both.
void listen_twice(Rig& rig) {
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Transport& transport = *r.target().find_transport("TCP");
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        nvmf::TransportId second = subsystem.listeners().front().address;
        second.trsvcid = "4421";
        EXPECT_TRUE(co_await subsystem.add_listener(second, transport));
        nvmf::Subsystem& discovery = *r.target().find_subsystem(nvme::discovery_nqn);
        EXPECT_TRUE(co_await discovery.add_listener(subsystem.listeners().front().address, transport));
        EXPECT_TRUE(co_await discovery.add_listener(second, transport));
    }(rig));
}

// The bytes of the log, asked for with this log specific parameter.
Task<std::vector<std::byte>> read_log(Controller& controller, uint8_t lsp, size_t bytes) {
    std::vector<std::byte> page(bytes);
    EXPECT_TRUE(co_await nvme_host::get_log_page(
        controller, "discovery log", {.id = nvme::LogPage::discovery, .lsp = lsp, .length_bytes = bytes}, 0, page));
    co_return page;
}

uint64_t count_of(const std::vector<std::byte>& page) { return load<nvme::DiscoveryLogHeader>(page).numrec; }

nvmf::Referral referral(const std::string& address) {
    return {.address = *nvmf::referral_address("tcp", "", address, ""), .subnqn = well_known};
}

TEST(Discovery, ReferralsAreEntries) {
    Rig rig(1);
    rig.run(rig.export_device(null_disk()));
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Referral secure = referral("192.0.2.2");
        secure.secure_channel = true;
        secure.subnqn = "nqn.2016-06.io.spdk:other";
        nvmf::Referral hidden = referral("192.0.2.3");
        hidden.allow_any_host = false;
        hidden.hosts = {"nqn.2016-06.io.host:nobody"};
        nvmf::Referral mine = referral("192.0.2.4");
        mine.allow_any_host = false;
        mine.hosts = {r.host_options(0).hostnqn};
        EXPECT_TRUE(r.target().add_referral(referral("192.0.2.1")));
        EXPECT_TRUE(r.target().add_referral(referral("192.0.2.1"))) << "it is there already";
        for (auto* one : {&secure, &hidden, &mine}) EXPECT_TRUE(r.target().add_referral(*one));
        EXPECT_EQ(r.target().referrals().size(), 4U);
        co_return;
    }(rig));
    with_discovery(rig, discovery_options(rig), [](Controller& controller) -> Task<void> {
        const auto log = co_await nvme_host::read_discovery_log(controller);
        EXPECT_TRUE(log);
        if (!log) co_return;
        std::map<std::string, nvme::DiscoveryLogEntry> referrals;
        for (const auto& entry : log->entries) {
            if (entry.subtype == nvme::SubsystemType::referral) referrals.emplace(nvme::ascii_of(entry.traddr), entry);
        }
        EXPECT_EQ(referrals.size(), 3U);
        const auto& plain = referrals["192.0.2.1"];
        EXPECT_EQ(nvme::ascii_of(plain.trsvcid), "8009");
        EXPECT_EQ(nvme::nqn_of_field(plain.subnqn), nvme::discovery_nqn);
        EXPECT_EQ(plain.treq & 3, nvme::DiscoveryLogEntry::secure_channel_not_specified);
        const auto& secure = referrals["192.0.2.2"];
        EXPECT_EQ(secure.treq & 3, nvme::DiscoveryLogEntry::secure_channel_required);
        EXPECT_EQ(secure.tsas[0], static_cast<uint8_t>(nvme::TcpSecurityType::tls_1_3));
        EXPECT_TRUE(referrals.contains("192.0.2.4"));
    });
    rig.run([](Rig& r) -> Task<void> {
        const uint64_t before = r.target().discovery_generation();
        EXPECT_TRUE(r.target().remove_referral(referral("192.0.2.1").address, well_known));
        EXPECT_GT(r.target().discovery_generation(), before);
        EXPECT_EQ(r.target().remove_referral(referral("192.0.2.1").address, well_known).error().code, Errc::not_found);
        nvmf::Referral wrong = referral("192.0.2.9");
        wrong.subnqn = "hello";
        EXPECT_EQ(r.target().add_referral(wrong).error().code, Errc::invalid_argument);
        co_return;
    }(rig));
}

TEST(Discovery, EntriesOfThePortOrOfAll) {
    Rig rig(2);
    rig.run(rig.export_device(null_disk()));
    listen_twice(rig);
    const auto ask = [&rig](uint8_t lsp) {
        uint64_t count = 0;
        with_discovery(rig, discovery_options(rig), [&](Controller& controller) -> Task<void> {
            count = count_of(co_await read_log(controller, lsp, 8192));
        });
        return count;
    };
    EXPECT_EQ(ask(0), 4U);
    EXPECT_EQ(ask(nvme::discovery_lsp_port_local), 2U);
    const auto filter = [&rig](nvmf::DiscoveryFilter wanted) {
        rig.run([](Rig& r, nvmf::DiscoveryFilter to) -> Task<void> {
            r.target().discovery_filter = to;
            co_return;
        }(rig, wanted));
    };
    filter({.address = true});
    EXPECT_EQ(ask(0), 4U) << "both ports are of one address";
    filter({.svcid = true});
    EXPECT_EQ(ask(0), 2U);
    EXPECT_EQ(ask(nvme::discovery_lsp_all), 4U);
    // What a host may not use is not shown, whatever it asks.
    rig.run([](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->set_allow_any_host(false));
    }(rig));
    EXPECT_EQ(ask(nvme::discovery_lsp_all), 2U);
}

TEST(Discovery, ExtendedEntriesCarryTheLabel) {
    Rig rig(3);
    rig.run(rig.export_device(null_disk()));
    rig.run([](Rig& r) -> Task<void> {
        auto made = co_await r.target().create_subsystem(
            {.nqn = "nqn.2016-06.io.spdk:labelled", .allow_any_host = true, .admin_label = "rack 7"});
        EXPECT_TRUE(made);
        EXPECT_TRUE(co_await (*made)->add_listener(r.target().find_subsystem(Rig::nqn)->listeners().front().address,
                                                   *r.target().find_transport("TCP")));
        EXPECT_FALSE(co_await r.target().create_subsystem(
            {.nqn = "nqn.2016-06.io.spdk:wrong", .admin_label = std::string(257, 'x')}));
        EXPECT_FALSE(co_await r.target().create_subsystem({.nqn = "nqn.2016-06.io.spdk:wrong", .admin_label = "\n"}));
    }(rig));
    with_discovery(rig, discovery_options(rig), [](Controller& controller) -> Task<void> {
        const auto page = co_await read_log(controller, nvme::discovery_lsp_extended, 8192);
        const auto header = load<nvme::DiscoveryLogHeader>(page);
        EXPECT_EQ(header.numrec, 2U);
        EXPECT_EQ(header.dlpf, nvme::DiscoveryLogHeader::extended);
        size_t at = sizeof header;
        std::vector<std::string> labels;
        for (uint64_t entry = 0; entry < header.numrec; ++entry) {
            const auto more =
                load<nvme::ExtendedDiscoveryHeader>(std::span(page).subspan(at + sizeof(nvme::DiscoveryLogEntry)));
            EXPECT_EQ(more.tel % 4, 0U);
            if (more.numexat == 1) {
                const size_t attribute = at + sizeof(nvme::DiscoveryLogEntry) + sizeof more;
                const auto head = load<nvme::ExtendedAttribute>(std::span(page).subspan(attribute));
                EXPECT_EQ(head.type, nvme::ExtendedAttribute::admin_label);
                EXPECT_EQ(head.length, 8U);
                EXPECT_EQ(more.tel, 1024U + 8 + 4 + 8);
                labels.emplace_back(reinterpret_cast<const char*>(page.data()) + attribute + sizeof head);
            } else {
                EXPECT_EQ(more.tel, 1024U + 8);
            }
            at += more.tel;
        }
        EXPECT_EQ(header.tdlpl, at);
        EXPECT_EQ(labels, std::vector<std::string>{"rack 7"});
    });
}

TEST(Discovery, ANameOfItsOwn) {
    Rig rig(4);
    rig.run(rig.export_device(null_disk()));
    listen_twice(rig);
    const std::string own = "nqn.2016-06.io.spdk:discovery-of-rack-7";
    rig.run([](Rig& r, std::string name) -> Task<void> {
        EXPECT_EQ((co_await r.target().set_discovery_nqn("hello")).error().code, Errc::invalid_argument);
        EXPECT_EQ((co_await r.target().set_discovery_nqn(Rig::nqn)).error().code, Errc::already_exists);
        EXPECT_TRUE(co_await r.target().set_discovery_nqn(name));
        EXPECT_EQ((co_await r.target().create_subsystem({.nqn = name})).error().code, Errc::already_exists);
    }(rig, own));
    for (const std::string& nqn : {own, well_known}) {
        with_discovery(rig, discovery_options(rig, nqn), [&own](Controller& controller) -> Task<void> {
            EXPECT_EQ(nvme::nqn_of_field(controller.identity().subnqn), own);
            const auto log = co_await nvme_host::read_discovery_log(controller);
            size_t count = 0;
            for (const auto& entry : log->entries) {
                if (entry.subtype != nvme::SubsystemType::current_discovery) continue;
                EXPECT_EQ(nvme::nqn_of_field(entry.subnqn), own);
                ++count;
            }
            EXPECT_EQ(count, 2U);
        });
    }
    rig.run([](Rig& r) -> Task<void> { EXPECT_TRUE(co_await r.target().set_discovery_nqn("")); }(rig));
    with_discovery(rig, discovery_options(rig), [](Controller& controller) -> Task<void> {
        EXPECT_EQ(nvme::nqn_of_field(controller.identity().subnqn), nvme::discovery_nqn);
        co_return;
    });
}

TEST(Discovery, OnlyAHostThatStaysIsTold) {
    Rig rig(5);
    rig.run(rig.export_device(null_disk()));
    for (const uint32_t kato : {0U, 10'000U}) {
        std::vector<nvme::AsyncEvent> events;
        auto options = discovery_options(rig);
        options.kato_ms = kato;
        options.on_event = [&events](const nvme::AsyncEvent& event) { events.push_back(event); };
        with_discovery(rig, options, [&](Controller& controller) -> Task<void> {
            co_await on_target(rig, [](Rig& r, uint32_t number) -> Task<void> {
                EXPECT_TRUE(r.target().add_referral(referral("192.0.2." + std::to_string(1 + number % 7))));
                co_return;
            }(rig, kato));
            co_await sleep_for(100 * env::ns_per_ms);
            EXPECT_EQ(events.size(), kato == 0 ? 0U : 1U);
            // It is told again after it has read the log.
            EXPECT_TRUE(co_await nvme_host::read_discovery_log(controller));
            co_await on_target(rig, [](Rig& r, uint32_t number) -> Task<void> {
                EXPECT_TRUE(r.target().remove_referral(referral("192.0.2." + std::to_string(1 + number % 7)).address,
                                                       well_known));
                co_return;
            }(rig, kato));
            co_await sleep_for(100 * env::ns_per_ms);
            EXPECT_EQ(events.size(), kato == 0 ? 0U : 2U);
            for (const auto& event : events) EXPECT_EQ(event, nvme::async_event::discovery_log_changed);
        });
    }
}

// ---- the rest of what a target can be told ----

TEST(Management, TrafficKeepsAHostThatSendsNoKeepAlive) {
    Rig rig(6, {.data_reactors = 2, .hosts = 1, .world = {}});
    rig.run(rig.export_device(null_disk()));
    RawHost host(rig);
    host.kato = 5000;
    host.handshake();
    host.connect_admin();
    RawHost queue(rig);
    queue.handshake();
    const auto connected = queue.connect(1, host.cntlid());
    ASSERT_TRUE(connected && nvme::Status::from_wire(connected->status).is_success());
    nvme::Command flush;
    flush.opcode = static_cast<uint8_t>(nvme::IoOpcode::flush);
    flush.nsid = 1;
    for (int second = 0; second < 30; second += 2) {
        ASSERT_TRUE(queue.execute(flush)) << second;
        rig.run_for(2 * env::ns_per_s);
    }
    host.send({});
    EXPECT_FALSE(host.is_closed());
    // Silence ends it, after the time and what it takes to see that nothing came any more.
    rig.run_for(15 * env::ns_per_s);
    host.send({});
    EXPECT_TRUE(host.is_closed());
}

TEST(Management, OneControllerOfAHostAtAListener) {
    Rig rig(7);
    rig.run(rig.export_device(null_disk()));
    listen_twice(rig);
    rig.run([](Rig& r) -> Task<void> {
        r.target().duplicate_host_policy = nvmf::DuplicateHostPolicy::restrict_per_listener;
        co_return;
    }(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        const auto options = r.host_options(0);
        auto first = co_await Controller::connect(r.host_group(0), options);
        EXPECT_TRUE(first);
        EXPECT_FALSE(co_await Controller::connect(r.host_group(0), options));
        auto elsewhere = options;
        elsewhere.address.port = 4421;
        auto second = co_await Controller::connect(r.host_group(0), elsewhere);
        EXPECT_TRUE(second) << "another listener is another path";
        if (second) co_await (*second)->disconnect();
        if (first) co_await (*first)->disconnect();
        co_await sleep_for(100 * env::ns_per_ms);
        auto again = co_await Controller::connect(r.host_group(0), options);
        EXPECT_TRUE(again);
        if (again) co_await (*again)->disconnect();
    }(rig));
}

TEST(Management, AProgramTakesOverAdminOpcodes) {
    Rig rig(8);
    rig.stop_target();
    rig.start_target();
    // C1h: data to us, C2h: data to the host, which is what C1h brought; Identify goes on as it was.
    auto kept = std::make_unique<std::array<std::byte, 512>>();
    nvmf::AdminHook take{.data_bytes = [](const nvme::Command&) { return 512U; },
                         .execute = [&kept](nvmf::Controller&, nvmf::Request& request) -> std::optional<nvme::Status> {
                             std::ranges::copy(request.control_data(), kept->begin());
                             request.completion.cdw0 = 77;
                             return status::success;
                         }};
    nvmf::AdminHook give{.data_bytes = [](const nvme::Command&) { return 512U; },
                         .execute = [&kept](nvmf::Controller&, nvmf::Request& request) -> std::optional<nvme::Status> {
                             std::ranges::copy(*kept, request.control_data().begin());
                             return status::success;
                         }};
    nvmf::AdminHook look{.data_bytes = {},
                         .execute = [](nvmf::Controller&, nvmf::Request& request) -> std::optional<nvme::Status> {
                             if (request.command.cdw10 == 0xFF) return status::invalid_field.with_dnr();
                             return std::nullopt;
                         }};
    rig.target().set_admin_hook(0xC1, std::move(take));
    rig.target().set_admin_hook(0xC2, std::move(give));
    rig.target().set_admin_hook(static_cast<uint8_t>(nvme::AdminOpcode::identify), std::move(look));
    rig.run([](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await r.target().start());
        co_await r.export_device(null_disk());
    }(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto connected = co_await Controller::connect(r.host_group(0), r.host_options(0));
        EXPECT_TRUE(connected);
        if (!connected) co_return;
        Controller& controller = **connected;
        std::array<std::byte, 512> sent{};
        std::array<std::byte, 512> back{};
        sent[0] = std::byte{5};
        sent[511] = std::byte{6};
        nvme::Command command;
        command.opcode = 0xC1;
        const auto taken = co_await controller.admin(command, sent);
        EXPECT_TRUE(taken && taken->cdw0 == 77 && nvme::Status::from_wire(taken->status).is_success());
        command.opcode = 0xC2;
        const auto given = co_await controller.admin(command, back);
        EXPECT_TRUE(given && nvme::Status::from_wire(given->status).is_success());
        EXPECT_EQ(sent, back);
        command.opcode = 0xC3;
        const auto refused = co_await controller.admin(command);
        EXPECT_TRUE(refused && nvme::Status::from_wire(refused->status).is(status::invalid_opcode));
        EXPECT_EQ((co_await nvme_host::identify_namespace(controller, 1))->nsze, 1000U);
        co_await controller.disconnect();
    }(rig));
}

TEST(Management, TwoTargetsInOneProcess) {
    Rig rig(9, {.data_reactors = 2, .hosts = 1, .world = {}});
    rig.run(rig.export_device(null_disk()));
    auto second = std::make_unique<nvmf::Target>(rig.target_runtime(), rig.bdevs(), "second", "nvmf_second");
    rig.run([](Rig& r, nvmf::Target& target) -> Task<void> {
        EXPECT_TRUE(co_await target.start());
        EXPECT_TRUE(co_await target.create_transport({}));
        auto made = co_await target.create_subsystem({.nqn = "nqn.2016-06.io.spdk:second", .allow_any_host = true});
        EXPECT_TRUE(made);
        nvmf::TransportId address = r.target().find_subsystem(Rig::nqn)->listeners().front().address;
        EXPECT_FALSE(co_await (*made)->add_listener(address, *target.find_transport("TCP"))) << "the port is taken";
        address.trsvcid = "4500";
        EXPECT_TRUE(co_await (*made)->add_listener(address, *target.find_transport("TCP")));
    }(rig, *second));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto options = r.host_options(0);
        auto first = co_await Controller::connect(r.host_group(0), options);
        EXPECT_TRUE(first);
        options.address.port = 4500;
        EXPECT_FALSE(co_await Controller::connect(r.host_group(0), options)) << "each has its own subsystems";
        options.subnqn = "nqn.2016-06.io.spdk:second";
        auto other = co_await Controller::connect(r.host_group(0), options);
        EXPECT_TRUE(other);
        if (other) co_await (*other)->disconnect();
        if (first) co_await (*first)->disconnect();
    }(rig));
    rig.run([](nvmf::Target& target) -> Task<void> { co_await target.stop(); }(*second));
    second.reset();
}

// What the network is told: each port once, as it is now, again after the daemon began anew, and nothing at the end.
TEST(Announcement, FollowsTheListeners) {
    Rig rig(21);
    rig.run(rig.export_device(null_disk()));
    sim::World& world = rig.world();
    const auto services = [&world] { return world.services("target"); };
    const auto comes = [&](const std::function<bool()>& condition) {
        rig.run_until(world.now() + 60 * env::ns_per_s, condition);
        return condition();
    };
    const auto start = [](Rig& r, Errc expected) -> Task<void> {
        const auto started = co_await r.target().announcer().start();
        EXPECT_FALSE(started);
        if (!started) {
            EXPECT_EQ(started.error().code, expected);
        }
    };
    rig.run(start(rig, Errc::invalid_argument));  // it listens nowhere
    listen_twice(rig);
    world.set_service_daemon("target", false);
    rig.run(start(rig, Errc::not_supported));
    world.set_service_daemon("target", true);
    rig.run([](Rig& r) -> Task<void> { EXPECT_TRUE(co_await r.target().announcer().start()); }(rig));
    ASSERT_EQ(services().size(), 2U);
    EXPECT_EQ(services()[0].type, "_nvme-disc._tcp");
    EXPECT_EQ(services()[1].port, 4421);
    EXPECT_EQ(services()[1].text, (std::vector<std::string>{"p=tcp", "nqn=" + well_known}));
    EXPECT_NE(services()[0].name, services()[1].name);
    rig.run(start(rig, Errc::already_exists));
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Subsystem& discovery = *r.target().find_subsystem(nvme::discovery_nqn);
        const nvmf::TransportId second = discovery.listeners().back().address;
        EXPECT_TRUE(co_await discovery.remove_listener(second));
        EXPECT_TRUE(co_await r.target().set_discovery_nqn("nqn.2016-06.io.spdk:rack7"));
    }(rig));
    EXPECT_TRUE(comes([&] { return services().size() == 1; }));
    EXPECT_TRUE(comes([&] { return services()[0].text[1] == "nqn=nqn.2016-06.io.spdk:rack7"; }));
    world.forget_services("target");
    EXPECT_TRUE(comes([&] { return services().size() == 1; })) << "after half a minute";
    rig.run([](Rig& r) -> Task<void> { co_await r.target().announcer().stop(); }(rig));
    EXPECT_TRUE(services().empty());
    EXPECT_FALSE(rig.target().announcer().is_on());
}

}  // namespace
}  // namespace weft::test
