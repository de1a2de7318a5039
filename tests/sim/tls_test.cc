// TLS in the simulated world: over connections that bring a few bytes at a time, or stall. OpenSSL draws random numbers
// of its own, so that no two runs are alike to the byte; what is held does not depend on them.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

#include "bdev_modules/malloc/malloc_device.h"
#include "keyring/keyring.h"
#include "net/connect.h"
#include "nvme/tls/psk.h"
#include "nvme_host/admin.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
using nvme_host::Execute;
using nvme_host::Io;
using nvme_host::Qpair;

constexpr uint32_t block_bytes = 512;
constexpr uint64_t block_count = 4096;
constexpr uint16_t secure_port = 4421;
constexpr std::string_view key_text = "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:";

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = block_bytes;
    options.block_count = block_count;
    options.pretouch = false;
    auto device = bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"}));
    EXPECT_TRUE(device);
    return std::move(*device);
}

// A rig whose subsystem has a listener with TLS, and a key for host 0.
struct SecureRig {
    keyring::Keyring keys;
    Rig rig;

    explicit SecureRig(uint64_t seed, nvmf::TransportOptions options = {}) : rig(seed, {.hosts = 2}) {
        rig.run(rig.export_device(ram_disk(), std::move(options)));
        rig.run(secure(*this));
    }
    ~SecureRig() {
        if (rig.has_target()) rig.stop_target();
    }

    static Task<void> secure(SecureRig& self) {
        nvmf::Target& target = self.rig.target();
        env::Files& files = target.environment().files();
        EXPECT_TRUE(files.write_atomically("/key", key_text));
        const auto added = co_await self.keys.add_file(files, "psk0", "/key");
        EXPECT_TRUE(added) << added.error().message;
        auto psk = co_await nvmf::HostPsk::open(self.keys, files, "psk0");
        EXPECT_TRUE(psk) << psk.error().message;
        if (!psk) co_return;
        const std::string host = self.rig.host_options(0).hostnqn;
        target.host_psks().set(Rig::nqn, host, *psk);
        nvmf::Subsystem& subsystem = *target.find_subsystem(Rig::nqn);
        EXPECT_TRUE(co_await subsystem.set_allow_any_host(false));
        for (size_t number = 0; number < 2; ++number) {
            EXPECT_TRUE(co_await subsystem.add_host(self.rig.host_options(number).hostnqn));
        }
        auto address = nvmf::normalise("tcp", "", self.rig.target_address().host, std::to_string(secure_port));
        const auto listening =
            co_await subsystem.add_listener(*address, *target.find_transport("tcp"), {.is_secure = true});
        EXPECT_TRUE(listening) << listening.error().message;
    }
    nvme_host::ControllerOptions options(uint8_t version, size_t named_host = 0, size_t keyed_host = 0) {
        nvme_host::ControllerOptions made = rig.host_options(named_host);
        made.address.port = secure_port;
        const auto psk = nvme::tls::make_tls_psk(*nvme::tls::parse_interchange(key_text),
                                                 rig.host_options(keyed_host).hostnqn, made.subnqn, version);
        made.tls_key = net::PskKey(psk->identity.text(), psk->key.bytes());
        return made;
    }
};

Task<bool> execute(Qpair& qpair, nvme::IoOpcode opcode, uint64_t slba, std::vector<std::byte>& data) {
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    Io io;
    io.command.opcode = static_cast<uint8_t>(opcode);
    io.command.nsid = 1;
    io.command.set_lba_range(slba, static_cast<uint32_t>(data.size() / block_bytes));
    io.data = {&piece, 1};
    co_await Execute(qpair, io);
    co_return io.status().is_success();
}

Task<void> write_and_read(SecureRig& rig, uint64_t seed) {
    std::minstd_rand random(static_cast<uint32_t>(seed));
    nvme_host::ControllerOptions options = rig.options(static_cast<uint8_t>(seed % 2));
    options.header_digest = seed % 3 == 0;
    options.data_digest = seed % 5 == 0;
    auto controller = co_await Controller::connect(rig.rig.host_group(0), options);
    EXPECT_TRUE(controller) << controller.error().message;
    if (!controller) co_return;
    auto qpair = co_await (*controller)->create_io_qpair(rig.rig.host_group(0));
    EXPECT_TRUE(qpair) << qpair.error().message;
    if (!qpair) co_return;
    for (int round = 0; round < 10; ++round) {
        const uint32_t blocks = 1 + random() % (round % 2 == 0 ? 16 : 256);
        const uint64_t slba = random() % (block_count - blocks);
        std::vector<std::byte> data(size_t{blocks} * block_bytes);
        for (std::byte& byte : data) byte = static_cast<std::byte>(random());
        EXPECT_TRUE(co_await execute(**qpair, nvme::IoOpcode::write, slba, data));
        std::vector<std::byte> back(data.size());
        EXPECT_TRUE(co_await execute(**qpair, nvme::IoOpcode::read, slba, back));
        EXPECT_TRUE(back == data);
    }
    co_await (*controller)->disconnect();
}

