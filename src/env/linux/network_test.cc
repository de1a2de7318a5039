#include "env/linux/network.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <numeric>

#include "env/linux/clock.h"
#include "env/linux/test_folder.h"
#include "env/linux/waiter.h"

namespace weft::env {
namespace {

// Real sockets on this machine, one test for each family.
class NetworkTest : public testing::TestWithParam<Family> {
protected:
    void SetUp() override {
        waiter_ = std::move(*make_epoll_waiter());
        auto listener = network_.listen(any_address(), {});
        if (!listener && GetParam() == Family::ipv6) GTEST_SKIP() << "no IPv6: " << listener.error().message;
        ASSERT_TRUE(listener) << listener.error().message;
        listener_ = std::move(*listener);
    }

    Address any_address() const {
        switch (GetParam()) {
            case Family::ipv4: return *parse_ip("127.0.0.1", 0);
            case Family::ipv6: return *parse_ip("::1", 0);
            case Family::unix_path: return {.family = Family::unix_path, .host = folder_ / "socket"};
        }
        return {};
    }

    // Waits at most two seconds for `source` to be ready.
    uint32_t wait_for(Pollable& source, uint32_t events) {
        EXPECT_TRUE(waiter_->add(source, {.events = events}, nullptr));
        Ready ready{};
        const size_t count = waiter_->wait(clock_.now() + 2 * ns_per_s, std::span(&ready, 1));
        waiter_->remove(source);
        return count == 1 ? ready.events : 0;
    }

    void make_connection(const SocketOptions& options = {}) {
        auto client = network_.connect(listener_->local_address(), options);
        ASSERT_TRUE(client) << client.error().message;
        client_ = std::move(*client);
        ASSERT_NE(wait_for(*listener_, Events::readable), 0u);
        auto server = listener_->accept();
        ASSERT_TRUE(server) << server.error().message;
        server_ = std::move(*server);
        ASSERT_NE(wait_for(*client_, Events::writable), 0u);
        const auto connected = client_->connected();
        ASSERT_TRUE(connected) << connected.error().message;
    }

    static Transfer send_text(Stream& stream, std::string_view text) {
        const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
        return stream.send(std::span(&piece, 1));
    }

