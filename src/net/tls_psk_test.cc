#include "net/tls_psk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "net/tls_stream.h"

namespace weft::net {
namespace {

// One direction of a connection in memory, with a limit as a socket's buffer has one.
struct Line {
    std::deque<std::byte> bytes;
    size_t room = 1 << 20;
    bool is_ended = false;
};

class LineStream final : public env::Stream {
public:
    LineStream(Line& in, Line& out) : in_(in), out_(out) {}
    env::Transfer receive(MutableBytes into) override {
        asked_max = std::max(asked_max, into.size());
        const size_t count = std::min({into.size(), in_.bytes.size(), piece_max});
        if (count == 0) {
            return {.state = in_.is_ended ? env::Transfer::State::end : env::Transfer::State::would_block};
        }
        std::copy_n(in_.bytes.begin(), count, into.begin());
        in_.bytes.erase(in_.bytes.begin(), in_.bytes.begin() + static_cast<ptrdiff_t>(count));
        return {.state = env::Transfer::State::done, .bytes = count};
    }
    env::Transfer send(std::span<const iovec> from) override {
        size_t sent = 0;
        for (const iovec& piece : from) {
            const size_t room = out_.room - std::min(out_.room, out_.bytes.size());
            const size_t count = std::min(piece.iov_len, room);
            const auto* at = static_cast<const std::byte*>(piece.iov_base);
            out_.bytes.insert(out_.bytes.end(), at, at + count);
            sent += count;
        }
        if (sent == 0) return {.state = env::Transfer::State::would_block};
        return {.state = env::Transfer::State::done, .bytes = sent};
    }
    void shutdown_send() override { out_.is_ended = true; }
    Result<void> connected() override { return {}; }
    Result<void> configure(const env::SocketOptions&) override { return {}; }
    [[nodiscard]] env::Address local_address() const override { return {}; }
    [[nodiscard]] env::Address peer_address() const override { return {}; }

    size_t piece_max = SIZE_MAX;
    size_t asked_max = 0;

private:
    Line& in_;
    Line& out_;
};

PskKey key_of(size_t size, uint8_t seed = 7, std::string identity = "NVMe0R01 host subsystem") {
    std::vector<std::byte> secret(size, static_cast<std::byte>(seed));
    return {std::move(identity), secret};
}

struct Pair {
    std::unique_ptr<PskContext> server_context = *PskContext::make(PskContext::Side::server);
    std::unique_ptr<PskContext> client_context = *PskContext::make(PskContext::Side::client);
    std::unique_ptr<PskHandshake> server = std::make_unique<PskHandshake>(*server_context);
    std::unique_ptr<PskHandshake> client;
    std::vector<PskOffer> offers;

