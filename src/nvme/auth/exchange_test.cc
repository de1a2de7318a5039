// Both sides of DH-HMAC-CHAP against each other, and each field of each message wrong.
#include <gtest/gtest.h>

#include <functional>

#include "nvme/auth/test_exchange.h"

namespace weft::nvme::auth {
namespace {

using State = ControllerSide::State;

// The reason that the controller tells, in a Failure1; nullopt when it sent something else.
std::optional<Reason> refusal(const std::vector<std::byte>& message) {
    if (message.size() != sizeof(Failure)) return std::nullopt;
    const auto failure = load<Failure>(message);
    if (failure.header.id != MessageId::failure1 || failure.header.type != MessageType::common) return std::nullopt;
    EXPECT_EQ(failure.code, 1);
    return failure.reason;
}

TEST(AuthExchangeTest, EveryHashAndGroupWorksOneWayAndBothWays) {
    for (const Hash hash : all_hashes) {
        for (const Group group : all_groups) {
            for (const bool both_ways : {false, true}) {
                SCOPED_TRACE(std::string(name_of(hash)) + " " + std::string(name_of(group)));
                TestExchange exchange;
                exchange.host_offers = {.hashes = 1U << static_cast<uint8_t>(hash),
                                        .groups = 1U << static_cast<uint8_t>(group)};
                if (both_ways) {
                    exchange.controller_key = Key{1, test_secret(32, 77)};
                    exchange.known_controller_key = Key{1, test_secret(32, 77)};
                }
                const auto done = exchange.run();
                EXPECT_TRUE(done) << describe(done.error());
                EXPECT_EQ(exchange.controller.state(), State::completed);
                EXPECT_EQ(exchange.controller.hash(), hash);
                EXPECT_EQ(exchange.controller.group(), group);
            }
        }
    }
}

TEST(AuthExchangeTest, TheStrongestThatBothTakeIsChosen) {
    TestExchange exchange;
    exchange.controller_allows = {.hashes = 0b0110, .groups = 0b000111};
    ASSERT_TRUE(exchange.run());
    EXPECT_EQ(exchange.controller.hash(), Hash::sha384);
    EXPECT_EQ(exchange.controller.group(), Group::ffdhe3072);
}

TEST(AuthExchangeTest, NothingInCommonIsSaidSo) {
    TestExchange exchange;
    exchange.controller_allows = {.hashes = 0b1000, .groups = 0b111111};
    exchange.host_offers = {.hashes = 0b0010, .groups = 0b111111};
    EXPECT_EQ(exchange.run().error(), Reason::hash_not_usable);
    EXPECT_TRUE(exchange.host.is_refused());
    exchange.controller_allows = {.hashes = 0b1110, .groups = 0b000010};
    exchange.host_offers = {.hashes = 0b1110, .groups = 0b000001};
    EXPECT_EQ(exchange.run().error(), Reason::group_not_usable);
    EXPECT_EQ(exchange.controller.state(), State::failed);
}

TEST(AuthExchangeTest, AWrongKeyIsRefused) {
    TestExchange exchange;
    exchange.host_key = Key{0, test_secret(32, 2)};
    EXPECT_EQ(exchange.run().error(), Reason::authentication_failed);
    EXPECT_TRUE(exchange.host.is_refused());
    exchange.host_key = Key{1, test_secret(32, 1)};  // the same secret, but transformed
    EXPECT_EQ(exchange.run().error(), Reason::authentication_failed);
}

TEST(AuthExchangeTest, AControllerWithoutTheRightKeyIsLeft) {
    TestExchange exchange;
    exchange.known_controller_key = Key{0, test_secret(32, 3)};
    EXPECT_EQ(exchange.run().error(), Reason::authentication_failed);  // it has none
    EXPECT_TRUE(exchange.host.is_refused());
    exchange.controller_key = Key{0, test_secret(32, 4)};
    EXPECT_EQ(exchange.run().error(), Reason::authentication_failed);
    EXPECT_FALSE(exchange.host.is_refused());  // the host says so
    EXPECT_EQ(exchange.controller.state(), State::failed);
    EXPECT_EQ(exchange.controller.reason(), Reason::authentication_failed);
}

TEST(AuthExchangeTest, ACompletedOneMayBeFollowedByAnother) {
    TestExchange exchange;
    ASSERT_TRUE(exchange.run());
    exchange.give(exchange.host.negotiate());
    EXPECT_EQ(exchange.controller.state(), State::challenge);
    const auto challenged = exchange.host.read_challenge(exchange.fetch());
    ASSERT_TRUE(challenged);
    exchange.give(exchange.answer(*challenged)->reply);
    exchange.fetch();
    EXPECT_TRUE(exchange.controller.is_completed());
}

TEST(AuthExchangeTest, AReplyIsGoodForItsOwnChallengeOnly) {
    TestExchange exchange;
    ASSERT_TRUE(exchange.run());
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    const auto challenged = exchange.host.read_challenge(exchange.fetch());
    const auto reply = exchange.answer(*challenged)->reply;
    exchange.reset();
    exchange.controller.receive(exchange.host.negotiate());
    const Group group = *exchange.controller.group();
    exchange.controller.challenge_made(make_key_pair(group, test_secret(exponent_size_of(group), 0x11)),
                                       test_secret(size_of(*exchange.controller.hash()), 0xA1).bytes(), 6);
    exchange.fetch();
    exchange.give(reply);
    EXPECT_EQ(refusal(exchange.fetch()), Reason::authentication_failed);
}

// What a host may send in each state, and when it may fetch.
TEST(AuthControllerTest, MessagesOutOfTheirOrderAreRefused) {
    const std::vector<std::byte> negotiate = TestExchange().host.negotiate();
    const std::vector<std::byte> success2 = TestExchange().host.success2();
    const std::vector<std::byte> failure2 = TestExchange().host.failure2(Reason::authentication_failed);
    std::vector<std::byte> reply(sizeof(Reply));
    store(reply, Reply{});
    for (const auto& message : {success2, failure2, reply}) {
        TestExchange exchange;
        exchange.reset();
        exchange.give(message);
        EXPECT_EQ(refusal(exchange.fetch()), Reason::incorrect_message);
    }
    for (const auto& message : {negotiate, success2, failure2, reply}) {  // instead of fetching the challenge
        TestExchange exchange;
        exchange.reset();
        exchange.give(negotiate);
        exchange.give(message);
        EXPECT_EQ(refusal(exchange.fetch()), Reason::incorrect_message);
    }
    for (const auto& message : {negotiate, success2}) {  // instead of a reply
        TestExchange exchange;
        exchange.reset();
        exchange.give(negotiate);
        exchange.fetch();
        exchange.give(message);
        EXPECT_EQ(refusal(exchange.fetch()), Reason::incorrect_message);
    }
    TestExchange early;
    early.reset();
    EXPECT_EQ(refusal(early.fetch()), Reason::incorrect_message);
    TestExchange twice;
    twice.reset();
    twice.give(negotiate);
    twice.fetch();
    EXPECT_EQ(refusal(twice.fetch()), Reason::incorrect_message);
    EXPECT_TRUE(twice.controller.has_failed());
}

TEST(AuthControllerTest, AFailure2EndsIt) {
    TestExchange exchange;
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    exchange.fetch();
    exchange.give(exchange.host.failure2(Reason::hash_not_usable));
    EXPECT_TRUE(exchange.controller.has_failed());
    EXPECT_EQ(exchange.controller.reason(), Reason::hash_not_usable);
}

// What the controller says of a Negotiate that `spoil` has changed.
Reason of_negotiate(const std::function<void(Negotiate&, ProtocolDescriptor&)>& spoil, ptrdiff_t longer = 0) {
    TestExchange exchange;
    exchange.reset();
    std::vector<std::byte> message = exchange.host.negotiate();
    auto negotiate = load<Negotiate>(message);
    auto protocol = load<ProtocolDescriptor>(Bytes(message).subspan(sizeof(Negotiate)));
    spoil(negotiate, protocol);
    store(message, negotiate);
    store(MutableBytes(message).subspan(sizeof(Negotiate)), protocol);
    message.resize(static_cast<size_t>(static_cast<ptrdiff_t>(message.size()) + longer));
    exchange.give(message);
    return refusal(exchange.fetch()).value_or(Reason::none);
}

TEST(AuthControllerTest, EachFieldOfNegotiate) {
    const auto nothing = [](Negotiate&, ProtocolDescriptor&) {};
    EXPECT_EQ(of_negotiate(nothing), Reason::none);
    EXPECT_EQ(of_negotiate(nothing, 1), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate(nothing, -1), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate(nothing, -65), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate(nothing, -70), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate([](auto& n, auto&) { n.header.type = MessageType{2}; }), Reason::incorrect_message);
    EXPECT_EQ(of_negotiate([](auto& n, auto&) { n.header.id = MessageId{9}; }), Reason::incorrect_message);
    for (const int number : {1, 2, 3, 4, 255}) {
        EXPECT_EQ(of_negotiate([&](auto& n, auto&) { n.secure_channel = SecureChannel(number); }),
                  Reason::secure_channel_mismatch);
    }
    EXPECT_EQ(of_negotiate([](auto& n, auto&) { n.protocol_count = 0; }), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate([](auto& n, auto&) { n.protocol_count = 255; }), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.protocol = 2; }), Reason::protocol_not_usable);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.hash_count = 31; }), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.group_count = 31; }), Reason::incorrect_payload);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.hash_count = 0; }), Reason::hash_not_usable);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.group_count = 0; }), Reason::group_not_usable);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.hashes.fill(200); }), Reason::hash_not_usable);
    EXPECT_EQ(of_negotiate([](auto&, auto& p) { p.groups.fill(6); }), Reason::group_not_usable);
}