TEST(Tls, CarriesAllThatIsWrittenAndRead) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        SecureRig rig(seed);
        rig.rig.run_on_host(0, write_and_read(rig, seed));
    }
}

Task<void> is_refused(SecureRig& rig, nvme_host::ControllerOptions options, std::string why) {
    auto controller = co_await Controller::connect(rig.rig.host_group(0), std::move(options));
    EXPECT_FALSE(controller);
    if (!controller) EXPECT_NE(controller.error().message.find(why), std::string::npos) << controller.error().message;
}

TEST(Tls, LetsInWhomTheKeyIsForAndNobodyElse) {
    SecureRig rig(1);
    nvme_host::ControllerOptions plain = rig.options(0);
    plain.tls_key.reset();
    rig.rig.run_on_host(0, is_refused(rig, plain, ""));
    rig.rig.run_on_host(0, is_refused(rig, rig.options(0, 1, 1), "knows no such key"));
    // The key of host 0, and the name of host 1, which may use the subsystem, too.
    rig.rig.run_on_host(0, is_refused(rig, rig.options(0, 1, 0), "host"));
    nvme_host::ControllerOptions wrong = rig.options(1);
    wrong.tls_key->bytes[5] ^= std::byte{1};
    rig.rig.run_on_host(0, is_refused(rig, wrong, "another key"));
    rig.rig.run_on_host(0, write_and_read(rig, 1));
}

// Connects and says nothing until the target ends it; returns when that was.
Task<void> stall(SecureRig& rig, env::TimeNs& ended_at) {
    env::Address address = rig.rig.target_address();
    address.port = secure_port;
    auto stream = co_await net::connect(address, {}, 10 * env::ns_per_s);
    EXPECT_TRUE(stream);
    if (!stream) co_return;
    std::array<std::byte, 100> bytes;
    while ((*stream)->receive(bytes).state == env::Transfer::State::would_block) co_await sleep_for(env::ns_per_ms);
    ended_at = rig.rig.world().now();
}

TEST(Tls, EndsHandshakesThatStall) {
    nvmf::TransportOptions options;
    options.handshake_timeout_ms = 500;
    SecureRig rig(1, options);
    const env::TimeNs began = rig.rig.world().now();
    env::TimeNs ended = 0;
    rig.rig.run_on_host(1, stall(rig, ended));
    EXPECT_GE(ended, began + 400 * env::ns_per_ms);
    EXPECT_LE(ended, began + 2000 * env::ns_per_ms);
    rig.rig.run_on_host(0, write_and_read(rig, 1));
}

using Streams = std::vector<std::unique_ptr<env::Stream>>;

// Connections that say nothing, one after another.
Streams open_silent(SecureRig& rig, size_t host, size_t count) {
    Streams opened;
    rig.rig.run_on_host(host, [](SecureRig& self, size_t number, Streams& into) -> Task<void> {
        env::Address address = self.rig.target_address();
        address.port = secure_port;
        while (into.size() < number) {
            auto stream = co_await net::connect(address, {}, 10 * env::ns_per_s);
            EXPECT_TRUE(stream);
            if (!stream) break;
            into.push_back(std::move(*stream));
        }
    }(rig, count, opened));
    rig.rig.run_for(50 * env::ns_per_ms);
    return opened;
}

// Reads what there is.
size_t closed_count(SecureRig& rig, size_t host, Streams& streams) {
    const CurrentThread scope(&rig.rig.host_thread(host));
    return static_cast<size_t>(std::ranges::count_if(streams, [](const auto& stream) {
        std::array<std::byte, 1000> bytes{};
        env::Transfer got;
        do got = stream->receive(bytes);
        while (got.state == env::Transfer::State::done);
        return got.state != env::Transfer::State::would_block;
    }));
}

// Also to those that are closed already.
void say(SecureRig& rig, size_t host, Streams& streams, std::string_view text) {
    const CurrentThread scope(&rig.rig.host_thread(host));
    const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    for (const auto& stream : streams) std::ignore = stream->send({&piece, 1});
}

// What host 0 says first.
std::string overhear(SecureRig& rig) {
    const auto context = *net::PskContext::make(net::PskContext::Side::client);
    net::PskHandshake overheard(*context, *rig.options(1).tls_key);
    overheard.step();
    return overheard.take_output();
}

void close_all(SecureRig& rig, size_t host, Streams& streams) {
    const CurrentThread scope(&rig.rig.host_thread(host));
    streams.clear();
}

// Though the other host was there before them all.
TEST(Tls, AStormFromOneAddressDisplacesItself) {
    nvmf::TransportOptions options;
    options.max_connecting = 4;
    SecureRig rig(1, options);
    Streams known = open_silent(rig, 0, 1);
    Streams storm = open_silent(rig, 1, 8);
    EXPECT_EQ(closed_count(rig, 0, known), 0U);
    EXPECT_EQ(closed_count(rig, 1, storm), 5U);
    nvmf::HandshakeFigures figures = rig.rig.target().find_transport("tcp")->handshake_figures();
    EXPECT_EQ(figures.under_way, 4U);
    EXPECT_EQ(figures.displaced, 5U);
    rig.rig.run_on_host(0, write_and_read(rig, 1));
    EXPECT_EQ(closed_count(rig, 0, known), 0U);
    close_all(rig, 0, known);
    close_all(rig, 1, storm);
    rig.rig.run_for(50 * env::ns_per_ms);
    figures = rig.rig.target().find_transport("tcp")->handshake_figures();
    EXPECT_EQ(figures.under_way, 0U);
    EXPECT_EQ(figures.opened, 2U) << "the admin queue and an I/O queue";
    EXPECT_EQ(figures.failed, 9U);
}

