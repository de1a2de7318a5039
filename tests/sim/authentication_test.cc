// In-band authentication in a simulated world: our host, queues on several reactors, keys that change, links that
// break.
#include <gtest/gtest.h>

#include "bdev_modules/null/null_device.h"
#include "keyring/keyring.h"
#include "nvme/auth/host_side.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "nvmf/auth/qpair_auth.h"
#include "sim/raw_host.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
namespace auth = nvme::auth;

Secret secret_of(uint8_t first) {
    Secret secret(32);
    for (size_t at = 0; at < 32; ++at) secret.mutable_bytes()[at] = static_cast<std::byte>(first + at);
    return secret;
}

// A target whose subsystem has keys for host 0.
class AuthWorld {
public:
    explicit AuthWorld(uint64_t seed, size_t data_reactors = 1) : rig(seed, {.data_reactors = data_reactors}) {
        rig.run(rig.export_device(std::make_unique<bdev::NullDevice>(
            bdev::NullOptions{.name = "Null0", .block_bytes = 512, .block_count = 1000}, Uuid::from_names({"sim"}))));
        rig.run([](AuthWorld& self) -> Task<void> {
            for (const char* name : {"one", "two", "three"}) co_await self.add_key(name);
            nvmf::HostKeys keys{.host = *self.ring.find("one"), .controller = *self.ring.find("two")};
            const auto added = co_await self.subsystem().add_host(self.rig.host_options(0).hostnqn, std::move(keys));
            EXPECT_TRUE(added) << added.error().message;
        }(*this));
    }
    nvmf::Subsystem& subsystem() { return *rig.target().find_subsystem(Rig::nqn); }
    static uint8_t first_of(std::string_view name) { return static_cast<uint8_t>(name[1]); }
    Task<void> add_key(std::string name) {
        env::Files& files = rig.target_runtime().environment().files();
        const Secret text = auth::print_key(1, secret_of(first_of(name)).bytes());
        EXPECT_TRUE(files.write_atomically("/keys/" + name, text.text()));
        const auto added = co_await ring.add_file(files, name, "/keys/" + name);
        EXPECT_TRUE(added) << added.error().message;
    }
    // Options of host 0 with these keys; no controller's key for "".
    nvme_host::ControllerOptions options(std::string_view host_key, std::string_view controller_key) {
        auto made = rig.host_options(0);
        made.dhchap.emplace();
        made.dhchap->allowed.groups = 0b000011;
        made.dhchap->host = {1, secret_of(first_of(host_key))};
        if (!controller_key.empty()) made.dhchap->controller = auth::Key{1, secret_of(first_of(controller_key))};
        return made;
    }

    keyring::Keyring ring;  // outlives the target
    Rig rig;
};

template <class Body>
void with_controller(AuthWorld& world, nvme_host::ControllerOptions options, Body body) {
    world.rig.run_on_host(0, [](AuthWorld& w, nvme_host::ControllerOptions opts, Body run) -> Task<void> {
        auto controller = co_await Controller::connect(w.rig.host_group(0), std::move(opts));
        EXPECT_TRUE(controller) << controller.error().message;
        if (!controller) co_return;
        co_await run(**controller);
        co_await (*controller)->disconnect();
    }(world, std::move(options), std::move(body)));
}

std::string refusal(AuthWorld& world, nvme_host::ControllerOptions options) {
    std::string message;
    world.rig.run_on_host(0, [](AuthWorld& w, nvme_host::ControllerOptions opts, std::string& told) -> Task<void> {
        auto controller = co_await Controller::connect(w.rig.host_group(0), std::move(opts));
        EXPECT_FALSE(controller);
        if (controller) co_return co_await (*controller)->disconnect();
        told = controller.error().message;
    }(world, std::move(options), message));
    return message;
}

