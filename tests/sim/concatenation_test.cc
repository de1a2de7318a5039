// Secure channel concatenation in the simulated world: a host authenticates without TLS, and goes on through TLS with
// the key that came of it. How long that key is good, who must come with it, and who takes the port's time.
#include <gtest/gtest.h>

#include <random>

#include "bdev_modules/malloc/malloc_device.h"
#include "keyring/keyring.h"
#include "net/connect.h"
#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "nvmf/auth/qpair_auth.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
namespace auth = nvme::auth;

constexpr uint16_t allowed_port = 4422;
constexpr uint16_t required_port = 4423;
constexpr uint32_t block_bytes = 512;
constexpr uint64_t block_count = 4096;

Secret secret_of(uint8_t first) {
    Secret secret(32);
    for (size_t at = 0; at < 32; ++at) secret.mutable_bytes()[at] = static_cast<std::byte>(first + at);
    return secret;
}

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = block_bytes;
    options.block_count = block_count;
    options.pretouch = false;
    options.is_concurrent = true;
    auto device = bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"}));
    EXPECT_TRUE(device);
    return std::move(*device);
}

// Beside the rig's listener, which takes no concatenation, one that does and one that demands it; host 0 has keys.
struct ConcatWorld {
    keyring::Keyring ring;  // outlives the target
    Rig rig;

    explicit ConcatWorld(uint64_t seed, size_t data_reactors = 1) : rig(seed, {.data_reactors = data_reactors}) {
        nvmf::TransportOptions options;
        options.handshake_timeout_ms = 2000;
        rig.run(rig.export_device(ram_disk(), options));
        rig.run(set_up(*this));
    }
    ~ConcatWorld() {
        if (rig.has_target()) rig.stop_target();
    }

    static Task<void> set_up(ConcatWorld& self) {
        for (const char* name : {"one", "two"}) {
            env::Files& files = self.rig.target_runtime().environment().files();
            const Secret text = auth::print_key(1, secret_of(static_cast<uint8_t>(name[1])).bytes());
            EXPECT_TRUE(files.write_atomically(std::string("/keys/") + name, text.text()));
            EXPECT_TRUE(co_await self.ring.add_file(files, name, std::string("/keys/") + name));
        }
        nvmf::Subsystem& subsystem = self.subsystem();
        EXPECT_TRUE(co_await subsystem.set_allow_any_host(false));
        nvmf::HostKeys keys{.host = *self.ring.find("one"), .controller = *self.ring.find("two")};
        EXPECT_TRUE(co_await subsystem.add_host(self.rig.host_options(0).hostnqn, std::move(keys)));
        co_await self.listen(allowed_port, nvmf::Concatenation::allowed);
        co_await self.listen(required_port, nvmf::Concatenation::required);
    }
    Task<void> listen(uint16_t port, nvmf::Concatenation concatenation) {
        auto address = nvmf::normalise("tcp", "", rig.target_address().host, std::to_string(port));
        const auto listening = co_await subsystem().add_listener(*address, *rig.target().find_transport("tcp"),
                                                                 {.concatenation = concatenation});
        EXPECT_TRUE(listening) << listening.error().message;
    }
    nvmf::Subsystem& subsystem() { return *rig.target().find_subsystem(Rig::nqn); }
    size_t psks() { return rig.target().generated_psks().size(); }
    nvme_host::ControllerOptions options(uint16_t port = allowed_port, bool both_ways = true) {
        auto made = rig.host_options(0);
        made.address.port = port;
        made.dhchap.emplace();
        made.dhchap->allowed.groups = 0b000011;
        made.dhchap->host = {1, secret_of('n')};
        if (both_ways) made.dhchap->controller = auth::Key{1, secret_of('w')};
        made.concatenate = true;
        return made;
    }
};

Task<bool> execute(nvme_host::Qpair& qpair, nvme::IoOpcode opcode, uint64_t slba, std::vector<std::byte>& data) {
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    nvme_host::Io io;
    io.command.opcode = static_cast<uint8_t>(opcode);
    io.command.nsid = 1;
    io.command.set_lba_range(slba, static_cast<uint32_t>(data.size() / block_bytes));
    io.data = {&piece, 1};
    co_await nvme_host::Execute(qpair, io);
    co_return io.status().is_success();
}

Task<void> write_and_read(nvme_host::Qpair& qpair, uint64_t seed) {
    std::minstd_rand random(static_cast<uint32_t>(seed));
    for (int round = 0; round < 4; ++round) {
        std::vector<std::byte> data(size_t{1 + random() % 64} * block_bytes);
        for (std::byte& byte : data) byte = static_cast<std::byte>(random());
        EXPECT_TRUE(co_await execute(qpair, nvme::IoOpcode::write, 8, data));
        std::vector<std::byte> back(data.size());
        EXPECT_TRUE(co_await execute(qpair, nvme::IoOpcode::read, 8, back));
        EXPECT_TRUE(back == data);
    }
}