Reason of_reply(const std::function<void(Reply&, std::vector<std::byte>&)>& spoil, bool both_ways = false) {
    TestExchange exchange;
    exchange.controller_key = Key{0, test_secret(32, 77)};
    if (both_ways) exchange.known_controller_key = Key{0, test_secret(32, 77)};
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    std::vector<std::byte> message = exchange.answer(*exchange.host.read_challenge(exchange.fetch()))->reply;
    auto reply = load<Reply>(message);
    spoil(reply, message);
    store(message, reply);
    exchange.give(message);
    return refusal(exchange.fetch()).value_or(Reason::none);
}

TEST(AuthControllerTest, EachFieldOfReply) {
    const Reason bad = Reason::incorrect_payload;
    EXPECT_EQ(of_reply([](auto&, auto&) {}), Reason::none);
    EXPECT_EQ(of_reply([](auto&, auto&) {}, true), Reason::none);
    EXPECT_EQ(of_reply([](auto&, auto& m) { m.push_back(std::byte{0}); }), bad);
    EXPECT_EQ(of_reply([](auto&, auto& m) { m.pop_back(); }), bad);
    EXPECT_EQ(of_reply([](auto&, auto& m) { m.resize(sizeof(Reply)); }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.header.transaction = 8; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.hash_size = 32; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.hash_size = 255; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.has_challenge = 2; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.has_challenge = 1; }), bad);  // with sequence number 0
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.public_size = 0; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.public_size = 1023; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.public_size = 65535; }), bad);
    EXPECT_EQ(of_reply([](auto& r, auto&) { r.header.id = MessageId::success1; }), Reason::incorrect_message);
    EXPECT_EQ(of_reply([](auto&, auto& m) { std::fill(m.end() - 1024, m.end(), std::byte{0}); }), bad);
    EXPECT_EQ(of_reply([](auto&, auto& m) { m[sizeof(Reply)] ^= std::byte{1}; }), Reason::authentication_failed);
    EXPECT_EQ(of_reply([](auto&, auto& m) { m.back() ^= std::byte{1}; }), Reason::authentication_failed);
    // The controller's own challenge, sent back to it.
    EXPECT_EQ(of_reply(
                  [](auto& r, auto& m) {
                      const Secret own = test_secret(r.hash_size, 0xA0);
                      std::ranges::copy(own.bytes(), m.begin() + sizeof(Reply) + r.hash_size);
                  },
                  true),
              Reason::authentication_failed);
}

