#include "nvme/auth/controller_side.h"

#include <algorithm>
#include <utility>

namespace weft::nvme::auth {

namespace {

std::vector<std::byte> copy_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// The strongest that both take: those that are stronger have the higher numbers.
template <class T, size_t count>
std::optional<T> choose(const std::array<T, count>& all, Allowed ours, Allowed theirs) {
    for (size_t at = count; at-- > 0;) {
        if (ours.takes(all[at]) && theirs.takes(all[at])) return all[at];
    }
    return std::nullopt;
}

}  // namespace

std::string_view name_of(ControllerSide::State state) {
    switch (state) {
        case ControllerSide::State::negotiate: return "negotiate";
        case ControllerSide::State::challenge: return "challenge";
        case ControllerSide::State::reply: return "reply";
        case ControllerSide::State::success1: return "success1";
        case ControllerSide::State::success2: return "success2";
        case ControllerSide::State::completed: return "completed";
        case ControllerSide::State::failure1: return "failure1";
        case ControllerSide::State::failed: return "error";
    }
    return "";
}

void ControllerSide::fail(Reason reason) {
    state_ = State::failure1;
    generated_.reset();
    reason_ = reason;
}

ControllerSide::Work ControllerSide::receive(Bytes message) {
    const auto header = read_header(message);
    if (!header) return refuse(header.error());
    const bool is_common = header->type == MessageType::common;
    const bool is_dhchap = header->type == MessageType::dhchap;
    if (is_common && header->id == MessageId::negotiate) {
        // A completed exchange may be followed by another one, on a queue that lives.
        if (state_ == State::negotiate || state_ == State::completed) return on_negotiate(message);
    } else if (is_common && header->id == MessageId::failure2) {
        if (state_ == State::success2 || state_ == State::reply) {
            const auto told = read_failure(message);
            if (!told) return refuse(told.error());
            state_ = State::failed;
            generated_.reset();
            reason_ = *told == Reason::none ? Reason::authentication_failed : *told;
            return Work::none;
        }
    } else if (is_dhchap && header->id == MessageId::reply) {
        if (state_ == State::reply) return on_reply(message);
    } else if (is_dhchap && header->id == MessageId::success2 && state_ == State::success2) {
        const auto read = read_success2(message, transaction_);
        if (!read) return refuse(read.error());
        state_ = State::completed;
        return Work::none;
    }
    return refuse(Reason::incorrect_message);
}

ControllerSide::Work ControllerSide::on_negotiate(Bytes message) {
    reason_ = Reason::none;
    wants_response_ = false;
    generated_.reset();
    transaction_ = load<MessageHeader>(message).transaction;
    const auto read = read_negotiate(message);
    if (!read) return refuse(read.error());
    secure_channel_ = read->secure_channel;
    if (!policy_.takes(secure_channel_)) return refuse(Reason::secure_channel_mismatch);
    const bool makes_psk = secure_channel_ != SecureChannel::none;
    const Allowed usable = makes_psk ? allowed_ & concatenation_allows : allowed_;
    hash_ = choose(all_hashes, usable, read->offered);
    group_ = choose(all_groups, usable, read->offered);
    if (!hash_) return refuse(Reason::hash_not_usable);
    if (!group_) {
        // What it offered would do, but not for a key.
        const bool is_for_psk = makes_psk && read->offered.takes(Group::null);
        return refuse(is_for_psk ? Reason::secure_channel_mismatch : Reason::group_not_usable);
    }
    state_ = State::challenge;
    return Work::make_challenge;
}

void ControllerSide::challenge_made(KeyPair own, Bytes challenge, uint32_t sequence) {
    WEFT_ASSERT(state_ == State::challenge && own.group == *group_ && challenge.size() == size_of(*hash_));
    own_ = std::move(own);
    challenge_ = copy_of(challenge);
    sequence_ = sequence;
}

ControllerSide::Work ControllerSide::on_reply(Bytes message) {
    const auto read = read_reply(message, transaction_, *hash_, *group_, secure_channel_);
    if (!read) return refuse(read.error());
    wants_response_ = read->has_challenge && read->sequence != 0;
    pending_ = {.parties = parties_,
                .secure_channel = secure_channel_,
                .hash = *hash_,
                .transaction = transaction_,
                .own = std::exchange(own_, {}),
                .challenge = std::exchange(challenge_, {}),
                .sequence = sequence_,
                .response = copy_of(read->response),
                .host_public_value = copy_of(read->public_value),
                .wants_response = wants_response_,
                .host_challenge = copy_of(read->challenge),
                .host_sequence = read->sequence};
    return Work::check_reply;
}

ControllerSide::Verdict ControllerSide::check(const Reply& reply, const Key& host_key, const Key* controller_key) {
    const auto secret = shared_secret(reply.own, reply.host_public_value);
    if (!secret) return {.reason = Reason::incorrect_payload};
    const Digest expected = respond(host_key, {.role = Role::host,
                                               .own_nqn = reply.parties.hostnqn,
                                               .other_nqn = reply.parties.subnqn,
                                               .hash = reply.hash,
                                               .challenge = reply.challenge,
                                               .sequence = reply.sequence,
                                               .transaction = reply.transaction,
                                               .secure_channel = reply.secure_channel,
                                               .shared_secret = secret->bytes()});
    if (!is_same(expected.view(), reply.response)) return {.reason = Reason::authentication_failed};
    Verdict verdict;
    if (reply.secure_channel != SecureChannel::none) {
        verdict.generated = generate_psk(reply.hash, secret->bytes(), reply.challenge, reply.host_challenge);
    }
    if (!reply.wants_response) return verdict;
    // The host wants us to prove who we are, and we have nothing to do it with.
    if (controller_key == nullptr) return {.reason = Reason::authentication_failed};
    // Our own challenge sent back would be answered by the same secret (8.13.5.4).
    if (is_same(reply.host_challenge, reply.challenge)) return {.reason = Reason::authentication_failed};
    verdict.response = respond(*controller_key, {.role = Role::controller,
                                                 .own_nqn = reply.parties.subnqn,
                                                 .other_nqn = reply.parties.hostnqn,
                                                 .hash = reply.hash,
                                                 .challenge = reply.host_challenge,
                                                 .sequence = reply.host_sequence,
                                                 .transaction = reply.transaction,
                                                 .secure_channel = reply.secure_channel,
                                                 .shared_secret = secret->bytes()});
    return verdict;
}

void ControllerSide::reply_checked(const Verdict& verdict) {
    WEFT_ASSERT(state_ == State::reply);
    if (verdict.reason != Reason::none) return fail(verdict.reason);
    response_ = verdict.response;
    generated_ = verdict.generated;
    state_ = State::success1;
}

size_t ControllerSide::transmit(MutableBytes into) {
    switch (state_) {
        case State::challenge:
            if (const size_t size = transmit_challenge(into); size > 0) return size;
            fail(Reason::incorrect_payload);
            break;
        case State::success1:
            if (const size_t size = transmit_success(into); size > 0) return size;
            fail(Reason::incorrect_payload);
            break;
        case State::failure1: break;
        default: fail(Reason::incorrect_message); break;
    }
    return transmit_failure(into);
}

size_t ControllerSide::transmit_challenge(MutableBytes into) {
    Challenge message;
    message.header.transaction = transaction_;
    message.hash_size = static_cast<uint8_t>(size_of(*hash_));
    message.hash = *hash_;
    message.group = *group_;
    message.public_size = static_cast<uint16_t>(own_.public_value.size());
    message.sequence = sequence_;
    const size_t size = sizeof(message) + challenge_.size() + own_.public_value.size();
    if (into.size() < size) return 0;
    store(into, message);
    std::ranges::copy(challenge_, into.begin() + sizeof(message));
    std::ranges::copy(own_.public_value, into.begin() + static_cast<ptrdiff_t>(sizeof(message) + challenge_.size()));
    state_ = State::reply;
    return size;
}

size_t ControllerSide::transmit_success(MutableBytes into) {
    Success1 message;
    message.header.transaction = transaction_;
    // The field's initiators want it also when no response follows.
    message.hash_size = static_cast<uint8_t>(size_of(*hash_));
    message.has_response = wants_response_ ? 1 : 0;
    const size_t size = sizeof(message) + (wants_response_ ? response_.size : 0);
    if (into.size() < size) return 0;
    store(into, message);
    if (wants_response_) std::ranges::copy(response_.view(), into.begin() + sizeof(message));
    state_ = wants_response_ ? State::success2 : State::completed;
    return size;
}

size_t ControllerSide::transmit_failure(MutableBytes into) {
    Failure message;
    message.header.transaction = transaction_;
    message.reason = reason_;
    state_ = State::failed;
    if (into.size() < sizeof(message)) return 0;
    store(into, message);
    return sizeof(message);
}

}  // namespace weft::nvme::auth