// Connected with these options while `body` runs.
template <class Body>
void with_controller(ConcatWorld& world, nvme_host::ControllerOptions options, Body body) {
    world.rig.run_on_host(0, [](ConcatWorld& w, nvme_host::ControllerOptions opts, Body run) -> Task<void> {
        auto controller = co_await Controller::connect(w.rig.host_group(0), std::move(opts));
        EXPECT_TRUE(controller) << controller.error().message;
        if (!controller) co_return;
        co_await run(**controller);
        co_await (*controller)->disconnect();
    }(world, std::move(options), std::move(body)));
}

Task<void> nothing(Controller&) { co_return; }

std::string refusal(ConcatWorld& world, nvme_host::ControllerOptions options) {
    std::string message;
    world.rig.run_on_host(0, [](ConcatWorld& w, nvme_host::ControllerOptions opts, std::string& told) -> Task<void> {
        auto controller = co_await Controller::connect(w.rig.host_group(0), std::move(opts));
        EXPECT_FALSE(controller);
        if (controller) co_return co_await (*controller)->disconnect();
        told = controller.error().message;
    }(world, std::move(options), message));
    return message;
}

bool says(const std::string& message, std::string_view what) { return message.find(what) != std::string::npos; }

// With a key that is there already: TLS at once.
nvme_host::ControllerOptions with_key(ConcatWorld& world, const net::PskKey& key) {
    auto options = world.options();
    options.concatenate = false;
    options.dhchap.reset();
    options.tls_key = key;
    return options;
}

TEST(Concatenation, AllGoesThroughTlsAndNothingAuthenticatesAgain) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE(seed);
        ConcatWorld world(seed, 1 + seed % 2);
        const uint16_t port = seed % 4 < 2 ? allowed_port : required_port;
        with_controller(world, world.options(port, seed % 3 == 0), [&](Controller& controller) -> Task<void> {
            for (int count = 0; count < 3; ++count) {
                const auto qpair = co_await controller.create_io_qpair(world.rig.host_group(0));
                EXPECT_TRUE(qpair) << qpair.error().message;
                if (qpair) co_await write_and_read(**qpair, seed);
            }
            size_t secured = 0;
            Thread& home = Thread::current();
            for (nvmf::PollGroup* group : world.rig.target().poll_groups()) {
                co_await resume_on(group->thread());
                for (nvmf::Qpair* at = group->qpairs.front(); at != nullptr; at = decltype(group->qpairs)::next(*at)) {
                    EXPECT_EQ(at->auth, nullptr);
                    EXPECT_TRUE(at->secure != nullptr && at->secure->generated_psk != 0);
                    ++secured;
                }
            }
            co_await resume_on(home);
            EXPECT_EQ(secured, 4U);  // and the queue that it authenticated on is gone
            // The key stays good as long as the controller is there.
            co_await sleep_for(3 * nvmf::GeneratedPsks::idle_ns);
            EXPECT_TRUE(co_await controller.create_io_qpair(world.rig.host_group(0)));
        });
        EXPECT_EQ(world.psks(), 1U);
        world.rig.run_for(nvmf::GeneratedPsks::idle_ns + env::ns_per_s);
        EXPECT_EQ(world.psks(), 0U);
        EXPECT_TRUE(world.rig.target_is_idle());
    }
}

TEST(Concatenation, IsWhatTheListenerSays) {
    ConcatWorld world(1);
    EXPECT_TRUE(says(refusal(world, world.options(Rig::port)), "secure channel concatenation mismatch"));
    auto plain = world.options();
    plain.concatenate = false;
    with_controller(world, plain, nothing);
    plain.address.port = required_port;
    EXPECT_TRUE(says(refusal(world, plain), "demands a secure channel"));
    auto wrong = world.options(required_port);
    wrong.dhchap->host = {1, secret_of('x')};
    EXPECT_TRUE(says(refusal(world, wrong), "authentication failed"));
    wrong = world.options();
    wrong.dhchap->controller = auth::Key{1, secret_of('x')};
    EXPECT_TRUE(says(refusal(world, wrong), "did not prove"));
    EXPECT_EQ(world.psks(), 0U);
    world.rig.run([](ConcatWorld& w) -> Task<void> {
        auto address = nvmf::normalise("tcp", "", w.rig.target_address().host, "4424");
        const auto both =
            co_await w.subsystem().add_listener(*address, *w.rig.target().find_transport("tcp"),
                                                {.is_secure = true, .concatenation = nvmf::Concatenation::allowed});
        EXPECT_FALSE(both);
        EXPECT_TRUE(co_await w.subsystem().set_allow_any_host(true));
        const auto any = co_await w.subsystem().add_listener(*address, *w.rig.target().find_transport("tcp"),
                                                             {.concatenation = nvmf::Concatenation::required});
        EXPECT_FALSE(any);
    }(world));
}

