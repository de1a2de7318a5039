// The messages of DH-HMAC-CHAP as they are sent in Authentication Send and Receive commands (NVMe Base 2.0, 8.13.5):
// structs, and reading them out of what a stranger sent. Values of a variable length follow the structs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"

namespace weft::nvme::auth {

// AUTH_TYPE and AUTH_ID.
enum class MessageType : uint8_t { common = 0x00, dhchap = 0x01 };
enum class MessageId : uint8_t {
    negotiate = 0x00,  // common
    challenge = 0x01,  // the next four: dhchap
    reply = 0x02,
    success1 = 0x03,
    success2 = 0x04,
    failure2 = 0xF0,  // common, the host's
    failure1 = 0xF1,  // common, the controller's
};

// HashID and DHgID.
enum class Hash : uint8_t { sha256 = 1, sha384 = 2, sha512 = 3 };
enum class Group : uint8_t { null = 0, ffdhe2048 = 1, ffdhe3072 = 2, ffdhe4096 = 3, ffdhe6144 = 4, ffdhe8192 = 5 };
inline constexpr std::array all_hashes = {Hash::sha256, Hash::sha384, Hash::sha512};  // the strongest last
inline constexpr std::array all_groups = {Group::null,      Group::ffdhe2048, Group::ffdhe3072,
                                          Group::ffdhe4096, Group::ffdhe6144, Group::ffdhe8192};

// "sha256", "ffdhe2048": the field's names. "unknown" for other numbers.
std::string_view name_of(Hash hash);
std::string_view name_of(Group group);
// Bytes of a digest; 0 for a number that is no hash of ours.
size_t size_of(Hash hash);
// Bytes of a public value and of the shared secret; 0 for the NULL group, and for a number that is no group of ours.
size_t size_of(Group group);
[[nodiscard]] constexpr bool is_known(Group group) { return group <= Group::ffdhe8192; }

inline constexpr size_t hash_size_max = 64;
inline constexpr size_t group_size_max = 1024;

// Which of them somebody takes: a bit for each number.
struct Allowed {
    uint32_t hashes = 0b1110;
    uint32_t groups = 0b111111;

