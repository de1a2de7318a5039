// Who may come in: networks of the transport, hosts of a listener.
#include <gtest/gtest.h>

#include "bdev_modules/null/null_device.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "nvmf/access/transport_access.h"
#include "sim/raw_host.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

std::unique_ptr<bdev::Device> null_disk(const char* name = "Null0") {
    return std::make_unique<bdev::NullDevice>(bdev::NullOptions{.name = name, .block_bytes = 512, .block_count = 1000},
                                              Uuid::from_names({"sim", name}));
}

nvmf::Network network(std::string_view text) { return *nvmf::Network::parse(text); }

// Whether host number `host` can connect.
bool connects(Rig& rig, size_t host, std::string subnqn = Rig::nqn) {
    bool is_in = false;
    rig.run_on_host(host, [](Rig& r, size_t number, std::string name, bool& in) -> Task<void> {
        auto options = r.host_options(number);
        options.subnqn = std::move(name);
        auto controller = co_await nvme_host::Controller::connect(r.host_group(number), std::move(options));
        in = controller.has_value();
        if (in) co_await (*controller)->disconnect();
    }(rig, host, std::move(subnqn), is_in));
    return is_in;
}

void allow(Rig& rig, std::string_view text) {
    rig.run([](Rig& r, nvmf::Network wanted) -> Task<void> {
        EXPECT_TRUE(nvmf::allow_network(r.target(), *r.target().find_transport("TCP"), wanted));
        co_return;
    }(rig, network(text)));
}

void forbid(Rig& rig, std::string_view text) {
    rig.run([](Rig& r, nvmf::Network wanted) -> Task<void> {
        EXPECT_TRUE(co_await nvmf::forbid_network(r.target(), *r.target().find_transport("TCP"), wanted));
    }(rig, network(text)));
}

// The address that a host of the rig comes from.
std::string address_of_host(Rig& rig, size_t host) {
    return rig.host_environment(host).network().local_addresses(env::Family::ipv4).at(0).host;
}

TEST(Access, OnlyHostsOfTheNetworksComeIn) {
    Rig rig(1, {.data_reactors = 2, .hosts = 2, .world = {}});
    rig.run(rig.export_device(null_disk()));
    const std::string first = address_of_host(rig, 0);
    const std::string second = address_of_host(rig, 1);
    ASSERT_NE(first, second);
    EXPECT_TRUE(connects(rig, 0) && connects(rig, 1)) << "without a list, all may come";

    allow(rig, first);
    EXPECT_TRUE(connects(rig, 0));
    EXPECT_FALSE(connects(rig, 1));
    EXPECT_FALSE(connects(rig, 1, std::string(nvme::discovery_nqn))) << "it sees no discovery either";
    const nvmf::Transport& transport = *rig.target().find_transport("TCP");
    EXPECT_GE(transport.refused_by_network, 2U);
    allow(rig, second + "/32");
    EXPECT_TRUE(connects(rig, 1));
    forbid(rig, second);
    EXPECT_FALSE(connects(rig, 1));
    forbid(rig, first);
    EXPECT_TRUE(connects(rig, 0) && connects(rig, 1)) << "the list is empty again";
}

TEST(Access, AConnectionOfANetworkThatGoesEnds) {
    Rig rig(2);
    rig.run(rig.export_device(null_disk()));
    RawHost host(rig);
    host.handshake();
    host.connect_admin();
    allow(rig, "192.0.2.0/24");
    host.send({});
    EXPECT_FALSE(host.is_closed()) << "who is there stays";
    allow(rig, "198.51.100.0/24");
    forbid(rig, "198.51.100.0/24");
    rig.run_for(env::ns_per_s);
    host.send({});
    EXPECT_TRUE(host.is_closed());
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

TEST(Access, AListenerHasAListOfItsOwn) {
    Rig rig(3, {.data_reactors = 1, .hosts = 2, .world = {}});
    rig.run(rig.export_device(null_disk()));
    const auto set_hosts = [&rig](std::set<std::string, std::less<>> hosts) {
        rig.run([](Rig& r, std::set<std::string, std::less<>> wanted) -> Task<void> {
            nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
            EXPECT_TRUE(
                co_await subsystem.set_listener_hosts(subsystem.listeners().front().address, std::move(wanted)));
        }(rig, std::move(hosts)));
    };
    set_hosts({rig.host_options(0).hostnqn});
    EXPECT_TRUE(connects(rig, 0));
    EXPECT_FALSE(connects(rig, 1));
    set_hosts({rig.host_options(1).hostnqn});
    EXPECT_FALSE(connects(rig, 0));
    EXPECT_TRUE(connects(rig, 1));

    // Whoever is in there and is not on the new list goes.
    rig.run_on_host(1, [](Rig& r) -> Task<void> {
        auto controller = co_await nvme_host::Controller::connect(r.host_group(1), r.host_options(1));
        EXPECT_TRUE(controller);
        if (!controller) co_return;
        Thread& home = Thread::current();
        co_await resume_on(r.target_runtime().app_thread());
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        EXPECT_TRUE(
            co_await subsystem.set_listener_hosts(subsystem.listeners().front().address, {r.host_options(0).hostnqn}));
        while (!subsystem.controller_uids.empty()) co_await sleep_for(env::ns_per_ms);
        co_await resume_on(home);
        co_await (*controller)->disconnect();
    }(rig));
    set_hosts({});
    EXPECT_TRUE(connects(rig, 0) && connects(rig, 1));
}

TEST(Access, ListsOfHostsAreChecked) {
    Rig rig(4);
    rig.run(rig.export_device(null_disk()));
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        const nvmf::TransportId address = subsystem.listeners().front().address;
        EXPECT_EQ((co_await subsystem.set_listener_hosts(address, {"no name"})).error().code, Errc::invalid_argument);
        auto other = address;
        other.trsvcid = "4444";
        EXPECT_EQ((co_await subsystem.set_listener_hosts(other, {})).error().code, Errc::not_found);
    }(rig));
    EXPECT_TRUE(connects(rig, 0));
}

}  // namespace
}  // namespace weft::test
