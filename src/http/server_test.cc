#include "http/server.h"

#include <gtest/gtest.h>

#include "net/connect.h"
#include "net/test_rig.h"

namespace weft::http {
namespace {

using net::TestClient;
using net::TestRig;

class HttpTest : public testing::TestWithParam<TestRig::Kind> {
protected:
    HttpTest() : rig(GetParam()) {}
    void TearDown() override {
        if (server) rig.wait_for(server->stop());
        rig.run_for(env::ns_per_ms);
    }
    void listen(ServerOptions options = {}) {
        options.address = rig.path();
        auto made = Server::listen(std::move(options),
                                   [this](const Request& request, Reply& reply) { return answer(request, reply); });
        ASSERT_TRUE(made) << made.error().message;
        server = std::move(*made);
    }
    Task<void> answer(const Request& request, Reply& reply) {
        ++asked;
        if (request.path == "/long") {
            reply.begin("text/plain");
            for (int at = 0; at < pieces; ++at) {
                if (!co_await reply.write(std::string(1000, 'x'))) {
                    was_cut = true;
                    co_return;
                }
                ++written;
            }
            reply.end();
        } else if (request.path == "/slow") {
            while (!may_go) co_await sleep_for(env::ns_per_ms);
            reply.send(200, "text/plain", "slow");
        } else {
            reply.send(request.path == "/" ? 200 : 404, "text/plain", "<" + request.path + ">");
        }
    }
    TestClient connect() {
        auto stream = rig.wait_for(net::connect(rig.path(), {}, 10 * env::ns_per_s));
        EXPECT_TRUE(stream) << stream.error().message;
        return TestClient(std::move(*stream));
    }
    // Sends, and pumps until what came back contains `wanted`, or the connection has ended.
    std::string ask(TestClient& client, std::string_view text, std::string_view wanted) {
        client.received.clear();
        client.send(text);
        rig.run_until([&] {
            client.pump();
            return client.is_ended || client.received.find(wanted) != std::string::npos;
        });
        return client.received;
    }
    bool ends(TestClient& client) {
        return rig.run_until([&] {
            client.pump();
            return client.is_ended;
        });
    }

