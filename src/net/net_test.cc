#include <gtest/gtest.h>

#include "net/acceptor.h"
#include "net/connect.h"
#include "net/connection.h"
#include "net/test_rig.h"

namespace weft::net {

namespace {

class NetTest : public testing::TestWithParam<TestRig::Kind> {
protected:
    NetTest() : rig(GetParam()) {}

    std::unique_ptr<Acceptor> listen(Acceptor::Accepted accepted) {
        auto acceptor = Acceptor::listen(rig.thread(), rig.path(), {}, std::move(accepted));
        EXPECT_TRUE(acceptor) << acceptor.error().message;
        return std::move(*acceptor);
    }
    std::unique_ptr<env::Stream> connect() {
        auto stream = rig.wait_for(net::connect(rig.path(), {}, 10 * env::ns_per_s));
        EXPECT_TRUE(stream) << stream.error().message;
        return std::move(*stream);
    }
    TestRig rig;
};

INSTANTIATE_TEST_SUITE_P(Real, NetTest, testing::Values(TestRig::Kind::real));
INSTANTIATE_TEST_SUITE_P(Simulated, NetTest, testing::Values(TestRig::Kind::simulated));

TEST_P(NetTest, AcceptsUnlessPaused) {
    size_t accepted = 0;
    const auto acceptor = listen([&accepted](std::unique_ptr<env::Stream>) { ++accepted; });
    const auto first = connect();
    EXPECT_TRUE(rig.run_until([&] { return accepted == 1; }));
    acceptor->pause();
    const auto second = connect();
    rig.run_for(20 * env::ns_per_ms);
    EXPECT_EQ(accepted, 1U);
    acceptor->resume();
    EXPECT_TRUE(rig.run_until([&] { return accepted == 2; }));
}

TEST_P(NetTest, TheCallbackMayPauseAndClose) {
    size_t accepted = 0;
    std::unique_ptr<Acceptor> acceptor;
    acceptor = listen([&](std::unique_ptr<env::Stream>) {
        if (++accepted == 1) acceptor->pause();
        if (accepted == 2) acceptor->close();
    });
    std::vector<std::unique_ptr<env::Stream>> streams;
    acceptor->pause();
    for (int at = 0; at < 3; ++at) streams.push_back(connect());
    acceptor->resume();
    EXPECT_TRUE(rig.run_until([&] { return accepted == 1; }));
    rig.run_for(20 * env::ns_per_ms);
    EXPECT_EQ(accepted, 1U);
    acceptor->resume();
    EXPECT_TRUE(rig.run_until([&] { return accepted == 2; }));
    acceptor->resume();
    EXPECT_FALSE(acceptor->is_accepting());
}

TEST(SimulatedAcceptor, LooksAwayWhenThereAreNoDescriptors) {
    TestRig rig(TestRig::Kind::simulated);
    std::vector<std::unique_ptr<env::Stream>> accepted;
    const auto acceptor =
        Acceptor::listen(rig.thread(), rig.path(), {},
                         [&accepted](std::unique_ptr<env::Stream> stream) { accepted.push_back(std::move(stream)); });
    ASSERT_TRUE(acceptor);
    (*acceptor)->pause();
    std::vector<std::unique_ptr<env::Stream>> clients;
    for (int at = 0; at < 3; ++at) clients.push_back(*rig.wait_for(net::connect(rig.path(), {}, env::ns_per_s)));
    // One descriptor for the listener, three for the clients, one for the first of the accepted.
    rig.world().set_descriptor_limit("machine", 5);
    (*acceptor)->resume();
    EXPECT_TRUE(rig.run_until([&] { return !(*acceptor)->is_accepting(); }));
    EXPECT_EQ(accepted.size(), 1U);

    const env::TimeNs before = rig.world().now();
    rig.world().set_descriptor_limit("machine", 100);
    EXPECT_TRUE(rig.run_until([&] { return accepted.size() == 3; }));
    EXPECT_GE(rig.world().now() - before, 50 * env::ns_per_ms);
}

TEST_P(NetTest, ConnectingToNobodyFails) {
    const auto nobody = rig.wait_for(net::connect(rig.path(), {}, env::ns_per_s));
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().code, Errc::not_found);
}

// Echoes, and notes what happened to it.
class Echo final : public ConnectionUser {
public:
    Echo(Thread& thread, std::unique_ptr<env::Stream> stream) : connection(thread, std::move(stream), *this) {
        EXPECT_TRUE(connection.start());
    }
    void on_received(Bytes bytes) override {
        received += bytes.size();
        if (is_echoing) connection.send(std::string(text_of(bytes)));
        if (text_of(bytes).find("quit") != std::string_view::npos) connection.close_when_sent();
    }
    void on_end() override {
        is_ended = true;
        connection.close_when_sent();
    }
    void on_sent() override { ++sent; }
    void on_closed() override { is_closed = true; }

