#include "nvme/auth/messages.h"

#include <algorithm>
#include <utility>

namespace weft::nvme::auth {

namespace {

std::unexpected<Reason> wrong(Reason reason = Reason::incorrect_payload) { return std::unexpected(reason); }

// The bits of the numbers in a list, of those below 32.
uint32_t bits_of(std::span<const uint8_t> numbers, uint32_t known) {
    uint32_t bits = 0;
    for (const uint8_t number : numbers) bits |= number < 32 ? 1U << number : 0U;
    return bits & known;
}

// A public value is there exactly when the group has one, and no longer than the group's (8.13.5.3, 8.13.5.4).
bool is_public_size(size_t size, Group group) {
    const size_t full = size_of(group);
    return full == 0 ? size == 0 : size > 0 && size <= full && size % 4 == 0;
}

bool is_known(SecureChannel channel) {
    return channel == SecureChannel::none || channel == SecureChannel::new_psk || channel == SecureChannel::replace_psk;
}

}  // namespace

std::string_view name_of(Hash hash) {
    switch (hash) {
        case Hash::sha256: return "sha256";
        case Hash::sha384: return "sha384";
        case Hash::sha512: return "sha512";
    }
    return "unknown";
}

std::string_view name_of(Group group) {
    switch (group) {
        case Group::null: return "null";
        case Group::ffdhe2048: return "ffdhe2048";
        case Group::ffdhe3072: return "ffdhe3072";
        case Group::ffdhe4096: return "ffdhe4096";
        case Group::ffdhe6144: return "ffdhe6144";
        case Group::ffdhe8192: return "ffdhe8192";
    }
    return "unknown";
}

size_t size_of(Hash hash) {
    switch (hash) {
        case Hash::sha256: return 32;
        case Hash::sha384: return 48;
        case Hash::sha512: return 64;
    }
    return 0;
}

size_t size_of(Group group) {
    switch (group) {
        case Group::null: return 0;
        case Group::ffdhe2048: return 256;
        case Group::ffdhe3072: return 384;
        case Group::ffdhe4096: return 512;
        case Group::ffdhe6144: return 768;
        case Group::ffdhe8192: return 1024;
    }
    return 0;
}

std::string_view describe(Reason reason) {
    switch (reason) {
        case Reason::none: return "no reason";
        case Reason::authentication_failed: return "authentication failed";
        case Reason::protocol_not_usable: return "authentication protocol not usable";
        case Reason::secure_channel_mismatch: return "secure channel concatenation mismatch";
        case Reason::hash_not_usable: return "hash function not usable";
        case Reason::group_not_usable: return "DH group not usable";
        case Reason::incorrect_payload: return "incorrect payload";
        case Reason::incorrect_message: return "incorrect protocol message";
    }
    return "unknown reason";
}

bool SecureChannelPolicy::takes(SecureChannel channel) const {
    switch (channel) {
        case SecureChannel::none: return !is_demanded;
        case SecureChannel::new_psk: return allows_new;
        case SecureChannel::replace_psk: return allows_replace;
    }
    return false;
}

Read<MessageHeader> read_header(Bytes message) {
    if (message.size() < sizeof(MessageHeader)) return wrong();
    return load<MessageHeader>(message);
}

Read<ReadNegotiate> read_negotiate(Bytes message) {
    Reader reader(message);
    const auto negotiate = reader.take<Negotiate>();
    if (!reader.ok() || reader.rest().size() != negotiate.protocol_count * sizeof(ProtocolDescriptor)) return wrong();
    if (!is_known(negotiate.secure_channel)) return wrong(Reason::secure_channel_mismatch);
    for (uint8_t at = 0; at < negotiate.protocol_count; ++at) {
        const auto protocol = reader.take<ProtocolDescriptor>();
        if (protocol.protocol != dhchap_protocol) continue;
        if (protocol.hash_count > protocol.hashes.size() || protocol.group_count > protocol.groups.size()) {
            return wrong();
        }
        constexpr Allowed known;
        return ReadNegotiate{
            .transaction = negotiate.header.transaction,
            .secure_channel = negotiate.secure_channel,
            .offered = {.hashes = bits_of(std::span(protocol.hashes).first(protocol.hash_count), known.hashes),
                        .groups = bits_of(std::span(protocol.groups).first(protocol.group_count), known.groups)}};
    }
    return wrong(Reason::protocol_not_usable);
}

Read<ReadChallenge> read_challenge(Bytes message, Allowed allowed) {
    Reader reader(message);
    const auto challenge = reader.take<Challenge>();
    if (!reader.ok()) return wrong();
    const size_t hash_size = size_of(challenge.hash);
    if (hash_size == 0 || !allowed.takes(challenge.hash)) return wrong(Reason::hash_not_usable);
    if (!is_known(challenge.group) || !allowed.takes(challenge.group)) return wrong(Reason::group_not_usable);
    if (challenge.hash_size != hash_size || !is_public_size(challenge.public_size, challenge.group)) return wrong();
    ReadChallenge read{.transaction = challenge.header.transaction,
                       .hash = challenge.hash,
                       .group = challenge.group,
                       .sequence = challenge.sequence};
    read.challenge = reader.take_bytes(hash_size);
    read.public_value = reader.take_bytes(challenge.public_size);
    // Behind it lies what the host has room for.
    if (!reader.ok()) return wrong();
    return read;
}

Read<ReadReply> read_reply(Bytes message, uint16_t transaction, Hash hash, Group group, SecureChannel channel) {
    Reader reader(message);
    const auto reply = reader.take<Reply>();
    if (!reader.ok() || reply.header.transaction != transaction || reply.hash_size != size_of(hash)) return wrong();
    if (reply.has_challenge > 1) return wrong();
    if (channel != SecureChannel::none) {
        if (reply.has_challenge == 0) return wrong();
    } else if (reply.has_challenge != 0 && reply.sequence == 0) {
        return wrong();
    }
    if (!is_public_size(reply.public_size, group)) return wrong();
    ReadReply read{.has_challenge = reply.has_challenge != 0, .sequence = reply.sequence};
    read.response = reader.take_bytes(reply.hash_size);
    read.challenge = reader.take_bytes(reply.hash_size);
    read.public_value = reader.take_bytes(reply.public_size);
    if (!reader.ok() || !reader.rest().empty()) return wrong();
    return read;
}

Read<Bytes> read_success1(Bytes message, uint16_t transaction, Hash hash, bool wants_response) {
    Reader reader(message);
    const auto success = reader.take<Success1>();
    if (!reader.ok() || success.header.transaction != transaction || success.has_response > 1) return wrong();
    if (!wants_response) return Bytes{};
    if (success.has_response == 0 || success.hash_size != size_of(hash)) return wrong();
    const Bytes response = reader.take_bytes(success.hash_size);
    if (!reader.ok()) return wrong();
    return response;
}

Read<void> read_success2(Bytes message, uint16_t transaction) {
    if (message.size() != sizeof(Success2)) return wrong();
    if (load<Success2>(message).header.transaction != transaction) return wrong();
    return {};
}

Read<Reason> read_failure(Bytes message) {
    if (message.size() < sizeof(Failure)) return wrong();
    return load<Failure>(message).reason;
}

}  // namespace weft::nvme::auth