TEST(AuthControllerTest, AHostWithoutRoomIsToldSo) {
    TestExchange exchange;
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    EXPECT_EQ(refusal(exchange.fetch(64)), Reason::incorrect_payload);
    exchange.reset();
    EXPECT_TRUE(exchange.fetch(4).empty());
    EXPECT_TRUE(exchange.controller.has_failed());
}

// What the host says of a message of the controller's.
Reason of_challenge(const std::function<void(Challenge&, std::vector<std::byte>&)>& spoil) {
    TestExchange exchange;
    exchange.host_offers = {.hashes = 0b0110, .groups = 0b000110};
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    std::vector<std::byte> message = exchange.fetch();
    auto challenge = load<Challenge>(message);
    spoil(challenge, message);
    if (message.size() >= sizeof(challenge)) store(message, challenge);
    const auto read = exchange.host.read_challenge(message);
    EXPECT_FALSE(exchange.host.is_refused());
    return read ? Reason::none : read.error();
}

TEST(AuthHostTest, EachFieldOfChallenge) {
    const Reason bad = Reason::incorrect_payload;
    EXPECT_EQ(of_challenge([](auto&, auto&) {}), Reason::none);
    EXPECT_EQ(of_challenge([](auto&, auto& m) { m.resize(4096); }), Reason::none);
    EXPECT_EQ(of_challenge([](auto&, auto& m) { m.pop_back(); }), bad);
    EXPECT_EQ(of_challenge([](auto&, auto& m) { m.resize(15); }), bad);
    EXPECT_EQ(of_challenge([](auto&, auto& m) { m.resize(3); }), bad);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.header.transaction = 8; }), bad);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.header.id = MessageId::success1; }), Reason::incorrect_message);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.header.type = MessageType::common; }), Reason::incorrect_message);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.hash = Hash::sha512; }), Reason::hash_not_usable);  // not offered
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.hash = Hash{4}; }), Reason::hash_not_usable);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.group = Group::null; }), Reason::group_not_usable);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.group = Group{200}; }), Reason::group_not_usable);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.hash_size = 32; }), bad);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.public_size = 0; }), bad);
    EXPECT_EQ(of_challenge([](auto& c, auto&) { c.public_size = 0xFFFC; }), bad);
}