TEST(Authentication, QueuesOfAllReactorsAuthenticateBothWays) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(seed);
        AuthWorld world(seed, 2);
        with_controller(world, world.options("one", "two"), [&world](Controller& controller) -> Task<void> {
            for (int count = 0; count < 4; ++count) {
                const auto qpair = co_await controller.create_io_qpair(world.rig.host_group(0));
                EXPECT_TRUE(qpair) << qpair.error().message;
            }
            size_t completed = 0;
            Thread& home = Thread::current();
            for (nvmf::PollGroup* group : world.rig.target().poll_groups()) {
                co_await resume_on(group->thread());
                for (const nvmf::Qpair* at = group->qpairs.front(); at != nullptr;
                     at = decltype(group->qpairs)::next(*at)) {
                    const nvmf::Qpair& qpair = *at;
                    EXPECT_NE(qpair.auth, nullptr);
                    EXPECT_EQ(qpair.state, nvmf::Qpair::State::enabled);
                    EXPECT_EQ(qpair.auth->report().digest, "sha512");
                    EXPECT_EQ(qpair.auth->report().dhgroup, "ffdhe2048");
                    if (qpair.auth->report().state == "completed") ++completed;
                }
            }
            co_await resume_on(home);
            EXPECT_EQ(completed, 5U);
        });
        world.rig.run_for(env::ns_per_s);
        EXPECT_TRUE(world.rig.target_is_idle());
    }
}

TEST(Authentication, WhoHasNotTheKeyIsTurnedAway) {
    AuthWorld world(1);
    EXPECT_NE(refusal(world, world.options("three", "")).find("authentication failed"), std::string::npos);
    EXPECT_NE(refusal(world, world.options("one", "three")).find("did not prove"), std::string::npos);
    EXPECT_NE(refusal(world, world.rig.host_options(0)).find("no key was given"), std::string::npos);
    auto weak = world.options("one", "");
    world.rig.run_for(env::ns_per_s);
    EXPECT_TRUE(world.rig.target_is_idle());
    with_controller(world, weak, [](Controller&) -> Task<void> { co_return; });
}

TEST(Authentication, KeysChangeUnderALiveHost) {
    AuthWorld world(2);
    with_controller(world, world.options("one", "two"), [&world](Controller& controller) -> Task<void> {
        const auto qpair = co_await controller.create_io_qpair(world.rig.host_group(0));
        EXPECT_TRUE(qpair);
        const auto again = co_await controller.authenticate_again();
        EXPECT_TRUE(again) << again.error().message;
        Thread& home = Thread::current();
        co_await resume_on(world.rig.target_runtime().app_thread());
        const std::string hostnqn = controller.options().hostnqn;
        EXPECT_TRUE(co_await world.subsystem().set_host_keys(hostnqn, {.host = *world.ring.find("three")}));
        EXPECT_TRUE(world.ring.remove("three"));  // which stays good for its user
        co_await resume_on(home);
        nvme::IdentifyController data;
        nvme::Command identify;
        identify.opcode = static_cast<uint8_t>(nvme::AdminOpcode::identify);
        identify.cdw10 = 1;
        EXPECT_TRUE(co_await controller.admin(identify, std::as_writable_bytes(std::span(&data, 1))));
        const auto refused = co_await controller.authenticate_again();
        EXPECT_FALSE(refused);
    });
    with_controller(world, world.options("three", ""), [](Controller&) -> Task<void> { co_return; });
    EXPECT_EQ(world.ring.removed_keys().size(), 1U);
}

// Wherever the host goes away, nothing stays behind.
TEST(Authentication, AHostThatLeavesLeavesNothing) {
    for (uint32_t steps = 0; steps < 60; ++steps) {
        SCOPED_TRACE(steps);
        AuthWorld world(steps);
        auto options = world.options("one", "two");
        options.connect_timeout = options.admin_timeout = (1 + steps) * 50 * env::ns_per_us;
        world.rig.run_on_host(0, [](AuthWorld& w, nvme_host::ControllerOptions opts) -> Task<void> {
            auto controller = co_await Controller::connect(w.rig.host_group(0), std::move(opts));
            if (controller) co_await (*controller)->disconnect();
        }(world, std::move(options)));
        world.rig.run_for(10 * env::ns_per_s);
        EXPECT_TRUE(world.rig.target_is_idle());
    }
}