    Connection connection;
    size_t received = 0;
    size_t sent = 0;
    bool is_echoing = true;
    bool is_ended = false;
    bool is_closed = false;
};

class ConnectionTest : public NetTest {
protected:
    ConnectionTest() {
        acceptor = listen([this](std::unique_ptr<env::Stream> stream) {
            echo = std::make_unique<Echo>(rig.thread(), std::move(stream));
        });
        client = std::make_unique<TestClient>(connect());
        EXPECT_TRUE(rig.run_until([this] { return echo != nullptr; }));
    }
    template <class Done>
    bool pump_until(Done is_done) {
        return rig.run_until([&] {
            client->pump();
            return is_done();
        });
    }
    std::unique_ptr<Acceptor> acceptor;
    std::unique_ptr<Echo> echo;
    std::unique_ptr<TestClient> client;
};

INSTANTIATE_TEST_SUITE_P(Real, ConnectionTest, testing::Values(TestRig::Kind::real));
INSTANTIATE_TEST_SUITE_P(Simulated, ConnectionTest, testing::Values(TestRig::Kind::simulated));

TEST_P(ConnectionTest, CarriesMoreThanAnyBuffer) {
    std::string text;
    for (int at = 0; text.size() < size_t{3} << 20; ++at) text += std::to_string(at) + ",";
    client->send(text);
    EXPECT_TRUE(pump_until([&] { return client->received.size() == text.size(); }));
    EXPECT_EQ(client->received, text);
    EXPECT_EQ(echo->connection.unsent_bytes(), 0U);
    EXPECT_GT(echo->sent, 0U);
}

TEST_P(ConnectionTest, SendsTheRestAfterThePeersEnd) {
    client->send(std::string(1 << 20, 'x'));
    EXPECT_TRUE(pump_until([&] { return client->has_sent_all(); }));
    client->end_sending();
    EXPECT_TRUE(pump_until([&] { return client->is_ended; }));
    EXPECT_EQ(client->received.size(), size_t{1} << 20);
    EXPECT_TRUE(rig.run_until([&] { return echo->is_closed; }));
    EXPECT_TRUE(echo->is_ended);
}

TEST_P(ConnectionTest, ClosingDeliversWhatWasQueuedThoughThePeerGoesOnSending) {
    client->is_reading = false;
    client->send("quit" + std::string(1 << 20, 'x'));
    EXPECT_TRUE(pump_until([&] { return client->has_sent_all(); }));
    client->is_reading = true;
    EXPECT_TRUE(pump_until([&] { return client->is_ended; }));
    EXPECT_EQ(client->received.substr(0, 4), "quit");
    client->close();
    EXPECT_TRUE(rig.run_until([&] { return echo->is_closed; }));
}

TEST_P(ConnectionTest, DoesNotLingerForLong) {
    client->send("quit");
    EXPECT_TRUE(pump_until([&] { return client->is_ended; }));
    EXPECT_FALSE(echo->is_closed);
    EXPECT_TRUE(rig.run_until([&] { return echo->is_closed; }));
}

TEST_P(ConnectionTest, DoesNotReceiveWhilePaused) {
    echo->connection.pause_receiving();
    client->send("hello");
    EXPECT_TRUE(pump_until([&] { return client->has_sent_all(); }));
    rig.run_for(20 * env::ns_per_ms);
    EXPECT_EQ(echo->received, 0U);
    echo->connection.resume_receiving();
    EXPECT_TRUE(pump_until([&] { return client->received == "hello"; }));
}

TEST_P(ConnectionTest, NoticesAPeerThatIsGone) {
    client->close();
    EXPECT_TRUE(rig.run_until([&] { return echo->is_closed; }));
}

TEST_P(ConnectionTest, CloseLosesWhatIsQueued) {
    echo->connection.send("x");
    echo->connection.close();
    EXPECT_FALSE(echo->is_closed);  // never inside the call
    EXPECT_TRUE(rig.run_until([&] { return echo->is_closed; }));
    echo.reset();
    EXPECT_TRUE(pump_until([&] { return client->is_ended; }));
    EXPECT_EQ(client->received, "");
}

TEST_P(ConnectionTest, MayBeDestroyedAtAnyTime) {
    echo->connection.send(std::string(1 << 20, 'x'));
    rig.run_for(env::ns_per_ms);
    echo.reset();
    EXPECT_TRUE(pump_until([&] { return client->is_ended; }));
}

}  // namespace

}  // namespace weft::net