TEST(AuthHostTest, AWeakPublicValueIsNotAnswered) {
    TestExchange exchange;
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    auto challenged = exchange.host.read_challenge(exchange.fetch());
    std::ranges::fill(challenged->public_value, std::byte{0});
    EXPECT_EQ(exchange.answer(*challenged).error(), Reason::incorrect_payload);
}

Reason of_success(const std::function<void(Success1&, std::vector<std::byte>&)>& spoil, bool both_ways) {
    TestExchange exchange;
    if (both_ways) exchange.controller_key = Key{0, test_secret(32, 77)};
    if (both_ways) exchange.known_controller_key = Key{0, test_secret(32, 77)};
    exchange.reset();
    exchange.give(exchange.host.negotiate());
    const auto answer = exchange.answer(*exchange.host.read_challenge(exchange.fetch()));
    exchange.give(answer->reply);
    std::vector<std::byte> message = exchange.fetch();
    auto success = load<Success1>(message);
    spoil(success, message);
    if (message.size() >= sizeof(success)) store(message, success);
    const auto read = exchange.host.read_success(message, *answer);
    return read ? Reason::none : read.error();
}

TEST(AuthHostTest, EachFieldOfSuccess1) {
    const Reason bad = Reason::incorrect_payload;
    for (const bool both_ways : {false, true}) {
        EXPECT_EQ(of_success([](auto&, auto&) {}, both_ways), Reason::none);
        EXPECT_EQ(of_success([](auto& s, auto&) { s.header.transaction = 9; }, both_ways), bad);
        EXPECT_EQ(of_success([](auto&, auto& m) { m.resize(10); }, both_ways), bad);
        EXPECT_EQ(of_success([](auto& s, auto&) { s.has_response = 2; }, both_ways), bad);
        EXPECT_EQ(of_success([](auto& s, auto&) { s.header.id = MessageId::success2; }, both_ways),
                  Reason::incorrect_message);
    }
    EXPECT_EQ(of_success([](auto& s, auto&) { s.has_response = 0; }, true), bad);
    EXPECT_EQ(of_success([](auto& s, auto&) { s.hash_size = 16; }, true), bad);
    EXPECT_EQ(of_success([](auto&, auto& m) { m.pop_back(); }, true), bad);
    EXPECT_EQ(of_success([](auto&, auto& m) { m.back() ^= std::byte{1}; }, true), Reason::authentication_failed);
}

}  // namespace
}  // namespace weft::nvme::auth