// The arithmetic of large groups takes a slow host longer than its keep-alive time, and a Keep Alive is not allowed
// yet.
TEST(Authentication, ASlowHostIsAlive) {
    AuthWorld world(4);
    world.rig.run([](AuthWorld& w) -> Task<void> {
        const std::string hostnqn =
            std::string(nvme::uuid_nqn_prefix) + "00000000-0000-4000-8000-000000000009";  // RawHost's
        EXPECT_TRUE(co_await w.subsystem().add_host(hostnqn, {.host = *w.ring.find("one")}));
    }(world));
    RawHost host(world.rig);
    host.kato = 30'000;
    host.handshake();
    ASSERT_TRUE(host.connect(0, nvme::cntlid_dynamic));
    const auto run = [&](nvme::FabricsType type, Bytes message) {
        nvme::AuthenticationCommand command;
        command.fctype = static_cast<uint8_t>(type);
        command.secp = nvme::security_protocol_nvme;
        command.spsp0 = command.spsp1 = 1;
        command.length = message.empty() ? 256 : static_cast<uint32_t>(message.size());
        nvme::Command sent = nvme::to_command(command);
        sent.dptr = nvme::SglDescriptor::transport(256);
        const auto done = host.execute(sent, message);
        ASSERT_TRUE(done) << host.is_closed();
        EXPECT_EQ(nvme::Status::from_wire(done->status), nvme::status::success);
    };
    const auth::HostSide side({.hostnqn = "", .subnqn = ""}, {.groups = 1}, false, 1);
    world.rig.run_for(14 * env::ns_per_s);
    run(nvme::FabricsType::authentication_send, side.negotiate());
    world.rig.run_for(14 * env::ns_per_s);
    run(nvme::FabricsType::authentication_receive, {});
    world.rig.run_for(14 * env::ns_per_s);
    host.send({});
    EXPECT_FALSE(host.is_closed());
}

// What is refused is no step towards the end: the time that the exchange has does not begin anew with it.
TEST(Authentication, WhoSendsNonsenseForeverIsDisconnected) {
    AuthWorld world(5);
    world.rig.run([](AuthWorld& w) -> Task<void> {
        const std::string hostnqn =
            std::string(nvme::uuid_nqn_prefix) + "00000000-0000-4000-8000-000000000009";  // RawHost's
        EXPECT_TRUE(co_await w.subsystem().add_host(hostnqn, {.host = *w.ring.find("one")}));
    }(world));
    RawHost host(world.rig);
    host.kato = 30'000;
    host.handshake();
    ASSERT_TRUE(host.connect(0, nvme::cntlid_dynamic));
    nvme::AuthenticationCommand command;
    command.fctype = static_cast<uint8_t>(nvme::FabricsType::authentication_send);
    command.secp = nvme::security_protocol_nvme;
    command.spsp0 = command.spsp1 = 1;
    const ByteVector nonsense(64, std::byte{0x55});
    command.length = static_cast<uint32_t>(nonsense.size());
    for (int turn = 0; turn < 12 && !host.is_closed(); ++turn) {
        world.rig.run_for(5 * env::ns_per_s);
        (void)host.execute(nvme::to_command(command), nonsense);
    }
    EXPECT_TRUE(host.is_closed());
    EXPECT_TRUE(world.rig.target_is_idle());
}

TEST(Authentication, WhoDoesNotComeToItsEndIsDisconnected) {
    AuthWorld world(3);
    world.rig.run([](AuthWorld& w) -> Task<void> {
        const std::string hostnqn =
            std::string(nvme::uuid_nqn_prefix) + "00000000-0000-4000-8000-000000000009";  // RawHost's
        EXPECT_TRUE(co_await w.subsystem().add_host(hostnqn, {.host = *w.ring.find("one")}));
    }(world));
    RawHost host(world.rig);
    host.kato = 5000;
    host.handshake();
    const auto connected = host.connect(0, nvme::cntlid_dynamic);
    ASSERT_TRUE(connected);
    EXPECT_EQ(connected->cdw0.value() >> 16, 2U);
    nvme::PropertyGetCommand get;
    get.offset = 8;
    const auto refused = host.execute(nvme::to_command(get));
    ASSERT_TRUE(refused);
    EXPECT_EQ(nvme::Status::from_wire(refused->status), nvme::status::authentication_required);
    world.rig.run_for(3 * env::ns_per_s);
    EXPECT_FALSE(host.is_closed());
    world.rig.run_for(10 * env::ns_per_s);
    host.send({});  // looks at what came
    EXPECT_TRUE(host.is_closed());
    EXPECT_TRUE(world.rig.target_is_idle());
}

}  // namespace
}  // namespace weft::test
