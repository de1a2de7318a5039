// Two cores that talk to each other through memory.
#include "net/tls.h"

#include <gtest/gtest.h>

#include "net/test_certificates.h"

namespace weft::net {
namespace {

using State = TlsCore::State;
constexpr env::TimeNs now = 1'800'000'000 * env::ns_per_s;

class TlsTest : public testing::Test {
protected:
    std::unique_ptr<TlsContext> context(TlsContext::Side side, const TlsFiles& files) {
        auto made = TlsContext::make(side, files, now);
        EXPECT_TRUE(made) << made.error().message;
        return std::move(*made);
    }
    std::unique_ptr<TlsContext> server_context() {
        return context(TlsContext::Side::server, authority.files(authority.issue(server_subject)));
    }
    std::unique_ptr<TlsContext> client_context(const TestSubject& subject = {.common_name = "alice"}) {
        return context(TlsContext::Side::client, authority.files(authority.issue(subject)));
    }
    std::string refusal(const TlsFiles& files, TlsContext::Side side = TlsContext::Side::server) {
        auto made = TlsContext::make(side, files, now);
        EXPECT_FALSE(made);
        return made ? "" : made.error().message;
    }
    // Both sides until nobody says anything more; `piece` bytes at a time.
    static void talk(TlsCore& client, TlsCore& server, size_t piece = SIZE_MAX) {
        for (bool is_news = true; is_news;) {
            is_news = false;
            for (auto [from, to] : {std::pair(&client, &server), std::pair(&server, &client)}) {
                from->handshake();
                for (std::string bytes = from->take_output(); !bytes.empty();) {
                    is_news = true;
                    to->feed(bytes_of(std::string_view(bytes).substr(0, piece)));
                    to->handshake();
                    bytes.erase(0, piece);
                }
            }
        }
    }
    static std::string read_all(TlsCore& core) {
        std::string text;
        std::array<std::byte, 100> bytes;
        while (const size_t count = core.read(bytes)) text += text_of(Bytes(bytes).first(count));
        return text;
    }
    // What both sides say of a handshake: client, server.
    std::pair<std::string, std::string> outcome(const TlsContext& client_side, const TlsContext& server_side,
                                                std::string_view name = "target.example", env::TimeNs wall = now) {
        TlsCore client(client_side, wall, name);
        TlsCore server(server_side, wall);
        talk(client, server);
        read_all(client);  // with TLS 1.3 the server's objection comes after the client is done
        read_all(server);
        return {client.error().message, server.error().message};
    }