    TestRig rig;
    std::unique_ptr<Server> server;
    int asked = 0;
    int pieces = 3;
    int written = 0;
    bool was_cut = false;
    bool may_go = false;
};

INSTANTIATE_TEST_SUITE_P(Real, HttpTest, testing::Values(TestRig::Kind::real));
INSTANTIATE_TEST_SUITE_P(Simulated, HttpTest, testing::Values(TestRig::Kind::simulated));

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_P(HttpTest, AnswersOneRequestAfterAnother) {
    listen();
    TestClient client = connect();
    const std::string first = ask(client, get, "</>");
    EXPECT_TRUE(first.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n")) << first;
    EXPECT_NE(first.find("Content-Security-Policy: default-src 'none'\r\n"), std::string::npos);
    EXPECT_TRUE(ask(client, "GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "</x>").starts_with("HTTP/1.1 404"));
    EXPECT_FALSE(client.is_ended);
    // Without a body, but with the length it would have.
    EXPECT_TRUE(ask(client, "HEAD / HTTP/1.1\r\nHost: 1.2.3.4\r\n\r\n", "\r\n\r\n").find("Content-Length: 3") !=
                std::string::npos);
    EXPECT_EQ(client.received.find("</>"), std::string::npos);
    const std::string last = ask(client, "GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "\n421");
    EXPECT_TRUE(last.starts_with("HTTP/1.1 421 ")) << last;
    EXPECT_TRUE(ends(client));
}

TEST_P(HttpTest, AnswersWhatWasSentAheadInOrder) {
    listen();
    TestClient client = connect();
    std::string many;
    for (int at = 0; at < 50; ++at) many += "GET /" + std::to_string(at) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const std::string answers = ask(client, many, "</49>");
    EXPECT_LT(answers.find("</0>"), answers.find("</1>"));
    EXPECT_LT(answers.find("</48>"), answers.find("</49>"));
    EXPECT_EQ(asked, 50);
}

TEST_P(HttpTest, TakesARequestByteByByte) {
    listen();
    TestClient client = connect();
    for (const char byte : get) {
        client.send({&byte, 1});
        client.pump();
        rig.run_for(env::ns_per_us);
    }
    EXPECT_NE(ask(client, "", "</>").find("</>"), std::string::npos);
}

TEST_P(HttpTest, SendsLongPagesInChunks) {
    listen();
    TestClient client = connect();
    const std::string page = ask(client, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n", "0\r\n\r\n");
    EXPECT_NE(page.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
    EXPECT_NE(page.find("\r\n\r\n3e8\r\nxxx"), std::string::npos);
    EXPECT_FALSE(client.is_ended);
    // HTTP/1.0 knows no chunks: the page ends with the connection.
    TestClient old = connect();
    old.send("GET /long HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(ends(old));
    EXPECT_EQ(old.received.find("chunked"), std::string::npos);
    EXPECT_TRUE(old.received.ends_with(std::string(3000, 'x')));
}

TEST_P(HttpTest, WaitsForWhoDoesNotReadAndDropsHimInTheEnd) {
    listen({.send_timeout = 50 * env::ns_per_ms, .unsent_bytes_max = 10'000});
    pieces = 100'000;
    TestClient client = connect();
    client.is_reading = false;
    client.send("GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.pump();
    EXPECT_TRUE(rig.run_until([&] {
        client.pump();
        return was_cut;
    }));
    EXPECT_LT(written, pieces);
    EXPECT_TRUE(rig.run_until([&] { return server->connection_count() == 0; }));
}

TEST_P(HttpTest, DropsWhoTakesTooLong) {
    listen({.head_timeout = 20 * env::ns_per_ms, .idle_timeout = 40 * env::ns_per_ms});
    TestClient slow = connect();
    EXPECT_TRUE(ask(slow, "GET / HT", "\n408").starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(ends(slow));
    TestClient silent = connect();
    EXPECT_TRUE(ends(silent));
    EXPECT_EQ(silent.received, "");
    TestClient idle = connect();
    ask(idle, get, "</>");
    EXPECT_TRUE(ends(idle));
}

TEST_P(HttpTest, RefusesAndEnds) {
    listen();
    TestClient client = connect();
    const std::string answer = ask(client, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\n405");
    EXPECT_NE(answer.find("Allow: GET, HEAD\r\n"), std::string::npos);
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(ends(client));
    EXPECT_EQ(asked, 0);
}

TEST_P(HttpTest, MakesRoomForNewConnectionsByClosingIdleOnes) {
    listen({.connections_max = 2});
    TestClient first = connect();
    ask(first, get, "</>");
    TestClient second = connect();
    second.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(rig.run_until([&] {
        second.pump();
        return asked == 2;
    }));
    TestClient third = connect();
    EXPECT_NE(ask(third, get, "</>").find("</>"), std::string::npos);
    EXPECT_TRUE(ends(first));
    may_go = true;
    EXPECT_NE(ask(second, "", "slow").find("slow"), std::string::npos);
}

TEST_P(HttpTest, StopsWhileHandlersRun) {
    listen();
    TestClient client = connect();
    client.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(rig.run_until([&] {
        client.pump();
        return asked == 1;
    }));
    Timer timer(rig.thread(), [](void* flag) { *static_cast<bool*>(flag) = true; }, &may_go);
    timer.start_after(5 * env::ns_per_ms);
    rig.wait_for(server->stop());
    EXPECT_TRUE(may_go) << "stop() waits for the handler";
    EXPECT_EQ(server->connection_count(), 0U);
}

}  // namespace
}  // namespace weft::http
