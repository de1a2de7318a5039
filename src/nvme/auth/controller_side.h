// DH-HMAC-CHAP as the controller sees it (NVMe Base 2.0, 8.13.5): messages in, messages out, and between them work that
// takes long and is handed out. Knows no queue, no clock, no file and no random numbers.
//
//   negotiate ── Negotiate ──▸ challenge ── Challenge ──▸ reply ── Reply ──▸ success1 ── Success1 ──▸ completed
//                                                                                  └── or success2 ── Success2 ──▸
//                                                                                  completed
//   anything unexpected ──▸ failure1 ── Failure1 ──▸ failed
//
// The host's messages come by receive(), the controller's are fetched by transmit(). After a receive() that returns
// work, the caller does that work wherever it likes and gives the outcome back, before it calls anything else.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nvme/auth/diffie_hellman.h"
#include "nvme/auth/key.h"
#include "nvme/auth/messages.h"

namespace weft::nvme::auth {

struct Parties {
    std::string hostnqn;
    std::string subnqn;
};

class ControllerSide {
public:
    enum class State : uint8_t {
        negotiate,
        challenge,
        reply,
        success1,
        success2,
        completed,
        failure1,  // to be told
        failed,  // told; the queue must end
    };
    enum class Work : uint8_t {
        none,
        make_challenge,  // make_key_pair(group(), …), then challenge_made()
        check_reply,  // a copy of reply_to_check() with keys: check(), then reply_checked()
    };

    ControllerSide(Parties parties, Allowed allowed, SecureChannelPolicy policy = {})
        : parties_(std::move(parties)), allowed_(allowed), policy_(policy) {}

    // A message of the host's.
    Work receive(Bytes message);
    // `challenge` has size_of(hash()) random bytes; `sequence` is not 0 and not that of another exchange.
    void challenge_made(KeyPair own, Bytes challenge, uint32_t sequence);

    // What check() needs, as values, so that it can go to another thread.
    struct Reply {
        Parties parties;
        SecureChannel secure_channel{};
        Hash hash{};
        uint16_t transaction = 0;
        KeyPair own;
        std::vector<std::byte> challenge;
        uint32_t sequence = 0;
        std::vector<std::byte> response;
        std::vector<std::byte> host_public_value;
        bool wants_response = false;
        std::vector<std::byte> host_challenge;
        uint32_t host_sequence = 0;
    };
    // Once, after Work::check_reply.
    Reply take_reply() { return std::move(pending_); }
    struct Verdict {
        Reason reason = Reason::none;  // none: the host is who it says
        Digest response;  // to the host's challenge, when it wants one
        std::optional<tls::Psk> generated;  // with a secure channel
    };
    // `controller_key`: nullptr when there is none.
    static Verdict check(const Reply& reply, const Key& host_key, const Key* controller_key);
    void reply_checked(const Verdict& verdict);

    // The exchange cannot go on: the host is told so.
    void fail(Reason reason);

    // The message that the host is waiting for, at most as long as `into`. Returns its length; 0: `into` has no room
    // for it, and the queue must end. What nobody is waiting for, or has no room, becomes a Failure1.
    size_t transmit(MutableBytes into);

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool is_completed() const { return state_ == State::completed; }
    [[nodiscard]] bool has_failed() const { return state_ == State::failed; }
    [[nodiscard]] Reason reason() const { return reason_; }
    // What was agreed on; nullopt before that.
    [[nodiscard]] std::optional<Hash> hash() const { return hash_; }
    [[nodiscard]] std::optional<Group> group() const { return group_; }
    // Once, when it is completed: the PSK for TLS that came of it, if there was to be one.
    std::optional<tls::Psk> take_generated() { return std::exchange(generated_, std::nullopt); }

private:
    Work on_negotiate(Bytes message);
    Work on_reply(Bytes message);
    Work refuse(Reason reason) {
        fail(reason);
        return Work::none;
    }
    size_t transmit_challenge(MutableBytes into);
    size_t transmit_success(MutableBytes into);
    size_t transmit_failure(MutableBytes into);

    const Parties parties_;
    const Allowed allowed_;
    const SecureChannelPolicy policy_;
    State state_ = State::negotiate;
    Reason reason_ = Reason::none;
    std::optional<Hash> hash_;
    std::optional<Group> group_;
    uint16_t transaction_ = 0;
    SecureChannel secure_channel_{};
    KeyPair own_;
    std::vector<std::byte> challenge_;
    uint32_t sequence_ = 0;
    Reply pending_;
    bool wants_response_ = false;  // the host authenticates us, too
    Digest response_;
    std::optional<tls::Psk> generated_;
};

// The word that the field's targets use for it.
std::string_view name_of(ControllerSide::State state);

}  // namespace weft::nvme::auth
