#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "env/sim/test_pair.h"

namespace weft::sim {
namespace {

using env::Family;
using env::Transfer;
using State = Transfer::State;

std::string random_text(Prng& prng, size_t size) {
    std::string text(size, '\0');
    prng.fill(std::as_writable_bytes(std::span(text)));
    return text;
}

// Both ends send random amounts at random moments and read as they please; returns the trace.
uint64_t exchange_bytes(uint64_t seed, std::vector<std::string>* trace = nullptr) {
    TestPair pair(seed);
    pair.world.record_trace(trace != nullptr);
    pair.connect();
    Prng& prng = pair.world.prng();
    struct Side {
        env::Stream* stream;
        std::string text;
        size_t sent = 0;
        std::string received;
    };
    Side sides[2] = {{.stream = pair.client.get(), .text = random_text(prng, prng.between(1, 300'000))},
                     {.stream = pair.server.get(), .text = random_text(prng, prng.between(1, 300'000))}};
    const auto is_over = [&sides] {
        return sides[0].received.size() == sides[1].text.size() && sides[1].received.size() == sides[0].text.size();
    };
    while (!is_over()) {
        for (Side& side : sides) {
            const size_t left = side.text.size() - side.sent;
            if (left > 0 && prng.coin()) {
                const size_t wanted = prng.between(1, left);
                const Transfer transfer =
                    TestPair::send(*side.stream, std::string_view(side.text).substr(side.sent, wanted));
                EXPECT_NE(transfer.state, State::failed);
                side.sent += transfer.bytes;
                if (side.sent == side.text.size()) side.stream->shutdown_send();
            }
            if (prng.coin()) side.received += TestPair::receive_all(*side.stream);
        }
        pair.world.step();
    }
    EXPECT_EQ(sides[0].received, sides[1].text) << "seed " << seed;
    EXPECT_EQ(sides[1].received, sides[0].text) << "seed " << seed;
    pair.run_to_rest();
    for (const Side& side : sides) {
        Transfer last;
        TestPair::receive_all(*side.stream, &last);
        EXPECT_EQ(last.state, State::end) << "seed " << seed;
    }
    if (trace != nullptr) *trace = pair.world.trace();
    return pair.world.trace_hash();
}

TEST(SimNetwork, DeliversBytesInOrderWhateverTheSegments) {
    for (uint64_t seed = 1; seed <= 200; ++seed) exchange_bytes(seed);
}

TEST(SimNetwork, IsTheSameForTheSameSeed) {
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        std::vector<std::string> first;
        std::vector<std::string> second;
        const uint64_t hash = exchange_bytes(seed, &first);
        EXPECT_EQ(exchange_bytes(seed, &second), hash);
        EXPECT_EQ(first, second);
        hashes.insert(hash);
    }
    EXPECT_EQ(hashes.size(), 20u);
}

TEST(SimNetwork, SplitsWhatWasSentAtOnce) {
    std::set<size_t> sizes;
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        TestPair pair(seed);
        pair.connect();
        TestPair::send(*pair.client, std::string(100, 'x'));
        pair.run_until([&] {
            const size_t size = TestPair::receive_all(*pair.server).size();
            if (size > 0) sizes.insert(size);
            return size > 0;
        });
    }
    EXPECT_TRUE(sizes.contains(1));
    EXPECT_TRUE(sizes.contains(100));
    EXPECT_GT(sizes.size(), 10u);
}

TEST(SimNetwork, SendsAsMuchAsTheWindowHolds) {
    TestPair pair(3, {.network = {.window_bytes_min = 4096, .window_bytes_max = 4096}});
    pair.connect();
    const std::string text(10'000, 'x');
    EXPECT_EQ(TestPair::send(*pair.client, text).bytes, 4096u);
    EXPECT_EQ(TestPair::send(*pair.client, text).state, State::would_block);
    pair.run_to_rest();
    EXPECT_EQ(TestPair::send(*pair.client, text).state, State::would_block);  // arrived, but nobody has read
    EXPECT_EQ(TestPair::receive_all(*pair.server).size(), 4096u);
    EXPECT_EQ(TestPair::send(*pair.client, text).state, State::would_block);  // the news is under way
    pair.run_to_rest();
    EXPECT_EQ(TestPair::send(*pair.client, text).bytes, 4096u);
}

TEST(SimNetwork, AnEndClosedWithUnreadDataResets) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        TestPair pair(seed);
        pair.connect();
        TestPair::send(*pair.client, "request");
        pair.run_to_rest();
        pair.server.reset();
        pair.run_to_rest();
        Transfer last;
        TestPair::receive_all(*pair.client, &last);
        EXPECT_EQ(last.state, State::failed);
        EXPECT_EQ(last.error, Errc::connection_lost);
    }
}

TEST(SimNetwork, AnEndClosedInOrderSaysAllAndEnds) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        TestPair pair(seed);
        pair.connect();
        TestPair::send(*pair.server, "good bye");
        pair.server.reset();
        pair.run_to_rest();
        Transfer last;
        EXPECT_EQ(TestPair::receive_all(*pair.client, &last), "good bye");
        EXPECT_EQ(last.state, State::end);
        // What is sent to it now is answered by a reset.
        EXPECT_EQ(TestPair::send(*pair.client, "still there?").bytes, 12u);
        pair.run_to_rest();
        EXPECT_EQ(TestPair::send(*pair.client, "?").state, State::failed);
        pair.client.reset();
        EXPECT_TRUE(pair.world.connections().empty());
    }
}

TEST(SimNetwork, ResetsBothEndsWhenTold) {
    TestPair pair(5);
    pair.connect();
    TestPair::send(*pair.client, "arrived");
    pair.run_to_rest();
    EXPECT_TRUE(pair.world.reset_connection(*pair.client));
    Transfer last;
    EXPECT_EQ(TestPair::receive_all(*pair.server, &last), "arrived");  // as Linux: what came before is kept
    EXPECT_EQ(last.error, Errc::connection_lost);
    EXPECT_EQ(TestPair::send(*pair.client, "x").state, State::failed);
    EXPECT_FALSE(pair.world.reset_connection(uint64_t{999}));
}

TEST(SimNetwork, CutsAtExactlyTheByte) {
    const std::string text = "0123456789";
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        for (uint64_t bytes = 0; bytes <= text.size(); ++bytes) {
            for (const bool with_reset : {false, true}) {
                TestPair pair(seed);
                pair.connect();
                ASSERT_TRUE(pair.world.cut_after_bytes(*pair.client, bytes, with_reset));
                TestPair::send(*pair.client, text);
                pair.run_to_rest();
                Transfer last;
                EXPECT_EQ(TestPair::receive_all(*pair.server, &last), text.substr(0, bytes));
                EXPECT_EQ(last.state, with_reset ? State::failed : State::end);
                TestPair::receive_all(*pair.client, &last);
                EXPECT_NE(last.state, State::would_block);
                // Without a reset the sender finds out when it sends on.
                TestPair::send(*pair.client, text);
                pair.run_to_rest();
                EXPECT_EQ(TestPair::send(*pair.client, text).state, State::failed);
            }
        }
    }
}

TEST(SimNetwork, HoldsEverythingWhilePausedAndNothingIsLost) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        TestPair pair(seed);
        pair.connect();
        TestPair::send(*pair.client, "before ");
        pair.world.pause_delivery("host", "target");
        TestPair::send(*pair.client, "and after");
        pair.client->shutdown_send();
        pair.run_to_rest();
        EXPECT_EQ(TestPair::receive_all(*pair.server), "");
        pair.world.resume_delivery("target", "host");
        pair.run_to_rest();
        Transfer last;
        EXPECT_EQ(TestPair::receive_all(*pair.server, &last), "before and after");
        EXPECT_EQ(last.state, State::end);
    }
}

TEST(SimNetwork, TimesOutAHalfOpenConnectionWhenAsked) {
    TestPair pair(9);
    pair.connect({.user_timeout_ms = 500});
    pair.world.pause_delivery("host", "target");
    TestPair::send(*pair.client, "anyone?");
    const TimeNs start = pair.world.now();
    pair.run_to_rest();
    Transfer last;
    TestPair::receive_all(*pair.client, &last);
    EXPECT_EQ(last.error, Errc::timed_out);
    EXPECT_EQ(pair.world.now(), start + 500 * env::ns_per_ms);
    TestPair::receive_all(*pair.server, &last);
    EXPECT_EQ(last.state, State::would_block);  // the other end knows nothing
}

TEST(SimNetwork, FaultsByProbability) {
    TestPair refused(1, {.network = {.refuse_probability = 1}});
    auto listener = std::move(*refused.target->network().listen(*env::parse_ip("0.0.0.0", 4420), {}));
    const auto address = refused.world.address_of("target", Family::ipv4, 4420);
    auto stream = std::move(*refused.host->network().connect(address, {}));
    EXPECT_EQ(stream->connected().error().code, Errc::in_progress);
    refused.run_to_rest();
    EXPECT_EQ(stream->connected().error().code, Errc::connection_refused);

    TestPair reset(1, {.network = {.reset_probability = 1}});
    reset.connect();
    TestPair::send(*reset.client, "x");
    reset.run_to_rest();
    EXPECT_EQ(TestPair::send(*reset.client, "x").state, State::failed);

    TestPair flip(1, {.network = {.segmentation = false, .flip_probability = 1}});
    flip.connect();
    TestPair::send(*flip.client, std::string(8, '\0'));
    flip.run_to_rest();
    const std::string got = TestPair::receive_all(*flip.server);
    int ones = 0;
    for (const char byte : got) ones += std::popcount(static_cast<unsigned char>(byte));
    EXPECT_EQ(ones, 1);
}

TEST(SimNetwork, LimitsDescriptors) {
    TestPair pair(1);
    pair.connect();
    pair.world.set_descriptor_limit("target", 2);  // listener and stream
    auto second = pair.host->network().connect(pair.listener->local_address(), {});
    pair.run_to_rest();
    auto accepted = pair.listener->accept();
    ASSERT_FALSE(accepted);
    EXPECT_EQ(accepted.error().code, Errc::too_many);
    EXPECT_EQ(pair.target->network().connect(pair.listener->local_address(), {}).error().code, Errc::too_many);
    EXPECT_EQ(pair.target->files().open("/file", {.create = true}).error().code, Errc::too_many);
    pair.server.reset();
    EXPECT_TRUE(pair.listener->accept());
}

TEST(SimNetwork, MakesRequestsWaitWhenTheQueueIsFull) {
    TestPair pair(1);
    auto listener = std::move(*pair.target->network().listen(*env::parse_ip("10.0.0.1", 1), {.backlog = 2}));
    std::vector<std::unique_ptr<env::Stream>> clients;
    for (int at = 0; at < 3; ++at) {
        clients.push_back(std::move(*pair.host->network().connect(listener->local_address(), {})));
    }
    const auto connected = [&] {
        return std::ranges::count_if(clients, [](const auto& client) { return client->connected().has_value(); });
    };
    pair.run_until([&] { return pair.world.now() > 2 * env::ns_per_s; });
    EXPECT_EQ(connected(), 2);
    ASSERT_TRUE(listener->accept());
    pair.run_until([&] { return connected() == 3; });
    listener.reset();  // those in its queue are reset
    pair.run_to_rest();
    EXPECT_EQ(connected(), 1);
}

TEST(SimNetwork, GivesUpConnectingToNobody) {
    TestPair pair(1);
    auto stream = std::move(*pair.host->network().connect(*env::parse_ip("10.9.9.9", 1), {}));
    pair.run_to_rest();
    EXPECT_EQ(stream->connected().error().code, Errc::timed_out);
    EXPECT_EQ(pair.host->network().listen(*env::parse_ip("10.9.9.9", 1), {}).error().code, Errc::invalid_argument);
}

TEST(SimNetwork, AConnectionGivenUpWhileConnectingIsResetAtTheOtherEnd) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        TestPair pair(seed);
        auto listener = std::move(*pair.target->network().listen(*env::parse_ip("10.0.0.1", 1), {}));
        auto client = std::move(*pair.host->network().connect(listener->local_address(), {}));
        std::unique_ptr<env::Stream> server;
        pair.run_until([&] {
            auto accepted = listener->accept();
            if (accepted) server = std::move(*accepted);
            return server != nullptr;
        });
        client.reset();
        pair.run_to_rest();
        Transfer last;
        TestPair::receive_all(*server, &last);
        EXPECT_TRUE(last.state == State::failed || last.state == State::end);
    }
}