// Of those that were answered there are 256, and no more when each says a byte now and then: the beginning of a record
// that never ends.
TEST(Tls, AStormOfAnsweredHandshakesDisplacesItself) {
    SecureRig rig(1);
    const std::string hello = overhear(rig);
    Streams known = open_silent(rig, 0, 1);
    say(rig, 0, known, hello);
    Streams storm = open_silent(rig, 1, 300);
    say(rig, 1, storm, hello);
    rig.rig.run_for(50 * env::ns_per_ms);
    const auto figures = [&rig] { return rig.rig.target().find_transport("tcp")->handshake_figures(); };
    EXPECT_EQ(figures().under_way, 256U);
    EXPECT_EQ(figures().displaced, 45U);
    say(rig, 1, storm, std::string_view("\x17\x03\x03\x40\x00", 5));
    for (int round = 0; round < 20; ++round) {
        say(rig, 1, storm, "x");
        rig.rig.run_for(env::ns_per_ms / 10);
    }
    Streams more = open_silent(rig, 1, 50);
    say(rig, 1, more, hello);
    rig.rig.run_for(50 * env::ns_per_ms);
    EXPECT_EQ(figures().under_way, 256U);
    EXPECT_EQ(closed_count(rig, 0, known), 0U);
    EXPECT_EQ(closed_count(rig, 1, storm), 95U);
    rig.rig.run_on_host(0, write_and_read(rig, 1));
    close_all(rig, 0, known);
    close_all(rig, 1, storm);
    close_all(rig, 1, more);
    rig.rig.run_for(50 * env::ns_per_ms);
    EXPECT_EQ(figures().under_way, 0U);
    EXPECT_EQ(figures().opened, 2U);
}

// More than are answered at a time: those that wait leave, or the target stops, at every step.
TEST(Tls, EndsWithHandshakesAtEveryStep) {
    for (uint64_t step = 0; step < 24; ++step) {
        SecureRig rig(1);
        const std::string hello = overhear(rig);
        Streams storm = open_silent(rig, 1, 150);
        say(rig, 1, storm, hello);
        rig.rig.run_for(step / 2 * 25 * env::ns_per_us);
        if (step % 2 == 0) {
            rig.rig.stop_target();
            close_all(rig, 1, storm);
            continue;
        }
        close_all(rig, 1, storm);
        rig.rig.run_on_host(0, write_and_read(rig, 1));
        rig.rig.run_for(50 * env::ns_per_ms);
        EXPECT_EQ(rig.rig.target().find_transport("tcp")->handshake_figures().under_way, 0U);
    }
}

// A ClientHello of more than 16 KiB, and what is none, as far as it goes: they are known by their first bytes.
TEST(Tls, RefusesAtOnceWhatIsNoClientHello) {
    SecureRig rig(1);
    constexpr std::array<std::string_view, 6> said = {
        {{"\x16\x03\x01\x40\x00\x01\x00\x40\x00", 9}, {"\x16\x03\x01\x00\x00", 5}, "GET / ", "G", "\x80", {"\0", 1}}};
    for (const std::string_view text : said) {
        Streams streams = open_silent(rig, 1, 1);
        say(rig, 1, streams, text);
        rig.rig.run_for(50 * env::ns_per_ms);
        EXPECT_EQ(closed_count(rig, 1, streams), 1U) << text;
        close_all(rig, 1, streams);
    }
    EXPECT_EQ(rig.rig.target().find_transport("tcp")->handshake_figures().failed, said.size());
    rig.rig.run_on_host(0, write_and_read(rig, 1));
}

// Those on their way through TLS count as connections, and are the first that make room.
TEST(Tls, WhoIsOneTooManyTakesThePlaceOfOneThatHasNotProvedItself) {
    nvmf::TransportOptions options;
    options.max_connections_per_source = 3;
    SecureRig rig(1, options);
    Streams storm = open_silent(rig, 0, 3);
    rig.rig.run_on_host(0, write_and_read(rig, 1));
    EXPECT_EQ(closed_count(rig, 0, storm), 2U);
    close_all(rig, 0, storm);
}

TEST(Tls, StopsWithHandshakesUnderWay) {
    SecureRig rig(1);
    Streams idle = open_silent(rig, 1, 1);
    EXPECT_EQ(idle.size(), 1U);
    EXPECT_EQ(closed_count(rig, 1, idle), 0U);
    rig.rig.stop_target();
    close_all(rig, 1, idle);
}

}  // namespace
}  // namespace weft::test