    // Until nothing moves any more. The server knows `known`.
    void shake(const PskKey& offered, const PskKey* known) {
        client = std::make_unique<PskHandshake>(*client_context, offered);
        for (int round = 0; round < 8; ++round) {
            client->step();
            pass(*client, *server);
            server->step();
            if (server->state() == PskHandshake::State::wants_key) {
                offers = server->offers();
                server->choose(known);
                server->step();
            }
            pass(*server, *client);
        }
    }
    static void pass(PskHandshake& from, PskHandshake& to) {
        const std::string bytes = from.take_output();
        to.feed(bytes_of(std::string_view(bytes)));
    }
};

TEST(PskHandshake, OpensWithTheCipherOfTheKey) {
    for (const size_t size : {size_t{32}, size_t{48}}) {
        Pair pair;
        const PskKey key = key_of(size);
        pair.shake(key, &key);
        ASSERT_EQ(pair.server->state(), PskHandshake::State::open) << pair.server->error().message;
        ASSERT_EQ(pair.client->state(), PskHandshake::State::open) << pair.client->error().message;
        EXPECT_EQ(pair.server->cipher(), size == 32 ? "TLS_AES_128_GCM_SHA256" : "TLS_AES_256_GCM_SHA384");
        ASSERT_EQ(pair.offers.size(), 1U);
        EXPECT_EQ(pair.offers[0].identity, key.identity);
        EXPECT_TRUE(pair.server->proves(pair.offers[0], key));
        EXPECT_FALSE(pair.server->proves(pair.offers[0], key_of(size, 8)));
        EXPECT_FALSE(pair.server->proves(pair.offers[0], key_of(size == 32 ? 48 : 32)));
    }
}

TEST(PskHandshake, FailsOnBothSidesWithAnotherKey) {
    Pair pair;
    const PskKey other = key_of(32, 9);
    pair.shake(key_of(32), &other);
    EXPECT_EQ(pair.server->state(), PskHandshake::State::failed);
    EXPECT_NE(pair.server->error().message.find("another key"), std::string::npos) << pair.server->error().message;
    EXPECT_EQ(pair.client->state(), PskHandshake::State::failed);
    EXPECT_NE(pair.client->error().message.find("another key"), std::string::npos) << pair.client->error().message;
}

TEST(PskHandshake, FailsWithoutAKey) {
    Pair pair;
    pair.shake(key_of(48), nullptr);
    EXPECT_EQ(pair.server->state(), PskHandshake::State::failed);
    EXPECT_NE(pair.server->error().message.find("no key"), std::string::npos) << pair.server->error().message;
    EXPECT_EQ(pair.client->state(), PskHandshake::State::failed);
    EXPECT_NE(pair.client->error().message.find("knows no such key"), std::string::npos)
        << pair.client->error().message;
}

TEST(PskHandshake, TakesAClientHelloByteByByte) {
    Pair pair;
    const PskKey key = key_of(32);
    PskHandshake client(*pair.client_context, key);
    client.step();
    const std::string hello = client.take_output();
    for (const char byte : hello) {
        EXPECT_EQ(pair.server->state(), PskHandshake::State::running);
        pair.server->feed(bytes_of(byte));
        pair.server->step();
    }
    EXPECT_EQ(pair.server->state(), PskHandshake::State::wants_key);
}

TEST(PskHandshake, RefusesWhatIsNoTls) {
    Pair pair;
    using namespace std::string_view_literals;
    pair.server->feed(bytes_of("\0\0\x80\0\x80\0\0\0an ICReq is what this would be"sv));
    pair.server->step();
    ASSERT_EQ(pair.server->state(), PskHandshake::State::failed);
    EXPECT_NE(pair.server->error().message.find("does not speak TLS"), std::string::npos)
        << pair.server->error().message;
}

TEST(PskHandshake, HasALimit) {
    Pair pair;
    const std::vector<std::byte> much(PskHandshake::bytes_max + 1);
    pair.server->feed(much);
    EXPECT_EQ(pair.server->state(), PskHandshake::State::failed);
}

// Two streams over lines in memory.
struct Streams {
    Line to_server;
    Line to_client;
    Pair pair;
    LineStream* below_server = nullptr;
    LineStream* below_client = nullptr;
    std::unique_ptr<env::Stream> server;
    std::unique_ptr<env::Stream> client;