TEST(SimNetwork, KnowsFamiliesWildcardsAndPaths) {
    TestPair pair(1);
    struct Row {
        env::Address listen;
        env::Address connect;
        env::Environment* from = nullptr;
    };
    const env::Address path{.family = Family::unix_path, .host = "/run/weft.sock"};
    const Row rows[] = {
        {*env::parse_ip("0.0.0.0", 0), pair.world.address_of("target", Family::ipv4, 0), pair.host.get()},
        {*env::parse_ip("::", 0), pair.world.address_of("target", Family::ipv6, 0), pair.host.get()},
        {*env::parse_ip("127.0.0.1", 0), *env::parse_ip("127.0.0.1", 0), pair.target.get()},
        {path, path, pair.target.get()},
    };
    for (const Row& row : rows) {
        auto listener = pair.target->network().listen(row.listen, {});
        ASSERT_TRUE(listener) << listener.error().message;
        EXPECT_EQ(pair.target->network().listen((*listener)->local_address(), {}).error().code, Errc::address_in_use);
        env::Address address = row.connect;
        address.port = (*listener)->local_address().port;
        auto client = std::move(*row.from->network().connect(address, {}));
        pair.run_to_rest();
        EXPECT_TRUE(client->connected());
        auto server = (*listener)->accept();
        ASSERT_TRUE(server);
        EXPECT_EQ((*server)->local_address(), address);
        EXPECT_EQ((*server)->peer_address(), client->local_address());
        EXPECT_EQ((*server)->peer_process().has_value(), address.family == Family::unix_path);
    }
    auto other_machine = std::move(*pair.host->network().connect(path, {}));
    EXPECT_EQ(other_machine->connected().error().code, Errc::not_found);
}

