// DH-HMAC-CHAP as the host sees it (NVMe Base 2.0, 8.13.5): it is asked to prove who it is, and may ask the controller
// the same. As controller_side.h: messages in, messages out, no input or output of its own.
//
//   send negotiate(), fetch a message: read_challenge();
//   answer() it, away from the reactor; send reply(), fetch a message: read_success();
//   with a controller key: send success2(). Whatever fails: send failure2(), and close the queue.
//   With a secure channel, the answer has the PSK for TLS.
#pragma once

#include <vector>

#include "nvme/auth/controller_side.h"

namespace weft::nvme::auth {

class HostSide {
public:
    // `transaction` tells this exchange from others of the same queue.
    HostSide(Parties parties, Allowed allowed, bool asks_controller, uint16_t transaction,
             SecureChannel channel = SecureChannel::none)
        : parties_(std::move(parties)),
          allowed_(channel == SecureChannel::none ? allowed : allowed & concatenation_allows),
          asks_controller_(asks_controller),
          transaction_(transaction),
          channel_(channel) {}

    [[nodiscard]] std::vector<std::byte> negotiate() const;

    // What answer() needs, as values.
    struct Challenged {
        Parties parties;
        SecureChannel secure_channel{};
        Hash hash{};
        Group group{};
        uint16_t transaction = 0;
        uint32_t sequence = 0;
        std::vector<std::byte> challenge;
        std::vector<std::byte> public_value;  // the controller's
    };
    // What the controller sent; it may be longer than the message. Errors: the reason for failure2(); `refused()` says
    // whether it was the controller that refused.
    Read<Challenged> read_challenge(Bytes message);

    struct Ours {
        Secret exponent;  // exponent_size_of(group) random bytes
        std::vector<std::byte> challenge;  // size_of(hash) random bytes, when the controller is asked, or for a PSK
        uint32_t sequence = 0;  // not 0 when the controller is asked
    };
    struct Answer {
        std::vector<std::byte> reply;  // the message
        Digest expected;  // what the controller must answer, when it is asked
        std::optional<tls::Psk> generated;  // with a secure channel; of use when the exchange is through
    };
    // `controller_key`: nullptr when the controller is not asked. Errors: the reason.
    static Read<Answer> answer(const Challenged& challenged, Ours ours, const Key& host_key, const Key* controller_key);

    // After the reply was sent. Errors: as of read_challenge().
    Read<void> read_success(Bytes message, const Answer& answer);
    [[nodiscard]] std::vector<std::byte> success2() const;
    [[nodiscard]] std::vector<std::byte> failure2(Reason reason) const;

    // The controller sent a Failure1: there is nothing to answer.
    [[nodiscard]] bool is_refused() const { return is_refused_; }
    [[nodiscard]] std::optional<Hash> hash() const { return hash_; }
    [[nodiscard]] std::optional<Group> group() const { return group_; }

private:
    // Errors: that it is another message, or why the controller refuses.
    Read<void> expect(Bytes message, MessageId id);

    const Parties parties_;
    const Allowed allowed_;
    const bool asks_controller_;
    const uint16_t transaction_;
    const SecureChannel channel_;
    bool is_refused_ = false;
    std::optional<Hash> hash_;
    std::optional<Group> group_;
};

}  // namespace weft::nvme::auth