    TestFolder folder_;
    LinuxNetwork network_;
    LinuxClock clock_;
    std::unique_ptr<Waiter> waiter_;
    std::unique_ptr<Listener> listener_;
    std::unique_ptr<Stream> client_;
    std::unique_ptr<Stream> server_;
};

TEST_P(NetworkTest, CarriesBytesBothWays) {
    make_connection();
    std::array<std::byte, 16> buffer{};
    EXPECT_EQ(server_->receive(buffer).state, Transfer::State::would_block);
    EXPECT_EQ(send_text(*client_, "ping").bytes, 4u);
    ASSERT_NE(wait_for(*server_, Events::readable), 0u);
    const Transfer got = server_->receive(buffer);
    EXPECT_EQ(got.state, Transfer::State::done);
    EXPECT_EQ(text_of(Bytes(buffer).first(got.bytes)), "ping");
    EXPECT_EQ(send_text(*server_, "pong!").bytes, 5u);
    ASSERT_NE(wait_for(*client_, Events::readable), 0u);
    EXPECT_EQ(client_->receive(buffer).bytes, 5u);
}

TEST_P(NetworkTest, KnowsTheAddressesOfBothEnds) {
    make_connection();
    EXPECT_EQ(client_->peer_address(), listener_->local_address());
    EXPECT_EQ(server_->local_address(), listener_->local_address());
    EXPECT_EQ(server_->peer_address(), client_->local_address());
    if (GetParam() == Family::unix_path) {
        const auto peer = server_->peer_process();
        ASSERT_TRUE(peer.has_value());
        EXPECT_EQ(peer->user, geteuid());
        EXPECT_EQ(peer->process, static_cast<uint32_t>(getpid()));
    } else {
        EXPECT_NE(listener_->local_address().port, 0);
        EXPECT_FALSE(server_->peer_process().has_value());
    }
}

TEST_P(NetworkTest, SendsManyPiecesAndOnlyTheFirst1024) {
    make_connection();
    std::vector<char> bytes(1500);
    std::iota(bytes.begin(), bytes.end(), char{0});
    std::vector<iovec> pieces;
    for (char& byte : bytes) pieces.push_back({.iov_base = &byte, .iov_len = 1});
    const Transfer sent = client_->send(pieces);
    EXPECT_EQ(sent.state, Transfer::State::done);
    EXPECT_EQ(sent.bytes, 1024u);
}

TEST_P(NetworkTest, BlocksWhenThePeerDoesNotReadAndGoesOnWhenItDoes) {
    make_connection();
    const std::string block(65536, 'x');
    size_t sent = 0;
    Transfer transfer;
    do {
        transfer = send_text(*client_, block);
        sent += transfer.bytes;
    } while (transfer.state == Transfer::State::done);
    EXPECT_EQ(transfer.state, Transfer::State::would_block);
    std::vector<std::byte> buffer(65536);
    size_t received = 0;
    while (received < sent) {
        ASSERT_NE(wait_for(*server_, Events::readable), 0u);
        received += server_->receive(buffer).bytes;
    }
    EXPECT_EQ(received, sent);
    EXPECT_NE(wait_for(*client_, Events::writable), 0u);
}

// Again and again until the socket is full, and what it did not take copied behind it: all arrives, once and in order.
TEST_P(NetworkTest, SendsMemoryInPlace) {
    make_connection();
    std::string head = "head";
    std::string body(size_t{3} << 20, '\0');  // more than the pipe between holds
    for (size_t at = 0; at < body.size(); ++at) body[at] = static_cast<char>(at * 31 >> 7);
    std::string expected;
    Transfer sent;
    do {
        sent = client_->send_in_place(bytes_of(head), bytes_of(body));
        expected += (head + body).substr(0, sent.bytes);
    } while (sent.state == Transfer::State::done && sent.bytes == head.size() + body.size());
    ASSERT_NE(sent.state, Transfer::State::failed);

    std::string received;
    std::vector<std::byte> buffer(1 << 20);
    const auto receive = [&] {
        while (received.size() < expected.size()) {
            ASSERT_NE(wait_for(*server_, Events::readable), 0u);
            received.append(reinterpret_cast<const char*>(buffer.data()), server_->receive(buffer).bytes);
        }
    };
    receive();
    ASSERT_NE(wait_for(*client_, Events::writable), 0u);
    EXPECT_EQ(send_text(*client_, "rest").bytes, 4u);
    expected += "rest";
    receive();
    EXPECT_TRUE(received == expected);
}

TEST_P(NetworkTest, SendingInPlaceToAPeerThatIsGoneFailsWithoutASignal) {
    std::signal(SIGPIPE, SIG_IGN);
    make_connection();
    server_.reset();
    EXPECT_NE(wait_for(*client_, Events::readable), 0u);
    const std::string body(1 << 20, 'x');
    Transfer transfer;
    for (int at = 0; at < 10 && transfer.state != Transfer::State::failed; ++at) {
        transfer = client_->send_in_place(bytes_of(body).first(1), bytes_of(body));
        wait_for(*client_, Events::readable);
    }
    EXPECT_EQ(transfer.state, Transfer::State::failed);
}

TEST_P(NetworkTest, EndsOneDirectionAtATime) {
    make_connection();
    std::array<std::byte, 16> buffer{};
    send_text(*client_, "last");
    client_->shutdown_send();
    EXPECT_EQ(wait_for(*server_, Events::readable), Events::readable);  // not hung up: an answer is possible
    EXPECT_EQ(server_->receive(buffer).bytes, 4u);
    wait_for(*server_, Events::readable);
    EXPECT_EQ(server_->receive(buffer).state, Transfer::State::end);
    EXPECT_EQ(send_text(*server_, "answer").bytes, 6u);
    ASSERT_NE(wait_for(*client_, Events::readable), 0u);
    EXPECT_EQ(client_->receive(buffer).bytes, 6u);
}

TEST_P(NetworkTest, SendingToAPeerThatIsGoneFailsWithoutASignal) {
    make_connection();
    server_.reset();
    EXPECT_NE(wait_for(*client_, Events::readable), 0u);
    Transfer transfer;
    for (int at = 0; at < 10 && transfer.state != Transfer::State::failed; ++at) {
        transfer = send_text(*client_, "?");
        wait_for(*client_, Events::readable);
    }
    EXPECT_EQ(transfer.state, Transfer::State::failed);
    EXPECT_EQ(transfer.error, Errc::connection_lost);
}

TEST_P(NetworkTest, TellsOfARefusedConnectionWhenAsked) {
    const Address address = listener_->local_address();
    listener_.reset();
    if (GetParam() == Family::unix_path) {
        EXPECT_EQ(::access(address.host.c_str(), F_OK), -1);  // the socket file went with its listener
    }
    auto client = network_.connect(address, {});
    ASSERT_TRUE(client);
    EXPECT_NE(wait_for(**client, Events::writable), 0u);
    const auto connected = (*client)->connected();
    ASSERT_FALSE(connected);
    EXPECT_EQ(connected.error().code, GetParam() == Family::unix_path ? Errc::not_found : Errc::connection_refused);
}

TEST_P(NetworkTest, RefusesAnAddressThatIsListenedOn) {
    const auto second = network_.listen(listener_->local_address(), {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::address_in_use);
}

TEST_P(NetworkTest, TakesTheAddressAgainWithConnectionsLeftFromBefore) {
    make_connection();
    const Address address = listener_->local_address();
    server_.reset();  // our side closes first: TIME_WAIT is ours
    listener_.reset();
    const auto again = network_.listen(address, {});
    EXPECT_TRUE(again) << again.error().message;
}

TEST_P(NetworkTest, SaysWhenNothingWaitsAndWhenDescriptorsAreOut) {
    auto none = listener_->accept();
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::again);

    auto client = network_.connect(listener_->local_address(), {});
    ASSERT_TRUE(client);
    ASSERT_NE(wait_for(*listener_, Events::readable), 0u);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none_left = before;
    none_left.rlim_cur = 3;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    auto refused = listener_->accept();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::too_many);
    EXPECT_TRUE(listener_->accept());  // it waited
}

TEST_P(NetworkTest, SetsWhatItIsTold) {
    make_connection({.no_delay = true,
                     .congestion_control = "reno",
                     .receive_buffer_bytes = 65536,
                     .send_buffer_bytes = 32768,
                     .priority = 5,
                     .user_timeout_ms = 7000});
    const auto option = [this](int level, int name) {
        int value = -1;
        socklen_t size = sizeof(value);
        getsockopt(client_->descriptor(), level, name, &value, &size);
        return value;
    };
    EXPECT_EQ(option(SOL_SOCKET, SO_SNDBUF), 2 * 32768);  // the kernel doubles it for its own use
    EXPECT_EQ(option(SOL_SOCKET, SO_PRIORITY), 5);
    if (GetParam() == Family::unix_path) return;
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
    std::array<char, 16> name{};
    socklen_t size = name.size();
    ASSERT_EQ(getsockopt(client_->descriptor(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
    EXPECT_STREQ(name.data(), "reno");
    const auto unknown = client_->configure({.congestion_control = "no_such_algorithm"});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::not_found);
}

std::string name_of(const testing::TestParamInfo<Family>& info) {
    constexpr const char* names[] = {"Ipv4", "Ipv6", "UnixPath"};
    return names[static_cast<size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Families, NetworkTest, testing::Values(Family::ipv4, Family::ipv6, Family::unix_path),
                         name_of);

TEST(UnixListener, ReplacesASocketFileNobodyListensOn) {
    const TestFolder folder;
    const Address address{.family = Family::unix_path, .host = folder / "socket"};
    LinuxNetwork network;
    // Bound and closed without unlink, as a process that was killed leaves it.
    {
        auto listener = network.listen(address, {});
        ASSERT_TRUE(listener);
        ASSERT_EQ(::link((folder / "socket").c_str(), (folder / "kept").c_str()), 0);
    }
    ASSERT_EQ(::rename((folder / "kept").c_str(), address.host.c_str()), 0);
    const auto listener = network.listen(address, {.path_mode = 0660});
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat file{};
    ASSERT_EQ(stat(address.host.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0660u);
}

TEST(UnixListener, LeavesAFileAlone) {
    const TestFolder folder;
    const Address address{.family = Family::unix_path, .host = folder / "precious"};
    ASSERT_EQ(::close(::creat(address.host.c_str(), 0600)), 0);
    LinuxNetwork network;
    const auto listener = network.listen(address, {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::address_in_use);
    EXPECT_EQ(::access(address.host.c_str(), F_OK), 0);
}

TEST(UnixListener, RefusesAPathTooLongForASocket) {
    LinuxNetwork network;
    const auto listener = network.listen({.family = Family::unix_path, .host = "/tmp/" + std::string(200, 'x')}, {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::invalid_argument);
}

TEST(Listen, RefusesAnAddressThatIsNotOurs) {
    LinuxNetwork network;
    const auto listener = network.listen(*parse_ip("203.0.113.77", 0), {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::invalid_argument);
}

TEST(LocalAddresses, AreNumericAndNotLoopbackWhenThereAreOthers) {
    LinuxNetwork network;
    const auto addresses = network.local_addresses(Family::ipv4);
    ASSERT_FALSE(addresses.empty());
    for (const Address& address : addresses) {
        EXPECT_TRUE(parse_ip(address.host, 0)) << address.host;
        if (addresses.size() > 1) EXPECT_NE(address.host, "127.0.0.1");
    }
    EXPECT_TRUE(network.local_addresses(Family::unix_path).empty());
}

}  // namespace
}  // namespace weft::env