TEST(SimNetwork, ACrashIsSilentUntilSomebodySends) {
    TestPair pair(4);
    pair.connect();
    pair.world.crash("target");
    Transfer last;
    pair.run_to_rest();
    TestPair::receive_all(*pair.client, &last);
    EXPECT_EQ(last.state, State::would_block);
    EXPECT_EQ(TestPair::send(*pair.server, "x").state, State::failed);
    pair.server.reset();
    pair.listener.reset();
    pair.target = pair.world.make_environment("target");
    auto again = pair.target->network().listen(pair.world.address_of("target", Family::ipv4, 4420), {});
    EXPECT_TRUE(again);
    TestPair::send(*pair.client, "are you there?");
    pair.run_to_rest();
    TestPair::receive_all(*pair.client, &last);
    EXPECT_EQ(last.error, Errc::connection_lost);
}

TEST(SimWorld, HasTimeAndIdentityOfItsOwn) {
    World world(1, {.wall_epoch = 5000});
    auto first = world.make_environment("first");
    auto second = world.make_environment("second");
    EXPECT_EQ(first->clock().now(), world.now());
    EXPECT_EQ(world.next_event_time(), env::time_never);
    world.advance_to(world.now() + 77);
    EXPECT_EQ(second->clock().now(), first->clock().now());
    EXPECT_EQ(first->clock().wall(), 5000 + world.now());
    EXPECT_NE(first->machine_id(), second->machine_id());
    EXPECT_EQ(first->machine_id(), world.make_environment("first")->machine_id());
    EXPECT_EQ(first->machine_id().size(), 32u);
    EXPECT_EQ(first->network().local_addresses(Family::ipv4).front().host, "10.0.0.1");
    EXPECT_EQ(second->network().local_addresses(Family::ipv6).front().host, "fd00::2");
    int order = 0;
    first->offload({.work = [&order] { EXPECT_EQ(order++, 0); }, .done = [&order] { EXPECT_EQ(order++, 1); }});
    EXPECT_EQ(order, 2);
}

}  // namespace
}  // namespace weft::sim
