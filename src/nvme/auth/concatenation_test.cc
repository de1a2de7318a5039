// An exchange that makes a key for TLS: what it may use, what each side makes of it, and who may ask for one.
#include <gtest/gtest.h>

#include "nvme/auth/test_exchange.h"

namespace weft::nvme::auth {
namespace {

constexpr SecureChannelPolicy takes_new{.allows_new = true};

TestExchange exchange_for(SecureChannel channel, SecureChannelPolicy policy) {
    TestExchange exchange;
    exchange.policy = policy;
    exchange.channel = channel;
    return exchange;
}

void use_both_ways(TestExchange& exchange) {
    exchange.controller_key = Key{1, test_secret(32, 77)};
    exchange.known_controller_key = Key{1, test_secret(32, 77)};
}

Reason outcome_of(SecureChannel channel, SecureChannelPolicy policy) {
    TestExchange exchange = exchange_for(channel, policy);
    const auto done = exchange.run();
    return done ? Reason::none : done.error();
}

TEST(ConcatenationTest, BothSidesMakeTheSameKey) {
    for (const Hash hash : {Hash::sha256, Hash::sha384}) {
        for (const Group group : {Group::ffdhe2048, Group::ffdhe3072}) {
            for (const bool both_ways : {false, true}) {
                TestExchange exchange = exchange_for(SecureChannel::new_psk, takes_new);
                exchange.host_offers = {.hashes = 1U << static_cast<uint8_t>(hash),
                                        .groups = 1U << static_cast<uint8_t>(group)};
                if (both_ways) use_both_ways(exchange);
                ASSERT_TRUE(exchange.run());
                ASSERT_TRUE(exchange.controller.is_completed());
                const auto generated = exchange.controller.take_generated();
                ASSERT_TRUE(generated && exchange.generated);
                EXPECT_EQ(*generated, *exchange.generated);
                EXPECT_EQ(generated->size(), size_of(hash));
                EXPECT_FALSE(exchange.controller.take_generated());  // once
            }
        }
    }
}

TEST(ConcatenationTest, WithoutItThereIsNoKey) {
    TestExchange exchange = exchange_for(SecureChannel::none, takes_new);
    ASSERT_TRUE(exchange.run());
    EXPECT_FALSE(exchange.controller.take_generated());
    EXPECT_FALSE(exchange.generated);
}

TEST(ConcatenationTest, OnlyWhatThePolicyTakes) {
    const Reason mismatch = Reason::secure_channel_mismatch;
    const SecureChannelPolicy replaces{.allows_replace = true};
    const SecureChannelPolicy demands{.allows_new = true, .is_demanded = true};
    EXPECT_EQ(outcome_of(SecureChannel::new_psk, {}), mismatch);
    EXPECT_EQ(outcome_of(SecureChannel::replace_psk, {}), mismatch);
    EXPECT_EQ(outcome_of(SecureChannel::replace_psk, takes_new), mismatch);
    EXPECT_EQ(outcome_of(SecureChannel::new_psk, replaces), mismatch);
    EXPECT_EQ(outcome_of(SecureChannel::replace_psk, replaces), Reason::none);
    EXPECT_EQ(outcome_of(SecureChannel::none, takes_new), Reason::none);
    EXPECT_EQ(outcome_of(SecureChannel::none, demands), mismatch);
    EXPECT_EQ(outcome_of(SecureChannel::new_psk, demands), Reason::none);
}

// A cipher suite's hashes, and a group that gives a session key.
TEST(ConcatenationTest, WeakOrUnfitChoicesAreNotMade) {
    TestExchange exchange = exchange_for(SecureChannel::new_psk, takes_new);
    ASSERT_TRUE(exchange.run());
    EXPECT_EQ(exchange.controller.hash(), Hash::sha384);  // both take SHA-512, too
    // A host that offers what it may not (8.3.4.5.2 of 2.1), as Linux before 6.19 does.
    const auto answer_to = [](uint32_t hashes, uint32_t groups) {
        TestExchange other = exchange_for(SecureChannel::none, takes_new);
        other.host_offers = {.hashes = hashes, .groups = groups};
        other.reset();
        std::vector<std::byte> message = other.host.negotiate();
        message[offsetof(Negotiate, secure_channel)] = static_cast<std::byte>(SecureChannel::new_psk);
        other.give(message);
        if (other.controller.state() == ControllerSide::State::challenge) {
            EXPECT_NE(other.controller.group(), Group::null);
            EXPECT_NE(other.controller.hash(), Hash::sha512);
        }
        return other.controller.reason();
    };
    EXPECT_EQ(answer_to(0b1110, 0b000011), Reason::none);
    EXPECT_EQ(answer_to(0b1110, 0b000001), Reason::secure_channel_mismatch);
    EXPECT_EQ(answer_to(0b1110, 0b000000), Reason::group_not_usable);
    EXPECT_EQ(answer_to(0b1000, 0b000010), Reason::hash_not_usable);
}

struct Nothing {
    void operator()(HostSide::Challenged&) const {}
    void operator()(Reply&) const {}
};
struct WithoutChallenge : Nothing {
    using Nothing::operator();
    void operator()(Reply& reply) const { reply.has_challenge = 0; }
};
struct WithoutSequence : Nothing {
    using Nothing::operator();
    void operator()(Reply& reply) const { reply.sequence = 0; }
};
struct OtherChannel : Nothing {
    using Nothing::operator();
    void operator()(HostSide::Challenged& challenged) const { challenged.secure_channel = SecureChannel::replace_psk; }
};

// What a Reply must have then: C2, with S2 or without; and the response is another one without SC_C in it.
TEST(ConcatenationTest, EachFieldOfReply) {
    const auto of_reply = [](bool both_ways, auto spoil) {
        TestExchange exchange = exchange_for(SecureChannel::new_psk, takes_new);
        if (both_ways) use_both_ways(exchange);
        exchange.reset();
        exchange.give(exchange.host.negotiate());
        auto challenged = *exchange.host.read_challenge(exchange.fetch());
        spoil(challenged);
        std::vector<std::byte> message = exchange.answer(challenged)->reply;
        auto reply = load<Reply>(message);
        spoil(reply);
        store(message, reply);
        exchange.give(message);
        EXPECT_EQ(exchange.controller.state() == ControllerSide::State::success1,
                  exchange.controller.reason() == Reason::none);
        if (exchange.controller.reason() != Reason::none) EXPECT_FALSE(exchange.controller.take_generated());
        return exchange.controller.reason();
    };
    for (const bool both_ways : {false, true}) {
        EXPECT_EQ(of_reply(both_ways, Nothing()), Reason::none);
        EXPECT_EQ(of_reply(both_ways, WithoutChallenge()), Reason::incorrect_payload);
        EXPECT_EQ(of_reply(both_ways, OtherChannel()), Reason::authentication_failed);
    }
    EXPECT_EQ(of_reply(true, WithoutSequence()), Reason::none);  // then it is one way
}

TEST(ConcatenationTest, AKeyOfAFailedExchangeIsGone) {
    TestExchange exchange = exchange_for(SecureChannel::new_psk, takes_new);
    use_both_ways(exchange);
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    exchange.give(exchange.answer(*exchange.host.read_challenge(exchange.fetch()))->reply);
    exchange.fetch();
    ASSERT_EQ(exchange.controller.state(), ControllerSide::State::success2);
    exchange.give(exchange.host.failure2(Reason::authentication_failed));
    EXPECT_FALSE(exchange.controller.take_generated());
    // Nor does one that follows find it.
    TestExchange again = exchange_for(SecureChannel::new_psk, takes_new);
    ASSERT_TRUE(again.run());
    again.give(again.host.negotiate());
    EXPECT_FALSE(again.controller.take_generated());
}

}  // namespace
}  // namespace weft::nvme::auth