TEST(Concatenation, AKeyEndsWithItsTimeItsHostAndItsHostsKeys) {
    ConcatWorld world(2);
    net::PskKey key;
    const auto make_key = [&] {
        with_controller(world, world.options(), [&](Controller& controller) -> Task<void> {
            key = *controller.options().tls_key;
            co_return;
        });
    };
    make_key();
    with_controller(world, with_key(world, key), nothing);  // it is good for another while
    net::PskKey damaged = key;
    damaged.bytes[3] ^= std::byte{1};
    EXPECT_TRUE(says(refusal(world, with_key(world, damaged)), "another key"));
    world.rig.run_for(nvmf::GeneratedPsks::idle_ns + env::ns_per_s);
    EXPECT_TRUE(says(refusal(world, with_key(world, key)), "knows no such key"));

    make_key();
    const net::PskKey before = key;
    make_key();  // and with it what came before is over
    EXPECT_TRUE(says(refusal(world, with_key(world, before)), "knows no such key"));
    const std::string hostnqn = world.options().hostnqn;
    world.rig.run([](ConcatWorld& w, std::string host) -> Task<void> {
        nvmf::HostKeys keys{.host = *w.ring.find("one"), .controller = *w.ring.find("two")};
        EXPECT_TRUE(co_await w.subsystem().set_host_keys(host, std::move(keys)));
    }(world, hostnqn));
    EXPECT_TRUE(says(refusal(world, with_key(world, key)), "knows no such key"));

    make_key();
    EXPECT_EQ(world.psks(), 1U);
    world.rig.run([](ConcatWorld& w, std::string host) -> Task<void> {
        EXPECT_TRUE(co_await w.subsystem().remove_host(host));
    }(world, hostnqn));
    EXPECT_EQ(world.psks(), 0U);
    EXPECT_TRUE(says(refusal(world, with_key(world, key)), "knows no such key"));
}

TEST(Concatenation, AnotherAuthenticationReplacesTheKey) {
    ConcatWorld world(3);
    with_controller(world, world.options(), [&](Controller& controller) -> Task<void> {
        const net::PskKey first = *controller.options().tls_key;
        auto qpair = co_await controller.create_io_qpair(world.rig.host_group(0));
        EXPECT_TRUE(qpair);
        if (!qpair) co_return;
        for (int count = 0; count < 3; ++count) {
            const auto again = co_await controller.authenticate_again();
            EXPECT_TRUE(again) << again.error().message;
        }
        EXPECT_NE(controller.options().tls_key->identity, first.identity);
        co_await write_and_read(**qpair, 1);  // it lives on with the first
        EXPECT_TRUE(co_await controller.create_io_qpair(world.rig.host_group(0)));
        auto late = co_await Controller::connect(world.rig.host_group(0), with_key(world, first));
        EXPECT_FALSE(late);
        if (late) co_await (*late)->disconnect();
    });
    EXPECT_EQ(world.psks(), 1U);
}

// Paths of one host that come at the same time do not take each other's keys away.
TEST(Concatenation, SeveralPathsOfAHostAtOnce) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        ConcatWorld world(seed, 2);
        size_t done = 0;
        const auto path = [](ConcatWorld& w, uint16_t port, size_t& count) -> Task<void> {
            auto controller = co_await Controller::connect(w.rig.host_group(0), w.options(port));
            EXPECT_TRUE(controller) << controller.error().message;
            if (controller) {
                const auto qpair = co_await (*controller)->create_io_qpair(w.rig.host_group(0));
                EXPECT_TRUE(qpair) << qpair.error().message;
                co_await (*controller)->disconnect();
            }
            ++count;
        };
        world.rig.run_on_host(0, [](ConcatWorld& w, auto one, size_t& count) -> Task<void> {
            for (const uint16_t port : {allowed_port, required_port, allowed_port, required_port}) {
                spawn(one(w, port, count));
            }
            while (count < 4) co_await sleep_for(env::ns_per_ms);
        }(world, path, done));
    }
}

