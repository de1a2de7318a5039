// Both sides of DH-HMAC-CHAP, fed with anything. Nobody without the key gets in, or gets a key for TLS; a message that
// is not understood ends the exchange; nothing is read or written beyond its end.
//
// Input: records of a byte that says what to do, two bytes of length, and so many bytes of a message. The NULL group
// and the smallest one only, so that it is quick. An input of odd length asks for a secure channel.
#include <cstdlib>

#include "base/assert.h"
#include "nvme/auth/test_exchange.h"

using namespace weft;
using namespace weft::nvme::auth;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    TestExchange exchange;
    exchange.controller_allows = {.hashes = 0b1110, .groups = 0b000011};
    exchange.host_offers = {.hashes = 0b1110, .groups = 0b000001};
    exchange.policy = {.allows_new = true, .allows_replace = true};
    if (size % 2 != 0) {
        exchange.channel = SecureChannel::new_psk;
        exchange.host_offers = {.hashes = 0b0110, .groups = 0b000010};
    }
    exchange.host_key = Key{0, test_secret(32, 2)};  // not the one that the controller takes for it
    exchange.controller_key = Key{0, test_secret(32, 3)};
    exchange.known_controller_key = Key{0, test_secret(32, 4)};
    exchange.reset();
    Reader reader(std::as_bytes(std::span(data, size)));
    std::optional<HostSide::Challenged> challenged;
    while (reader.rest().size() >= 3) {
        const auto what = static_cast<uint8_t>(reader.take<std::byte>());
        const auto length = static_cast<size_t>(reader.take<le16>().value());
        const Bytes message = reader.take_bytes(std::min(length, reader.rest().size()));
        switch (what % 6) {
            case 0: exchange.give(message); break;
            case 1: {
                const auto sent = exchange.fetch(length);
                WEFT_ASSERT(sent.size() <= length);
                break;
            }
            case 2: exchange.give(exchange.host.negotiate()); break;
            case 3: {
                auto read = exchange.host.read_challenge(message);
                if (read) challenged = std::move(*read);
                break;
            }
            case 4: {
                const auto sent = exchange.fetch();
                if (auto read = exchange.host.read_challenge(sent)) challenged = std::move(*read);
                break;
            }
            default: {
                if (!challenged) break;
                const auto answer = exchange.answer(*challenged);
                if (!answer) break;
                // Who does not know the controller's key cannot prove to be it.
                WEFT_ASSERT(!exchange.host.read_success(message, *answer));
                exchange.give(answer->reply);
                WEFT_ASSERT(exchange.controller.state() != ControllerSide::State::success1);
                break;
            }
        }
        WEFT_ASSERT(!exchange.controller.is_completed() && !exchange.controller.take_generated());
    }
    return 0;
}