    explicit Streams(size_t key_size = 32) {
        const PskKey key = key_of(key_size);
        pair.shake(key, &key);
        auto below = std::make_unique<LineStream>(to_server, to_client);
        below_server = below.get();
        server = pair.server->into_stream(std::move(below));
        below = std::make_unique<LineStream>(to_client, to_server);
        below_client = below.get();
        client = pair.client->into_stream(std::move(below));
    }
};

std::vector<std::byte> pattern(size_t size, uint32_t seed) {
    std::minstd_rand random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() >> 8);
    return bytes;
}

// Pieces of all sizes, over lines that take little at a time: nothing is lost, doubled or out of order.
TEST(TlsStream, CarriesWhatItIsGivenThroughNarrowLines) {
    for (uint32_t seed = 1; seed <= 20; ++seed) {
        std::minstd_rand random(seed);
        Streams streams(seed % 2 == 0 ? 32 : 48);
        streams.to_server.room = 1 + random() % 100'000;
        streams.below_server->piece_max = 1 + random() % 40'000;
        const std::vector<std::byte> data = pattern(600'000, seed);
        std::vector<std::byte> got;
        std::vector<std::byte> into(1 + random() % 70'000);
        size_t sent = 0;
        for (int turn = 0; got.size() < data.size() && turn < 2'000'000; ++turn) {
            std::vector<iovec> pieces;
            size_t at = sent;
            while (at < data.size() && pieces.size() < 20) {
                const size_t size =
                    std::min<size_t>(1 + random() % (random() % 3 == 0 ? 40'000 : 100), data.size() - at);
                pieces.push_back({.iov_base = const_cast<std::byte*>(data.data() + at), .iov_len = size});
                at += size;
            }
            if (!pieces.empty()) {
                const env::Transfer transfer = streams.client->send(pieces);
                ASSERT_NE(transfer.state, env::Transfer::State::failed);
                sent += transfer.bytes;
            }
            const env::Transfer transfer = streams.server->receive(into);
            ASSERT_NE(transfer.state, env::Transfer::State::failed);
            if (transfer.state == env::Transfer::State::would_block) {
                // An edge would be needed to go on: there must be nothing left to read below.
                ASSERT_TRUE(streams.to_server.bytes.empty());
            }
            got.insert(got.end(), into.begin(), into.begin() + static_cast<ptrdiff_t>(transfer.bytes));
        }
        ASSERT_TRUE(got == data) << "seed " << seed;
    }
}

// Several records with one call of the socket: as soon as the handshake is over, or what came with its last message is
// read.
TEST(TlsStream, ReadsMuchAtATime) {
    Streams streams;
    const std::vector<std::byte> data = pattern(60'000, 1);
    const iovec piece{.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()};
    streams.client->send({&piece, 1});
    std::vector<std::byte> into(data.size());
    EXPECT_EQ(streams.server->receive(into).bytes, data.size());
    EXPECT_GT(streams.below_server->asked_max, TlsStream::read_buffer_bytes - 64) << "but for what aligns it";
    EXPECT_TRUE(into == data);
}

// With a whole record behind the handshake, and with the header of one alone.
class TlsStreamInAHurry : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Fed, TlsStreamInAHurry, testing::Values(size_t{1}, size_t{5}, size_t{6}, SIZE_MAX));

TEST_P(TlsStreamInAHurry, ReadsMuchAtATimeAllTheSame) {
    Pair pair;
    const PskKey key = key_of(32);
    pair.client = std::make_unique<PskHandshake>(*pair.client_context, key);
    pair.client->step();
    Pair::pass(*pair.client, *pair.server);
    pair.server->step();
    pair.server->choose(&key);
    pair.server->step();
    Pair::pass(*pair.server, *pair.client);
    pair.client->step();
    ASSERT_EQ(pair.client->state(), PskHandshake::State::open);
    const std::string finished = pair.client->take_output();
    Line to_server;
    Line to_client;
    const auto client = pair.client->into_stream(std::make_unique<LineStream>(to_client, to_server));
    const std::vector<std::byte> first = pattern(128, 2);
    iovec piece{.iov_base = const_cast<std::byte*>(first.data()), .iov_len = first.size()};
    client->send({&piece, 1});
    pair.server->feed(bytes_of(std::string_view(finished)));
    const auto fed = static_cast<ptrdiff_t>(std::min(GetParam(), to_server.bytes.size()));
    pair.server->feed(std::vector<std::byte>(to_server.bytes.begin(), to_server.bytes.begin() + fed));
    Line rest;  // which comes when the stream has looked once
    rest.bytes.assign(to_server.bytes.begin() + fed, to_server.bytes.end());
    to_server.bytes.clear();
    pair.server->step();
    ASSERT_EQ(pair.server->state(), PskHandshake::State::open);
    auto below = std::make_unique<LineStream>(to_server, to_client);
    const LineStream& below_server = *below;
    const auto server = pair.server->into_stream(std::move(below));
    std::vector<std::byte> into(100'000);
    if (!rest.bytes.empty()) EXPECT_EQ(server->receive(into).state, env::Transfer::State::would_block);
    to_server.bytes.insert(to_server.bytes.end(), rest.bytes.begin(), rest.bytes.end());
    ASSERT_EQ(server->receive(into).bytes, first.size());
    EXPECT_TRUE(std::ranges::equal(first, Bytes(into).first(first.size())));
    const std::vector<std::byte> data = pattern(60'000, 1);
    piece = {.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()};
    client->send({&piece, 1});
    ASSERT_EQ(server->receive(into).bytes, data.size());
    EXPECT_TRUE(std::ranges::equal(data, Bytes(into).first(data.size())));
    EXPECT_GT(below_server.asked_max, TlsStream::read_buffer_bytes - 64);
}

// A partial send must mean that the socket is full, or nobody would come back.
TEST(TlsStream, SendsAllWhileThereIsRoom) {
    Streams streams;
    const std::vector<std::byte> data = pattern(900'000, 1);
    const iovec piece{.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()};
    const env::Transfer transfer = streams.client->send({&piece, 1});
    EXPECT_EQ(transfer.bytes, data.size());
}

// What was encrypted is out of the caller's hands, but for one byte that brings it back.
TEST(TlsStream, AsksToBeCalledAgainForWhatTheSocketDidNotTake) {
    Streams streams;
    streams.to_server.room = 100;
    const std::vector<std::byte> data = pattern(5000, 1);
    iovec piece{.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()};
    EXPECT_EQ(streams.client->send({&piece, 1}).bytes, data.size() - 1);
    piece = {.iov_base = const_cast<std::byte*>(data.data() + data.size() - 1), .iov_len = 1};
    EXPECT_EQ(streams.client->send({&piece, 1}).state, env::Transfer::State::would_block);
    std::vector<std::byte> into(10'000);
    EXPECT_EQ(streams.server->receive(into).state, env::Transfer::State::would_block);
    streams.to_server.room = 1 << 20;
    EXPECT_EQ(streams.client->send({&piece, 1}).bytes, 1U);
    EXPECT_EQ(streams.server->receive(into).bytes, data.size());
    into.resize(data.size());
    EXPECT_TRUE(into == data);
}

TEST(TlsStream, EndsWithAndWithoutCloseNotify) {
    for (const bool is_polite : {true, false}) {
        Streams streams;
        const std::string_view text = "the last words";
        const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
        EXPECT_EQ(streams.client->send({&piece, 1}).bytes, text.size());
        if (is_polite) {
            streams.client->shutdown_send();
        } else {
            streams.to_server.is_ended = true;
        }
        std::vector<std::byte> into(100);
        EXPECT_EQ(streams.server->receive(into).bytes, text.size());
        EXPECT_EQ(streams.server->receive(into).state, env::Transfer::State::end);
        EXPECT_EQ(streams.server->receive(into).state, env::Transfer::State::end);
    }
}

TEST(TlsStream, FailsOnAChangedByte) {
    for (size_t at = 0; at < 122; at += 11) {
        Streams streams;
        const std::vector<std::byte> data = pattern(100, 1);
        const iovec piece{.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()};
        EXPECT_EQ(streams.client->send({&piece, 1}).bytes, data.size());
        ASSERT_EQ(streams.to_server.bytes.size(), 122U);
        streams.to_server.bytes[at] ^= std::byte{1};
        std::vector<std::byte> into(200);
        // A length that was changed makes it wait for more.
        const env::Transfer first = streams.server->receive(into);
        EXPECT_EQ(first.bytes, 0U);
        if (at > 4) EXPECT_EQ(first.state, env::Transfer::State::failed) << at;
    }
}

// The client's library, to say what an honest one does not.
SSL* library_of(env::Stream& stream) { return static_cast<TlsStream&>(stream).library_for_tests(); }

TEST(TlsStream, TakesNewKeysNowAndThen) {
    Streams streams;
    std::vector<std::byte> into(100);
    for (int round = 0; round < 10; ++round) {
        ASSERT_EQ(SSL_key_update(library_of(*streams.client), SSL_KEY_UPDATE_REQUESTED), 1);
        const std::string_view text = "after new keys";
        const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
        ASSERT_EQ(streams.client->send({&piece, 1}).bytes, text.size());
        ASSERT_EQ(streams.server->receive(into).bytes, text.size());
        ASSERT_EQ(streams.server->send({&piece, 1}).bytes, text.size());
        ASSERT_EQ(streams.client->receive(into).bytes, text.size());
    }
}

TEST(TlsStream, EndsWithAPeerThatChangesKeysAllTheTime) {
    Streams streams;
    std::vector<std::byte> into(100);
    const std::string_view text = "x";
    const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    bool is_lost = false;
    for (int round = 0; round < 100 && !is_lost; ++round) {
        ASSERT_EQ(SSL_key_update(library_of(*streams.client), SSL_KEY_UPDATE_REQUESTED), 1);
        if (streams.client->send({&piece, 1}).state == env::Transfer::State::failed) break;
        is_lost = streams.server->receive(into).state == env::Transfer::State::failed;
    }
    EXPECT_TRUE(is_lost);
}

}  // namespace
}  // namespace weft::net
