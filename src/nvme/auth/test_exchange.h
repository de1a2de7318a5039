// For tests and the fuzzer: both sides of an exchange, with their keys, and every step of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nvme/auth/controller_side.h"
#include "nvme/auth/host_side.h"

namespace weft::nvme::auth {

inline Parties test_parties() { return {"nqn.2016-06.io.spdk:host1", "nqn.2016-06.io.spdk:cnode1"}; }
inline Secret test_secret(size_t size, unsigned first) {
    Secret secret(size);
    for (size_t at = 0; at < size; ++at) secret.mutable_bytes()[at] = static_cast<std::byte>(first + 3 * at);
    return secret;
}

struct TestExchange {
    Allowed controller_allows;
    Allowed host_offers;
    Key host_key{0, test_secret(32, 1)};         // the host's own
    Key known_host_key{0, test_secret(32, 1)};   // what the controller takes for it
    std::optional<Key> controller_key;           // the controller's own
    std::optional<Key> known_controller_key;     // what the host takes for it; asks for it when it is there
    SecureChannelPolicy policy;
    SecureChannel channel{};                     // that the host asks for

    ControllerSide controller{test_parties(), controller_allows};
    HostSide host{test_parties(), host_offers, false, 7};
    std::vector<std::byte> last;  // message that was sent
    std::optional<tls::Psk> generated;  // the host's, of run()

    void reset() {
        std::destroy_at(&controller);
        std::construct_at(&controller, test_parties(), controller_allows, policy);
        std::destroy_at(&host);
        std::construct_at(&host, test_parties(), host_offers, known_controller_key.has_value(), uint16_t{7}, channel);
    }

    // The host's message, and the work that it causes.
    void give(Bytes message) {
        last.assign(message.begin(), message.end());
        switch (controller.receive(message)) {
            case ControllerSide::Work::none: return;
            case ControllerSide::Work::make_challenge: {
                const Group group = *controller.group();
                KeyPair own = make_key_pair(group, test_secret(exponent_size_of(group), 0x10));
                const Secret challenge = test_secret(size_of(*controller.hash()), 0xA0);
                controller.challenge_made(std::move(own), challenge.bytes(), 5);
                return;
            }
            case ControllerSide::Work::check_reply:
                controller.reply_checked(ControllerSide::check(controller.take_reply(), known_host_key,
                                                               controller_key ? &*controller_key : nullptr));
                return;
        }
    }
    std::vector<std::byte> fetch(size_t room = 4096) {
        last.assign(room, std::byte{0});
        last.resize(controller.transmit(last));
        return last;
    }
    Read<HostSide::Answer> answer(const HostSide::Challenged& challenged) {
        HostSide::Ours ours{.exponent = test_secret(exponent_size_of(challenged.group), 0x90)};
        if (known_controller_key || challenged.secure_channel != SecureChannel::none) {
            const Secret challenge = test_secret(size_of(challenged.hash), 0x30);
            ours.challenge.assign(challenge.bytes().begin(), challenge.bytes().end());
            if (known_controller_key) ours.sequence = 9;
        }
        return HostSide::answer(challenged, std::move(ours), host_key,
                                known_controller_key ? &*known_controller_key : nullptr);
    }

    // The whole of it. What the host makes of it.
    Read<void> run() {
        reset();
        give(host.negotiate());
        const auto challenged = host.read_challenge(fetch());
        if (!challenged) return std::unexpected(challenged.error());
        const auto answered = answer(*challenged);
        if (!answered) return std::unexpected(answered.error());
        give(answered->reply);
        if (const auto success = host.read_success(fetch(), *answered); !success) {
            if (!host.is_refused()) give(host.failure2(success.error()));
            return success;
        }
        if (known_controller_key) give(host.success2());
        generated = answered->generated;
        return {};
    }
};

}  // namespace weft::nvme::auth