TEST(Concatenation, AHostThatLeavesLeavesNothing) {
    for (uint32_t steps = 0; steps < 60; ++steps) {
        SCOPED_TRACE(steps);
        ConcatWorld world(steps);
        auto options = world.options(allowed_port, steps % 2 == 0);
        options.connect_timeout = options.admin_timeout = (1 + steps) * 50 * env::ns_per_us;
        world.rig.run_on_host(0, [](ConcatWorld& w, nvme_host::ControllerOptions opts) -> Task<void> {
            auto controller = co_await Controller::connect(w.rig.host_group(0), std::move(opts));
            if (controller) co_await (*controller)->disconnect();
        }(world, std::move(options)));
        world.rig.run_for(nvmf::GeneratedPsks::idle_ns + 10 * env::ns_per_s);
        EXPECT_TRUE(world.rig.target_is_idle());
        EXPECT_EQ(world.psks(), 0U);
    }
}

// Sends this and nothing more; how long the target bore it.
env::TimeNs patience_with(ConcatWorld& world, std::vector<std::byte> bytes) {
    const env::TimeNs began = world.rig.world().now();
    world.rig.run_on_host(0, [](ConcatWorld& w, std::vector<std::byte> say) -> Task<void> {
        env::Address address = w.rig.target_address();
        address.port = allowed_port;
        auto stream = co_await net::connect(address, {}, 10 * env::ns_per_s);
        EXPECT_TRUE(stream);
        if (!stream) co_return;
        if (!say.empty()) {
            const iovec piece{.iov_base = say.data(), .iov_len = say.size()};
            (*stream)->send({&piece, 1});
        }
        std::array<std::byte, 200> heard;
        while ((*stream)->receive(heard).state != env::Transfer::State::end) {
            co_await sleep_for(env::ns_per_ms);
            if (w.rig.world().now() > 100 * env::ns_per_s) break;
        }
    }(world, std::move(bytes)));
    return world.rig.world().now() - began;
}

TEST(Concatenation, WhoDoesNotGoOnIsLeftInTime) {
    ConcatWorld world(4);
    const std::byte record{0x16};
    const std::byte ic_req{0};
    for (const std::vector<std::byte>& said :
         {std::vector<std::byte>{}, {record}, {record, std::byte{3}, std::byte{1}}, {ic_req}, {ic_req, std::byte{0}}}) {
        const env::TimeNs patience = patience_with(world, said);
        EXPECT_GE(patience, 1800 * env::ns_per_ms) << said.size();
        EXPECT_LE(patience, 4500 * env::ns_per_ms) << said.size();
    }
    // What is neither is at once answered as any bad PDU is.
    EXPECT_LE(patience_with(world, std::vector<std::byte>(8, std::byte{0x47})), 1800 * env::ns_per_ms);
    with_controller(world, world.options(), nothing);
    world.rig.run_for(env::ns_per_s);
    EXPECT_TRUE(world.rig.target_is_idle());
}

TEST(Concatenation, TheDiscoveryLogTellsOfIt) {
    ConcatWorld world(5);
    world.rig.run_on_host(0, [](ConcatWorld& w) -> Task<void> {
        auto options = w.rig.host_options(0);
        options.subnqn = nvme::discovery_nqn;
        options.address.port = allowed_port;  // without TLS: that is the host's choice
        auto controller = co_await Controller::connect(w.rig.host_group(0), options);
        EXPECT_TRUE(controller) << controller.error().message;
        if (!controller) co_return;
        const auto log = co_await nvme_host::read_discovery_log(**controller);
        EXPECT_TRUE(log) << log.error().message;
        size_t found = 0;
        for (const nvme::DiscoveryLogEntry& entry : log->entries) {
            const std::string port(nvme::ascii_of(entry.trsvcid));
            if (port != "4422" && port != "4423") continue;
            ++found;
            EXPECT_EQ(entry.treq & 3, nvme::DiscoveryLogEntry::secure_channel_not_required);
            EXPECT_EQ(entry.tsas[0], static_cast<uint8_t>(nvme::TcpSecurityType::tls_1_3));
        }
        EXPECT_EQ(found, 2U);
        co_await (*controller)->disconnect();
    }(world));
}

TEST(Concatenation, TheTargetStopsWithHostsAtEveryStep) {
    for (uint32_t steps = 1; steps < 40; steps += 3) {
        SCOPED_TRACE(steps);
        ConcatWorld world(steps);
        bool is_over = false;
        {
            const CurrentThread scope(&world.rig.host_thread(0));
            spawn([](ConcatWorld& w, bool& over) -> Task<void> {
                co_await yield();
                auto controller = co_await Controller::connect(w.rig.host_group(0), w.options());
                if (controller) co_await (*controller)->disconnect();
                over = true;
            }(world, is_over));
        }
        world.rig.run_for(steps * 100 * env::ns_per_us);
        world.rig.stop_target();
        world.rig.run_for(60 * env::ns_per_s);
        EXPECT_TRUE(is_over);
    }
}

}  // namespace
}  // namespace weft::test