    TestAuthority authority;
    TestSubject server_subject = {
        .common_name = "target", .alternative = "DNS:target.example,IP:192.0.2.7,IP:fe80::1", .usage = "serverAuth"};
};

TEST_F(TlsTest, BothSidesKnowEachOtherAndTextPasses) {
    const auto server_side = server_context();
    const auto client_side = client_context(
        {.common_name = "alice", .alternative = "DNS:Gate.Example,URI:urn:weft:alice", .usage = "clientAuth"});
    TlsCore client(*client_side, now, "target.example");
    TlsCore server(*server_side, now);
    talk(client, server);
    ASSERT_EQ(server.state(), State::open) << server.error().message;
    ASSERT_EQ(client.state(), State::open) << client.error().message;
    EXPECT_EQ(server.protocol(), "TLSv1.3");
    EXPECT_EQ(server.peer().common_name, "alice");
    EXPECT_EQ(server.peer().dns_names, std::vector<std::string>{"gate.example"});
    EXPECT_EQ(server.peer().uris, std::vector<std::string>{"urn:weft:alice"});
    EXPECT_EQ(client.peer().common_name, "target");

    client.write("a question");
    talk(client, server);
    EXPECT_EQ(read_all(server), "a question");
    const std::string answer(300'000, 'x');
    server.write(answer);
    const std::string bytes = server.take_output();
    EXPECT_EQ(bytes.find("xxxx"), std::string::npos);
    client.feed(bytes_of(std::string_view(bytes)));
    EXPECT_EQ(read_all(client), answer);

    client.end();
    talk(client, server);
    EXPECT_EQ(read_all(server), "");
    EXPECT_EQ(server.state(), State::ended);
    server.write("still there");
    talk(client, server);
    server.end();
    talk(client, server);
    EXPECT_EQ(read_all(client), "still there");
    EXPECT_EQ(client.state(), State::ended);
}

TEST_F(TlsTest, TheSameInPiecesOfEverySize) {
    const auto server_side = server_context();
    const auto client_side = client_context();
    for (const size_t piece : {1U, 2U, 3U, 5U, 7U, 64U, 1000U}) {
        TlsCore client(*client_side, now, "target.example");
        TlsCore server(*server_side, now);
        talk(client, server, piece);
        ASSERT_EQ(server.state(), State::open) << piece;
        client.write("hello");
        talk(client, server, piece);
        EXPECT_EQ(read_all(server), "hello");
    }
}

// A byte that is wrong, anywhere in what the client says: the handshake fails, or what is read is what was written.
TEST_F(TlsTest, NoByteOfAHandshakeCanBeChanged) {
    const auto server_side = server_context();
    const auto client_side = client_context();
    size_t refused = 0;
    for (size_t at = 0; at < 3000; at += 37) {
        TlsCore client(*client_side, now, "target.example");
        TlsCore server(*server_side, now);
        size_t sent = 0;
        for (int round = 0; round < 6; ++round) {
            client.handshake();
            if (round == 4 && client.state() == State::open) client.write("hello");
            std::string bytes = client.take_output();
            if (at >= sent && at < sent + bytes.size()) bytes[at - sent] = static_cast<char>(bytes[at - sent] ^ 0x20);
            sent += bytes.size();
            server.feed(bytes_of(std::string_view(bytes)));
            server.handshake();
            client.feed(bytes_of(std::string_view(server.take_output())));
        }
        const std::string text = read_all(server);
        EXPECT_TRUE(text.empty() || text == "hello") << at;
        if (server.state() != State::open) ++refused;
        if (text == "hello") EXPECT_EQ(server.peer().common_name, "alice");
    }
    EXPECT_GT(refused, 10U);
}

TEST_F(TlsTest, GarbageAndPlainTextAreNoTls) {
    const auto server_side = server_context();
    for (const std::string& text :
         {std::string("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}"),
          std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(2000, '\xFF'), std::string(2000, '\0')}) {
        TlsCore server(*server_side, now);
        server.feed(bytes_of(std::string_view(text)));
        server.handshake();
        EXPECT_EQ(server.state(), State::failed);
        EXPECT_NE(server.error().message.find("TLS: "), std::string::npos);
        EXPECT_EQ(read_all(server), "");
    }
}

TEST_F(TlsTest, AHandshakeWithoutEndIsCut) {
    const auto server_side = server_context();
    TlsCore server(*server_side, now);
    // Records of a ClientHello that announces far more than comes.
    std::string record("\x16\x03\x01\x40\x00", 5);
    record += std::string("\x01\xFF\xFF\xFF", 4);
    record.resize(5 + 0x4000, 'a');
    for (int count = 0; count < 100 && server.state() == State::handshake; ++count) {
        server.feed(bytes_of(std::string_view(record)));
        server.handshake();
    }
    EXPECT_EQ(server.state(), State::failed);
}

TEST_F(TlsTest, ACutInTheMiddleIsNoEnd) {
    const auto server_side = server_context();
    const auto client_side = client_context();
    TlsCore client(*client_side, now, "target.example");
    TlsCore server(*server_side, now);
    talk(client, server);
    client.write("half of");
    const std::string bytes = client.take_output();
    server.feed(bytes_of(std::string_view(bytes).substr(0, bytes.size() - 1)));
    EXPECT_EQ(read_all(server), "");
    EXPECT_EQ(server.state(), State::open);
    server.feed(bytes_of(std::string_view(bytes).substr(bytes.size() - 1)));
    EXPECT_EQ(read_all(server), "half of");
}

TEST_F(TlsTest, ARecordThatWasChangedEndsIt) {
    const auto server_side = server_context();
    const auto client_side = client_context();
    TlsCore client(*client_side, now, "target.example");
    TlsCore server(*server_side, now);
    talk(client, server);
    client.write("pay 10");
    std::string bytes = client.take_output();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    server.feed(bytes_of(std::string_view(bytes)));
    EXPECT_EQ(read_all(server), "");
    EXPECT_EQ(server.state(), State::failed);
}

TEST_F(TlsTest, WhoIsNotProvedIsRefusedAndToldWhy) {
    const auto server_side = server_context();
    const auto good = client_context();
    EXPECT_EQ(outcome(*good, *server_side), std::pair(std::string(), std::string()));
    EXPECT_EQ(outcome(*good, *server_side, "192.0.2.7").first, "");
    EXPECT_EQ(outcome(*good, *server_side, "fe80::1%eth0").first, "");
    EXPECT_EQ(outcome(*good, *server_side, "192.0.2.8").first, "TLS: the server's certificate is not for 192.0.2.8");
    EXPECT_EQ(outcome(*good, *server_side, "target").first, "TLS: the server's certificate is not for target");

    TestAuthority other("another authority");
    const TestCertificate stranger = other.issue({.common_name = "mallory"});
    TlsFiles files = authority.files(stranger);
    const auto unknown = outcome(*context(TlsContext::Side::client, files), *server_side);
    EXPECT_EQ(unknown.second, "TLS: the client's certificate is from an authority that is not known here");
    EXPECT_EQ(unknown.first, "TLS: the server does not know the authority of our certificate");

    const auto distrusting = context(TlsContext::Side::client, other.files(stranger));
    EXPECT_EQ(outcome(*distrusting, *server_side).first,
              "TLS: the server's certificate is from an authority that is not known here");

    const auto nobody = context(TlsContext::Side::client, authority.files({}));
    const auto bare = outcome(*nobody, *server_side);
    EXPECT_EQ(bare.second, "TLS: the client showed no certificate");
    EXPECT_EQ(bare.first, "TLS: the server wants a certificate, and was shown none");

    const auto a_server = client_context({.common_name = "alice", .usage = "serverAuth"});
    EXPECT_EQ(outcome(*a_server, *server_side).second, "TLS: the client's certificate is not meant for a client");

    const auto brief = client_context({.common_name = "alice", .until_s = 1'800'000'100});
    EXPECT_EQ(outcome(*brief, *server_side).first, "");
    const auto late = outcome(*brief, *server_side, "target.example", now + 200 * env::ns_per_s);
    EXPECT_EQ(late.second, "TLS: the client's certificate has expired");
    EXPECT_EQ(late.first, "TLS: the server says that our certificate has expired");
}

TEST_F(TlsTest, NamesThatCouldDeceiveAreNone) {
    const auto server_side = server_context();
    for (const std::string& name : {std::string("ali\0ce", 6), std::string("al\nice")}) {
        const auto client_side = client_context({.common_name = name});
        TlsCore client(*client_side, now, "target.example");
        TlsCore server(*server_side, now);
        talk(client, server);
        ASSERT_EQ(server.state(), State::open);
        EXPECT_EQ(server.peer().common_name, "");
    }
}

TEST_F(TlsTest, FilesThatAreWrongAreNamed) {
    const TestCertificate good = authority.issue(server_subject);
    const TestCertificate other = authority.issue(server_subject);
    const auto with = [&](auto change) {
        TlsFiles files = authority.files(good);
        change(files);
        return refusal(files);
    };
    const auto starts = [](const std::string& text, std::string_view start) {
        EXPECT_TRUE(text.starts_with(start)) << text;
    };
    starts(with([](TlsFiles& files) { files.certificate.text = "hello"; }), "CERT: no certificate in PEM is in it");
    starts(with([](TlsFiles& files) { files.certificate.text[100] = '!'; }), "CERT: ");
    starts(with([](TlsFiles& files) { files.certificate.text.clear(); }), "CERT: no certificate");
    starts(with([](TlsFiles& files) { files.key.text = "hello"; }), "KEY: no private key in PEM");
    starts(with([&](TlsFiles& files) { files.key.text = other.key; }),
           "KEY: this is not the key of the certificate in CERT");
    starts(with([](TlsFiles& files) { files.authority.text = ""; }), "CA: no certificate");
    starts(with([&](TlsFiles& files) { files.authority.text = good.certificate; }),
           "CA: a certificate in it is not an authority's");
    const TestCertificate old = authority.issue({.until_s = 1'700'000'000});
    starts(refusal(authority.files(old)), "CERT: the certificate expired at 2023-11-14 22:13 UTC");
    const TestCertificate early = authority.issue({.from_s = 1'900'000'000});
    starts(refusal(authority.files(early)), "CERT: the certificate counts only from 2030-");
    starts(refusal(authority.files(old), TlsContext::Side::client), "CERT: the certificate expired");
}

}  // namespace
}  // namespace weft::net
