// A server behind TLS and its clients, in one OS thread: who gets in, what it may, and what happens to the others.
#include <gtest/gtest.h>

#include "base/log.h"
#include "net/connect.h"
#include "net/test_certificates.h"
#include "net/test_rig.h"
#include "rpc/audit_log.h"
#include "rpc/client.h"
#include "rpc/example_methods.h"
#include "rpc/server.h"
#include "rpc/tls_admission.h"

namespace weft::rpc {
namespace {

using net::TestClient;
using net::TestRig;
using net::TlsContext;

class TlsServerTest : public testing::TestWithParam<TestRig::Kind> {
protected:
    TlsServerTest() : rig(GetParam()) {
        log::set_sink([](log::Level, std::string_view) {});
        example::add_example_methods(registry);
        registry.add<NoParams>({.name = "change", .role = Role::operate, .text = "Changes"},
                               [](NoParams) -> Task<Result<Json>> { co_return Json(true); });
        registry.add<NoParams>({.name = "fill", .role = Role::read, .text = "Answers at length"},
                               [](NoParams) -> Task<Result<Json>> { co_return Json(std::string(3'000'000, 'x')); });
        registry.set_state(runtime);
        admission.emplace(server_context(), *Roles::parse("CN=alice operate\nCN=bob read"));
    }
    ~TlsServerTest() override {
        clients.clear();
        if (server != nullptr) rig.wait_for(server->stop());
        server.reset();
        rig.wait_for(admission->stop());
        if (audit != nullptr) rig.wait_for(audit->close());
        registry.set_audit(nullptr);
        log::set_sink(nullptr);
    }
    std::unique_ptr<TlsContext> server_context() {
        return *TlsContext::make(TlsContext::Side::server,
                                 authority.files(authority.issue({.common_name = "t", .alternative = "DNS:target"})),
                                 rig.environment().clock().wall());
    }
    void listen(uint32_t connections_max = 64) {
        auto made = rig.wait_for(Server::listen(
            registry, {.address = rig.path(), .admission = &*admission, .connections_max = connections_max}));
        ASSERT_TRUE(made) << made.error().message;
        server = std::move(*made);
    }
    Result<std::unique_ptr<Client>> connect(const std::string& common_name, const std::string& name = "target") {
        const auto context =
            TlsContext::make(TlsContext::Side::client, authority.files(authority.issue({.common_name = common_name})),
                             rig.environment().clock().wall());
        return rig.wait_for(Client::connect(rig.path(), **context, name));
    }
    TestClient& connect_plain() {
        auto stream = rig.wait_for(net::connect(rig.path(), {}, 10 * env::ns_per_s));
        EXPECT_TRUE(stream) << stream.error().message;
        clients.push_back(std::make_unique<TestClient>(std::move(*stream)));
        return *clients.back();
    }
    Response call(Client& client, const char* method) { return rig.wait_for(client.request(method, Json())); }
    bool pump_until(auto is_done) {
        return rig.run_until([&] {
            for (const auto& client : clients) client->pump();
            return is_done();
        });
    }

