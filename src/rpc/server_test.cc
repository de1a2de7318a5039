// Server, sessions and client together, in one OS thread, over the real system and over the simulated one.
#include "rpc/server.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "net/connect.h"
#include "net/test_rig.h"
#include "rpc/client.h"
#include "rpc/example_methods.h"

namespace weft::rpc {

namespace {

using net::TestClient;
using net::TestRig;

struct Sleep {
    uint32_t ms = 0;
    static constexpr auto fields() { return rpc::fields(rpc::required("ms", &Sleep::ms, "How long")); }
};
struct Fill {
    uint32_t bytes = 0;
    static constexpr auto fields() { return rpc::fields(rpc::required("bytes", &Fill::bytes, "How many")); }
};

class ServerTest : public testing::TestWithParam<TestRig::Kind> {
protected:
    ServerTest() : rig(GetParam()) {
        example::add_example_methods(registry);
        registry.add<Sleep>({.name = "sleep", .text = "Sleeps", .states = startup | runtime},
                            [this](const Sleep& params) { return sleep(params.ms); });
        registry.add<Fill>({.name = "fill", .text = "Answers at length", .states = startup | runtime},
                           [](Fill params) -> Task<Result<Json>> { co_return Json(std::string(params.bytes, 'x')); });
    }
    ~ServerTest() override {
        clients.clear();
        if (server != nullptr) rig.wait_for(server->stop());
        server.reset();
        // What was never awaited: calls that the server gave up.
        rig.run_until([this] { return asleep == 0; });
    }
    Task<Result<Json>> sleep(uint32_t ms) {
        ++asleep;
        co_await sleep_for(ms * env::ns_per_ms);
        --asleep;
        ++woken;
        co_return Json(ms);
    }

    void listen(ServerOptions options = {}) {
        options.address = rig.path();
        auto made = rig.wait_for(Server::listen(registry, std::move(options)));
        ASSERT_TRUE(made) << made.error().message;
        server = std::move(*made);
    }
    TestClient& connect() {
        auto stream = rig.wait_for(net::connect(rig.path(), {}, 10 * env::ns_per_s));
        EXPECT_TRUE(stream) << stream.error().message;
        clients.push_back(std::make_unique<TestClient>(std::move(*stream)));
        return *clients.back();
    }
    template <class Done>
    bool pump_until(Done is_done) {
        return rig.run_until([&] {
            for (const auto& client : clients) client->pump();
            return is_done();
        });
    }
    // What arrives until there are `lines` lines.
    std::string receive_lines(TestClient& client, ptrdiff_t lines) {
        EXPECT_TRUE(pump_until([&] { return std::ranges::count(client.received, '\n') >= lines || client.is_ended; }));
        return client.received;
    }