    [[nodiscard]] constexpr bool takes(Hash hash) const { return (hashes >> static_cast<uint8_t>(hash) & 1U) != 0; }
    [[nodiscard]] constexpr bool takes(Group group) const { return (groups >> static_cast<uint8_t>(group) & 1U) != 0; }
    friend bool operator==(const Allowed&, const Allowed&) = default;
    friend constexpr Allowed operator&(Allowed left, Allowed right) {
        return {.hashes = left.hashes & right.hashes, .groups = left.groups & right.groups};
    }
};

// Reason Code Explanation of a failure; its Reason Code is always 1, "authentication failed".
enum class Reason : uint8_t {
    none = 0,
    authentication_failed = 1,
    protocol_not_usable = 2,
    secure_channel_mismatch = 3,
    hash_not_usable = 4,
    group_not_usable = 5,
    incorrect_payload = 6,
    incorrect_message = 7,
};
std::string_view describe(Reason reason);

// SC_C: whether the exchange is to make a key for TLS (secure channel concatenation). Admin queues only.
enum class SecureChannel : uint8_t {
    none = 0,
    new_psk = 2,      // NEWTLSPSK: the queue is without TLS
    replace_psk = 3,  // REPLACETLSPSK: the queue is through TLS, and its key is replaced
};
// What an exchange with one may use: hashes that a cipher suite of TLS has, and a group that gives a session key
// (NVMe Base 2.1, 8.3.4.5.2).
inline constexpr Allowed concatenation_allows{.hashes = 0b0110, .groups = 0b111110};

// Which exchanges with a secure channel a queue takes.
struct SecureChannelPolicy {
    bool allows_new = false;
    bool allows_replace = false;
    bool is_demanded = false;  // none without
    [[nodiscard]] bool takes(SecureChannel channel) const;
};

struct MessageHeader {
    MessageType type{};
    MessageId id{};
    le16 reserved2;
    le16 transaction;
};
static_assert(sizeof(MessageHeader) == 6);

struct Negotiate {
    MessageHeader header{.type = MessageType::common, .id = MessageId::negotiate};
    SecureChannel secure_channel{};  // SC_C
    uint8_t protocol_count = 0;  // NAPD: so many ProtocolDescriptor follow
};
static_assert(sizeof(Negotiate) == 8);

struct ProtocolDescriptor {
    uint8_t protocol = 0;  // AuthID: 1 is DH-HMAC-CHAP
    uint8_t reserved1 = 0;
    uint8_t hash_count = 0;
    uint8_t group_count = 0;
    std::array<uint8_t, 30> hashes{};
    std::array<uint8_t, 30> groups{};
};
static_assert(sizeof(ProtocolDescriptor) == 64 && offsetof(ProtocolDescriptor, groups) == 34);
inline constexpr uint8_t dhchap_protocol = 1;

// The challenge C1 and the public value of the controller follow.
struct Challenge {
    MessageHeader header{.type = MessageType::dhchap, .id = MessageId::challenge};
    uint8_t hash_size = 0;
    uint8_t reserved7 = 0;
    Hash hash{};
    Group group{};
    le16 public_size;
    le32 sequence;  // S1
};
static_assert(sizeof(Challenge) == 16 && offsetof(Challenge, sequence) == 12);

// The response R1, the challenge C2 (zeroes without one), and the public value of the host follow.
struct Reply {
    MessageHeader header{.type = MessageType::dhchap, .id = MessageId::reply};
    uint8_t hash_size = 0;
    uint8_t reserved7 = 0;
    uint8_t has_challenge = 0;  // CVALID
    uint8_t reserved9 = 0;
    le16 public_size;
    le32 sequence;  // S2; 0: C2 is not to be answered, and goes into the key for TLS only
};
static_assert(sizeof(Reply) == 16 && offsetof(Reply, sequence) == 12);

// The response R2 follows when there was a challenge.
struct Success1 {
    MessageHeader header{.type = MessageType::dhchap, .id = MessageId::success1};
    uint8_t hash_size = 0;
    uint8_t reserved7 = 0;
    uint8_t has_response = 0;  // RVALID
    std::array<uint8_t, 7> reserved9{};
};
static_assert(sizeof(Success1) == 16);

struct Success2 {
    MessageHeader header{.type = MessageType::dhchap, .id = MessageId::success2};
    std::array<uint8_t, 10> reserved6{};
};
static_assert(sizeof(Success2) == 16);

struct Failure {
    MessageHeader header{.type = MessageType::common, .id = MessageId::failure1};
    uint8_t code = 1;
    Reason reason{};
};
static_assert(sizeof(Failure) == 8);

inline constexpr size_t message_size_max = sizeof(Reply) + 2 * hash_size_max + group_size_max;

// What a reader found: the message's fields, with views into the bytes it was given. An error is the reason with which
// the other side is answered.
template <class T>
using Read = std::expected<T, Reason>;

// Errors: incorrect_payload when there is no whole header.
Read<MessageHeader> read_header(Bytes message);

struct ReadNegotiate {
    uint16_t transaction = 0;
    SecureChannel secure_channel{};
    Allowed offered;  // numbers that are not known here are left out
};
// Errors: incorrect_payload, secure_channel_mismatch, protocol_not_usable.
Read<ReadNegotiate> read_negotiate(Bytes message);

struct ReadChallenge {
    uint16_t transaction = 0;
    Hash hash{};
    Group group{};
    uint32_t sequence = 0;
    Bytes challenge;
    Bytes public_value;
};
// Errors: incorrect_payload, hash_not_usable, group_not_usable.
Read<ReadChallenge> read_challenge(Bytes message, Allowed allowed);

struct ReadReply {
    bool has_challenge = false;
    uint32_t sequence = 0;  // 0: no response is wanted
    Bytes response;
    Bytes challenge;
    Bytes public_value;
};
// As it must be after a challenge with these: with a secure channel there is a challenge, which may want no response.
// Errors: incorrect_payload.
Read<ReadReply> read_reply(Bytes message, uint16_t transaction, Hash hash, Group group, SecureChannel channel);

// The response, which must be there when `wants_response`; empty otherwise. Errors: incorrect_payload.
Read<Bytes> read_success1(Bytes message, uint16_t transaction, Hash hash, bool wants_response);
// Errors: incorrect_payload.
Read<void> read_success2(Bytes message, uint16_t transaction);
// Of either kind. Errors: incorrect_payload.
Read<Reason> read_failure(Bytes message);

}  // namespace weft::nvme::auth