    TestRig rig;
    net::TestAuthority authority;
    Registry registry;
    std::optional<TlsAdmission> admission;
    std::unique_ptr<AuditLog> audit;
    std::unique_ptr<Server> server;
    std::vector<std::unique_ptr<TestClient>> clients;
};

INSTANTIATE_TEST_SUITE_P(Real, TlsServerTest, testing::Values(TestRig::Kind::real));
INSTANTIATE_TEST_SUITE_P(Simulated, TlsServerTest, testing::Values(TestRig::Kind::simulated));

// What would take too long by a real clock.
class TlsServerTimeTest : public TlsServerTest {};
INSTANTIATE_TEST_SUITE_P(Simulated, TlsServerTimeTest, testing::Values(TestRig::Kind::simulated));

TEST_P(TlsServerTest, EachGetsWhatItsRoleAllows) {
    listen();
    const auto alice = connect("alice");
    ASSERT_TRUE(alice) << alice.error().message;
    const auto bob = connect("bob");
    const auto mallory = connect("mallory");
    ASSERT_TRUE(bob && mallory);
    EXPECT_EQ(call(**alice, "change"), Response(true));
    EXPECT_EQ(call(**bob, "change").error().code, code::method_not_found);
    EXPECT_EQ(call(**bob, "fill")->get_ref<const std::string&>().size(), 3'000'000U);
    EXPECT_EQ(call(**mallory, "fill").error().code, code::no_role);
    EXPECT_EQ(call(**mallory, "no_such").error().code, code::no_role);
    // What a client may do changes while it is connected.
    admission->replace(server_context(), *Roles::parse("CN=bob operate"));
    EXPECT_EQ(call(**bob, "change"), Response(true));
    EXPECT_EQ(call(**alice, "change").error().code, code::no_role);
}

TEST_P(TlsServerTest, OnlyTheNameThatWasAskedForWillDo) {
    listen();
    const auto client = connect("alice", "other");
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().message, "TLS: the server's certificate is not for other");
}

TEST_P(TlsServerTest, ChangesAndRefusalsAreNoted) {
    const std::string path = rig.path().host + ".audit";
    auto made = rig.wait_for(AuditLog::open(path));
    ASSERT_TRUE(made) << made.error().message;
    audit = std::move(*made);
    registry.set_audit(audit.get());
    listen();
    const auto alice = connect("alice");
    const auto bob = connect("bob");
    const auto mallory = connect("mallory");
    ASSERT_TRUE(alice && bob && mallory);
    for (const auto& [who, method] :
         {std::pair(&alice, "change"), {&alice, "fill"}, {&bob, "change"}, {&mallory, "fill"}}) {
        static_cast<void>(call(***who, method));  // "fill" only asks
    }
    rig.wait_for(audit->settle());
    const std::string text = *rig.environment().files().read_all(path, 10'000);
    ASSERT_EQ(std::ranges::count(text, '\n'), 3) << text;
    std::vector<Json> lines;
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
        lines.push_back(*parse_json(text.substr(at, text.find('\n', at) - at)));
    }
    const auto is = [&lines](size_t at, const char* who, const char* role, const char* method, int code) {
        EXPECT_EQ(lines[at]["who"], who);
        EXPECT_EQ(lines[at]["role"], role);
        EXPECT_EQ(lines[at]["method"], method);
        EXPECT_EQ(lines[at]["code"], code);
    };
    is(0, "CN=alice", "operate", "change", 0);
    is(1, "CN=bob", "read", "change", code::method_not_found);
    is(2, "CN=mallory", "none", "fill", code::no_role);
}

TEST_P(TlsServerTest, PlainTextIsRefused) {
    listen();
    TestClient& client = connect_plain();
    client.send(R"({"jsonrpc":"2.0","id":1,"method":"fill"})");
    EXPECT_TRUE(pump_until([&] { return client.is_ended; }));
    EXPECT_EQ(client.received.find("jsonrpc"), std::string::npos);
    EXPECT_EQ(call(**connect("bob"), "fill").has_value(), true);
}

TEST_P(TlsServerTimeTest, WhoDoesNotFinishTheHandshakeIsCut) {
    listen();
    TestClient& silent = connect_plain();
    TestClient& slow = connect_plain();
    slow.send("\x16\x03\x01");
    const env::TimeNs begin = rig.environment().clock().now();
    EXPECT_TRUE(pump_until([&] { return silent.is_ended && slow.is_ended; }));
    const env::TimeNs took = rig.environment().clock().now() - begin;
    EXPECT_GE(took, 9 * env::ns_per_s);
    EXPECT_LT(took, 14 * env::ns_per_s);
}

// Half a request, and then the end: said so, it is answered; cut, it is not, since nobody knows whether there was more.
TEST_P(TlsServerTest, AnEndThatNobodySaidIsNone) {
    listen();
    const auto context =
        TlsContext::make(TlsContext::Side::client, authority.files(authority.issue({.common_name = "bob"})),
                         rig.environment().clock().wall());
    for (const bool is_said : {true, false}) {
        TestClient& raw = connect_plain();
        net::TlsCore core(**context, rig.environment().clock().wall(), "target");
        std::string answer;
        const auto talk = [&] {
            core.feed(bytes_of(std::string_view(raw.received)));
            raw.received.clear();
            core.handshake();
            std::array<std::byte, 1000> piece;
            while (const size_t count = core.read(piece)) answer += text_of(Bytes(piece).first(count));
            raw.send(core.take_output());
            raw.pump();
        };
        ASSERT_TRUE(rig.run_until([&] {
            talk();
            return core.state() == net::TlsCore::State::open && raw.has_sent_all();
        }));
        core.write(R"({"jsonrpc":"2.0","id":1,"meth)");
        if (is_said) core.end();
        talk();
        ASSERT_TRUE(raw.has_sent_all());
        raw.end_sending();
        ASSERT_TRUE(rig.run_until([&] {
            talk();
            return raw.is_ended;
        }));
        talk();  // what came together with the end
        EXPECT_EQ(answer.find("-32700") != std::string::npos, is_said) << answer;
        EXPECT_EQ(answer.empty(), !is_said);
    }
}

TEST_P(TlsServerTest, StrangersMakeRoomForThoseWhoAreKnown) {
    listen(4);
    for (int count = 0; count < 12; ++count) connect_plain();
    const auto bob = connect("bob");
    ASSERT_TRUE(bob) << bob.error().message;
    EXPECT_TRUE(call(**bob, "fill"));
}

TEST_P(TlsServerTest, AServerStopsWhileHandshakesGoOn) {
    listen();
    connect_plain().send("\x16\x03\x01\x02\x00\x01");
    const auto bob = connect("bob");
    ASSERT_TRUE(bob);
    rig.wait_for(server->stop());
    EXPECT_TRUE(pump_until([&] { return clients[0]->is_ended && !(*bob)->is_connected(); }));
}

TEST_P(TlsServerTest, AClientThatVanishesDisturbsNobody) {
    listen();
    {
        const auto gone = connect("alice");
        ASSERT_TRUE(gone);
    }
    TestClient& half = connect_plain();
    half.send("\x16\x03\x01\x02\x00\x01");
    half.pump();
    half.close();
    EXPECT_TRUE(call(**connect("bob"), "fill"));
    EXPECT_TRUE(rig.run_until([this] { return server->connection_count() <= 1; }));
}

}  // namespace
}  // namespace weft::rpc
