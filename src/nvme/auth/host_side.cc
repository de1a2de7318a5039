#include "nvme/auth/host_side.h"

#include <algorithm>
#include <utility>

namespace weft::nvme::auth {

namespace {

std::vector<std::byte> copy_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

template <class T>
std::vector<std::byte> message_of(const T& message) {
    return copy_of(bytes_of(message));
}

void append(std::vector<std::byte>& message, Bytes more) { message.insert(message.end(), more.begin(), more.end()); }

}  // namespace

std::vector<std::byte> HostSide::negotiate() const {
    Negotiate message;
    message.header.transaction = transaction_;
    message.secure_channel = channel_;
    message.protocol_count = 1;
    ProtocolDescriptor protocol;
    protocol.protocol = dhchap_protocol;
    for (const Hash hash : all_hashes) {
        if (allowed_.takes(hash)) protocol.hashes[protocol.hash_count++] = static_cast<uint8_t>(hash);
    }
    for (const Group group : all_groups) {
        if (allowed_.takes(group)) protocol.groups[protocol.group_count++] = static_cast<uint8_t>(group);
    }
    std::vector<std::byte> bytes = message_of(message);
    append(bytes, bytes_of(protocol));
    return bytes;
}

Read<void> HostSide::expect(Bytes message, MessageId id) {
    const auto header = read_header(message);
    if (!header) return std::unexpected(header.error());
    if (header->type == MessageType::common && header->id == MessageId::failure1) {
        const auto told = read_failure(message);
        if (!told) return std::unexpected(told.error());
        is_refused_ = true;
        return std::unexpected(*told);
    }
    if (header->type != MessageType::dhchap || header->id != id) return std::unexpected(Reason::incorrect_message);
    if (header->transaction != transaction_) return std::unexpected(Reason::incorrect_payload);
    return {};
}

Read<HostSide::Challenged> HostSide::read_challenge(Bytes message) {
    if (const auto expected = expect(message, MessageId::challenge); !expected) {
        return std::unexpected(expected.error());
    }
    const auto read = auth::read_challenge(message, allowed_);
    if (!read) return std::unexpected(read.error());
    hash_ = read->hash;
    group_ = read->group;
    return Challenged{.parties = parties_,
                      .secure_channel = channel_,
                      .hash = read->hash,
                      .group = read->group,
                      .transaction = transaction_,
                      .sequence = read->sequence,
                      .challenge = copy_of(read->challenge),
                      .public_value = copy_of(read->public_value)};
}

Read<HostSide::Answer> HostSide::answer(const Challenged& challenged, Ours ours, const Key& host_key,
                                        const Key* controller_key) {
    const KeyPair own = make_key_pair(challenged.group, std::move(ours.exponent));
    const auto secret = shared_secret(own, challenged.public_value);
    if (!secret) return std::unexpected(Reason::incorrect_payload);
    const Digest response = respond(host_key, {.role = Role::host,
                                               .own_nqn = challenged.parties.hostnqn,
                                               .other_nqn = challenged.parties.subnqn,
                                               .hash = challenged.hash,
                                               .challenge = challenged.challenge,
                                               .sequence = challenged.sequence,
                                               .transaction = challenged.transaction,
                                               .secure_channel = challenged.secure_channel,
                                               .shared_secret = secret->bytes()});
    const bool makes_psk = challenged.secure_channel != SecureChannel::none;
    const bool has_challenge = controller_key != nullptr || makes_psk;
    WEFT_ASSERT(!has_challenge || ours.challenge.size() == response.size);
    WEFT_ASSERT(controller_key == nullptr || ours.sequence != 0);
    Answer answer;
    Reply message;
    message.header.transaction = challenged.transaction;
    message.hash_size = static_cast<uint8_t>(response.size);
    message.has_challenge = has_challenge ? 1 : 0;
    message.public_size = static_cast<uint16_t>(own.public_value.size());
    message.sequence = controller_key != nullptr ? ours.sequence : 0;
    answer.reply = message_of(message);
    append(answer.reply, response.view());
    if (has_challenge) {
        append(answer.reply, ours.challenge);
    } else {
        answer.reply.resize(answer.reply.size() + response.size);
    }
    if (makes_psk) {
        answer.generated = generate_psk(challenged.hash, secret->bytes(), challenged.challenge, ours.challenge);
    }
    if (controller_key != nullptr) {
        answer.expected = respond(*controller_key, {.role = Role::controller,
                                                    .own_nqn = challenged.parties.subnqn,
                                                    .other_nqn = challenged.parties.hostnqn,
                                                    .hash = challenged.hash,
                                                    .challenge = ours.challenge,
                                                    .sequence = ours.sequence,
                                                    .transaction = challenged.transaction,
                                                    .secure_channel = challenged.secure_channel,
                                                    .shared_secret = secret->bytes()});
    }
    append(answer.reply, own.public_value);
    return answer;
}

Read<void> HostSide::read_success(Bytes message, const Answer& answer) {
    if (const auto expected = expect(message, MessageId::success1); !expected) {
        return std::unexpected(expected.error());
    }
    const auto response = read_success1(message, transaction_, *hash_, asks_controller_);
    if (!response) return std::unexpected(response.error());
    if (asks_controller_ && !is_same(*response, answer.expected.view())) {
        return std::unexpected(Reason::authentication_failed);
    }
    return {};
}

std::vector<std::byte> HostSide::success2() const {
    Success2 message;
    message.header.transaction = transaction_;
    return message_of(message);
}

std::vector<std::byte> HostSide::failure2(Reason reason) const {
    Failure message;
    message.header.id = MessageId::failure2;
    message.header.transaction = transaction_;
    message.reason = reason;
    return message_of(message);
}

}  // namespace weft::nvme::auth