    TestRig rig;
    Registry registry;
    uint32_t asleep = 0;
    uint32_t woken = 0;
    std::unique_ptr<Server> server;
    std::vector<std::unique_ptr<TestClient>> clients;
};

INSTANTIATE_TEST_SUITE_P(Real, ServerTest, testing::Values(TestRig::Kind::real));
INSTANTIATE_TEST_SUITE_P(Simulated, ServerTest, testing::Values(TestRig::Kind::simulated));

std::string request(std::string_view id, std::string_view method, std::string_view params = "{}") {
    std::string text = R"({"jsonrpc":"2.0")";
    if (!id.empty()) text.append(",\"id\":").append(id);
    return text.append(",\"method\":\"").append(method).append("\",\"params\":").append(params).append("}");
}
std::string reply(std::string_view id, std::string_view result) {
    std::string text = R"({"jsonrpc":"2.0","id":)";
    return text.append(id).append(",\"result\":").append(result).append("}\n");
}
bool is_parse_error(std::string_view text) {
    return text.starts_with(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,)");
}

TEST_P(ServerTest, AnswersTwoRequestsOfOneWriteInOrder) {
    listen();
    TestClient& client = connect();
    client.send(request("1", "echo", R"({"value":"a"})") + request("2", "echo", R"({"value":"b"})"));
    EXPECT_EQ(receive_lines(client, 2), reply("1", "\"a\"") + reply("2", "\"b\""));
}

TEST_P(ServerTest, AnswersInTheOrderInWhichCallsEnd) {
    listen();
    TestClient& client = connect();
    client.send(request("1", "sleep", R"({"ms":60})") + request("2", "sleep", R"({"ms":10})") +
                request("3", "echo", R"({"value":1})"));
    EXPECT_EQ(receive_lines(client, 3), reply("3", "1") + reply("2", "10") + reply("1", "60"));
}

TEST_P(ServerTest, ABatchRunsAtOnceAndIsAnsweredTogether) {
    listen();
    TestClient& client = connect();
    client.send("[" + request("1", "sleep", R"({"ms":40})") + "," + request("", "sleep", R"({"ms":50})") + "," +
                request("2", "sleep", R"({"ms":30})") + "]");
    EXPECT_TRUE(pump_until([&] { return asleep == 3; }));
    EXPECT_EQ(receive_lines(client, 1), R"([{"jsonrpc":"2.0","id":1,"result":40},{"jsonrpc":"2.0","id":2,"result":30}])"
                                        "\n");
    EXPECT_EQ(woken, 3U);
}

TEST_P(ServerTest, TakesARequestByteByByte) {
    listen();
    TestClient& client = connect();
    const std::string text = request("1", "echo", R"({"value":"\"}{"})");
    for (const char byte : text) {
        client.send({&byte, 1});
        client.pump();
        rig.run_for(10 * env::ns_per_us);
    }
    EXPECT_EQ(receive_lines(client, 1), reply("1", R"("\"}{")"));
}

TEST_P(ServerTest, GarbageIsAnsweredAndEndsTheConnectionAfterTheRest) {
    listen();
    for (const std::string& garbage :
         {std::string("hello\n"), std::string("POST / HTTP/1.1\r\n\r\n"), std::string("{\"a\":}"),
          std::string(100'000, '['), "\"" + std::string(size_t{2} << 20, 'x')}) {
        TestClient& client = connect();
        client.send(request("1", "sleep", R"({"ms":20})") + garbage + request("2", "echo", R"({"value":2})"));
        EXPECT_TRUE(pump_until([&] { return client.is_ended; }));
        // The call before it is answered too, sooner or later than the garbage.
        const std::string answered = reply("1", "20");
        const size_t at = client.received.find(answered);
        ASSERT_NE(at, std::string::npos) << client.received;
        EXPECT_TRUE(is_parse_error(client.received.erase(at, answered.size()))) << client.received;
        EXPECT_EQ(std::ranges::count(client.received, '\n'), 1);
        client.close();
    }
    EXPECT_TRUE(rig.run_until([&] { return server->connection_count() == 0; }));
}

TEST_P(ServerTest, ScalarsAreInvalidRequests) {
    listen();
    TestClient& client = connect();
    const std::string refusal =
        R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: not an object"}})"
        "\n";
    client.send("true");
    EXPECT_EQ(receive_lines(client, 1), refusal);
    client.send(" 42 " + request("1", "echo", R"({"value":1})"));
    EXPECT_EQ(receive_lines(client, 3), refusal + refusal + reply("1", "1"));
    client.send("42");
    client.pump();
    client.end_sending();
    EXPECT_EQ(receive_lines(client, 4).substr(refusal.size() * 2 + reply("1", "1").size()), refusal);
}

TEST_P(ServerTest, HalfARequestIsNoReasonToDoAnything) {
    listen();
    TestClient& client = connect();
    client.send(R"({"jsonrpc":"2.0","id":1,"meth)");
    EXPECT_TRUE(pump_until([&] { return client.has_sent_all(); }));
    rig.run_for(50 * env::ns_per_ms);
    client.pump();
    EXPECT_EQ(client.received, "");
    EXPECT_FALSE(client.is_ended);
    client.end_sending();
    EXPECT_TRUE(pump_until([&] { return client.is_ended; }));
    EXPECT_TRUE(is_parse_error(client.received));
}

TEST_P(ServerTest, AnswersAClientThatHasEndedItsSide) {
    listen();
    TestClient& client = connect();
    client.send(request("1", "sleep", R"({"ms":30})"));
    EXPECT_TRUE(pump_until([&] { return client.has_sent_all(); }));
    client.end_sending();
    EXPECT_TRUE(pump_until([&] { return client.is_ended; }));
    EXPECT_EQ(client.received, reply("1", "30"));
}

TEST_P(ServerTest, ACallEndsThoughItsClientIsGone) {
    listen();
    TestClient& client = connect();
    client.send(request("1", "sleep", R"({"ms":50})"));
    EXPECT_TRUE(pump_until([&] { return asleep == 1; }));
    client.close();
    EXPECT_TRUE(rig.run_until([&] { return server->connection_count() == 0; }));
    EXPECT_EQ(woken, GetParam() == TestRig::Kind::real ? 0U : woken);
    EXPECT_TRUE(rig.run_until([&] { return woken == 1; }));
    EXPECT_EQ(server->calls_in_flight(), 0U);
    TestClient& next = connect();
    next.send(request("1", "echo", R"({"value":1})"));
    EXPECT_EQ(receive_lines(next, 1), reply("1", "1"));
}

TEST_P(ServerTest, AClientThatDoesNotReadIsNotReadFromAndOthersAreServed) {
    constexpr size_t unsent_bytes_max = size_t{1} << 20;
    constexpr ptrdiff_t call_count = 5'000;
    listen({.unsent_bytes_max = unsent_bytes_max});
    TestClient& client = connect();
    client.is_reading = false;
    for (ptrdiff_t at = 0; at < call_count; ++at) client.send(request("1", "fill", R"({"bytes":1000})"));
    TestClient& other = connect();
    for (int at = 0; at < 50; ++at) {
        other.send(request("1", "echo", R"({"value":1})"));
        receive_lines(other, at + 1);
    }
    rig.run_for(100 * env::ns_per_ms);
    pump_until([] { return true; });
    EXPECT_FALSE(client.has_sent_all());
    client.is_reading = true;
    EXPECT_TRUE(pump_until([&] { return client.received.size() == (reply("1", "").size() + 1002) * call_count; }));
    EXPECT_TRUE(client.has_sent_all());
}

TEST_P(ServerTest, OneConnectionHasABoundedNumberOfCalls) {
    listen({.calls_max = 4});
    TestClient& client = connect();
    for (int at = 0; at < 20; ++at) client.send(request("1", "sleep", R"({"ms":5})"));
    uint32_t most = 0;
    EXPECT_TRUE(pump_until([&] {
        most = std::max(most, asleep);
        return woken == 20;
    }));
    EXPECT_EQ(most, 4U);
    receive_lines(client, 20);
}

TEST_P(ServerTest, ConnectionsAboveTheLimitWaitForOneToEnd) {
    listen({.connections_max = 2});
    TestClient& first = connect();
    connect();
    TestClient& third = connect();
    third.send(request("1", "echo", R"({"value":1})"));
    EXPECT_TRUE(rig.run_until([&] { return server->connection_count() == 2; }));
    rig.run_for(50 * env::ns_per_ms);
    pump_until([] { return true; });
    EXPECT_EQ(third.received, "");
    first.close();
    EXPECT_EQ(receive_lines(third, 1), reply("1", "1"));
}

TEST_P(ServerTest, AClientThatIsIdleMakesRoom) {
    listen({.connections_max = 2, .idle_min = 200 * env::ns_per_ms});
    connect();
    TestClient& second = connect();
    EXPECT_TRUE(rig.run_until([&] { return server->connection_count() == 2; }));
    rig.run_for(150 * env::ns_per_ms);
    second.send(request("1", "echo", R"({"value":1})"));
    EXPECT_EQ(receive_lines(second, 1), reply("1", "1"));
    TestClient& third = connect();
    third.send(request("2", "echo", R"({"value":2})"));
    EXPECT_EQ(receive_lines(third, 1), reply("2", "2"));
    second.send(request("3", "echo", R"({"value":3})"));
    EXPECT_EQ(receive_lines(second, 2), reply("1", "1") + reply("3", "3")) << "the first one was idle for longer";
}

TEST_P(ServerTest, ASecondServerOnAPathIsRefusedAndAThirdAfterTheFirstIsNot) {
    listen();
    const auto second = rig.wait_for(Server::listen(registry, {.address = rig.path()}));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::address_in_use);
    EXPECT_EQ(second.error().message,
              "address in use: another target listens on " + rig.path().host + "; stop it or give another -r");
    TestClient& client = connect();
    client.send(request("1", "echo", R"({"value":1})"));
    EXPECT_EQ(receive_lines(client, 1), reply("1", "1"));

    rig.wait_for(server->stop());
    server.reset();
    listen();
}

TEST_P(ServerTest, StopWaitsForCallsAndTheirAnswers) {
    listen();
    TestClient& client = connect();
    client.send(request("1", "sleep", R"({"ms":30})"));
    EXPECT_TRUE(pump_until([&] { return asleep == 1; }));
    bool is_stopped = false;
    spawn([](Server& stopping, bool& flag) -> Task<void> {
        co_await stopping.stop();
        flag = true;
    }(*server, is_stopped));
    client.send(request("2", "echo", R"({"value":1})"));
    EXPECT_TRUE(pump_until([&] { return is_stopped; }));
    client.pump();
    EXPECT_EQ(client.received, reply("1", "30"));
    EXPECT_EQ(woken, 1U);
    EXPECT_TRUE(pump_until([&] { return client.is_ended; }));
    EXPECT_EQ(server->connection_count(), 0U);
    EXPECT_FALSE(rig.wait_for(net::connect(rig.path(), {}, env::ns_per_s)));
    EXPECT_FALSE(std::filesystem::exists(rig.path().host));
    EXPECT_FALSE(std::filesystem::exists(rig.path().host + ".lock"));
    EXPECT_FALSE(rig.environment().files().read_all(rig.path().host + ".lock", 1));
}

TEST_P(ServerTest, StopDoesNotWaitForever) {
    listen({.stop_timeout = 20 * env::ns_per_ms});
    TestClient& client = connect();
    client.send(request("1", "sleep", R"({"ms":200})"));
    EXPECT_TRUE(pump_until([&] { return asleep == 1; }));
    rig.wait_for(server->stop());
    EXPECT_EQ(woken, 0U);
    EXPECT_EQ(server->calls_in_flight(), 1U);
    server.reset();
    EXPECT_TRUE(pump_until([&] { return client.is_ended; }));
    EXPECT_EQ(client.received, "");
    EXPECT_TRUE(rig.run_until([&] { return woken == 1; }));
}

TEST_P(ServerTest, ListensOnTcpToo) {
    auto made = rig.wait_for(Server::listen(registry, {.address = *env::parse_ip("127.0.0.1", 0)}));
    ASSERT_TRUE(made) << made.error().message;
    server = std::move(*made);
    EXPECT_NE(server->address().port, 0);
    auto client = rig.wait_for(Client::connect(server->address()));
    ASSERT_TRUE(client) << client.error().message;
    EXPECT_EQ(rig.wait_for((*client)->request("echo", {{"value", "tcp"}})), Response(Json("tcp")));
    const auto taken = rig.wait_for(Server::listen(registry, {.address = server->address()}));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Errc::address_in_use);
}

// Clients of every temper, connections that break, stops at any moment: nothing is left over, whatever the seed.
class Weather : public ServerTest {
protected:
    void send_something(TestClient& client, sim::Prng& prng) {
        const std::string texts[] = {request("1", "echo", R"({"value":[1,2,3]})"),
                                     request("2", "sleep", R"({"ms":3})"),
                                     request("", "sleep", R"({"ms":1})"),
                                     request("3", "fill", R"({"bytes":100000})"),
                                     "[" + request("4", "sleep", R"({"ms":2})") + ",5," + request("5", "fail") + "]",
                                     request("6", "echo").substr(0, 20),
                                     "garbage",
                                     "42 "};
        client.send(texts[prng.below(std::size(texts))]);
    }
    void blow(sim::World& world) {
        sim::Prng& prng = world.prng();
        world.options().network.reset_probability = 0.02;
        for (int step = 0; step < 60; ++step) {
            const uint64_t what = prng.below(10);
            if (clients.empty() || what == 0) {
                auto stream = rig.wait_for(net::connect(rig.path(), {}, env::ns_per_s));
                if (stream) clients.push_back(std::make_unique<TestClient>(std::move(*stream)));
                continue;
            }
            TestClient& client = *clients[prng.below(clients.size())];
            if (what == 1) client.is_reading = !client.is_reading;
            if (what == 2) client.end_sending();
            if (what == 3) std::erase_if(clients, [&](const auto& owned) { return owned.get() == &client; });
            if (what > 3) send_something(client, prng);
            pump_until([] { return true; });
            if (prng.chance(0.3)) rig.run_for(prng.below(2 * env::ns_per_ms));
        }
    }
};

INSTANTIATE_TEST_SUITE_P(Seeds, Weather, testing::Values(TestRig::Kind::simulated));

TEST_P(Weather, LeavesNothingBehind) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE(seed);
        listen({.calls_max = 3, .unsent_bytes_max = 200'000});
        rig.world().prng() = sim::Prng(seed);
        blow(rig.world());
        if (seed % 2 == 0) clients.clear();
        rig.wait_for(server->stop());
        EXPECT_EQ(server->connection_count(), 0U);
        EXPECT_EQ(server->calls_in_flight(), 0U);
        EXPECT_EQ(asleep, 0U);
        clients.clear();
        server.reset();
    }
}

class ClientTest : public ServerTest {
protected:
    void SetUp() override {
        listen({.reply_bytes_max = size_t{4} << 20});
        auto made = rig.wait_for(Client::connect(rig.path()));
        ASSERT_TRUE(made) << made.error().message;
        client = std::move(*made);
    }
    std::unique_ptr<Client> client;
};

INSTANTIATE_TEST_SUITE_P(Real, ClientTest, testing::Values(TestRig::Kind::real));
INSTANTIATE_TEST_SUITE_P(Simulated, ClientTest, testing::Values(TestRig::Kind::simulated));

TEST_P(ClientTest, CallsAndHearsOfErrors) {
    EXPECT_EQ(rig.wait_for(client->request("echo", {{"value", {1, 2}}})), Response(Json::array({1, 2})));
    EXPECT_EQ(rig.wait_for(client->request("fail", {{"code", -19}})).error(), RpcError(-19, "as you wish"));
    EXPECT_EQ(rig.wait_for(client->call("fail", {{"code", -19}})).error().code, Errc::no_such_device);
    EXPECT_EQ(rig.wait_for(client->call("echo", nullptr)).error().code, Errc::invalid_argument);
    EXPECT_EQ(rig.wait_for(client->call("no_such", nullptr)).error().message, "Method not found: no_such");
    EXPECT_EQ(rig.wait_for(client->call("rpc_get_methods", Json::object())).value().size(), 11U);
}

TEST_P(ClientTest, CarriesLargeResults) {
    const auto result = rig.wait_for(client->call("fill", {{"bytes", 3'000'000}}));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->get_ref<const std::string&>().size(), 3'000'000U);
    const auto huge = rig.wait_for(client->request("fill", {{"bytes", 5'000'000}}));
    EXPECT_EQ(huge.error(), RpcError(code::internal_error, "the reply is too large"));
}

TEST_P(ClientTest, RunsManyCallsAtATime) {
    std::vector<std::optional<Result<Json>>> results(10);
    for (uint32_t at = 0; at < results.size(); ++at) {
        spawn([](Client& calling, uint32_t ms, std::optional<Result<Json>>& out) -> Task<void> {
            out = co_await calling.call("sleep", {{"ms", ms}});
        }(*client, 30 - 2 * at, results[at]));
    }
    EXPECT_TRUE(rig.run_until(
        [&] { return std::ranges::all_of(results, [](const auto& result) { return result.has_value(); }); }));
    for (uint32_t at = 0; at < results.size(); ++at) EXPECT_EQ(results[at]->value(), Json(30 - 2 * at));
}

TEST_P(ClientTest, TimesOutAndIgnoresTheLateAnswer) {
    const auto late = rig.wait_for(client->call("sleep", {{"ms", 60}}, 10 * env::ns_per_ms));
    EXPECT_EQ(late.error().code, Errc::timed_out);
    EXPECT_EQ(rig.wait_for(client->request("sleep", {{"ms", 80}})), Response(Json(80)));
}

TEST_P(ClientTest, NoticesThatTheServerIsGone) {
    std::optional<Result<Json>> result;
    spawn([](Client& calling, std::optional<Result<Json>>& out) -> Task<void> {
        out = co_await calling.call("sleep", {{"ms", 200}});
    }(*client, result));
    EXPECT_TRUE(rig.run_until([&] { return asleep == 1; }));
    server.reset();
    EXPECT_TRUE(rig.run_until([&] { return result.has_value(); }));
    EXPECT_EQ(result->error().code, Errc::connection_lost);
    EXPECT_FALSE(client->is_connected());
    EXPECT_EQ(rig.wait_for(client->call("echo", nullptr)).error().code, Errc::connection_lost);
}

}  // namespace

}  // namespace weft::rpc
