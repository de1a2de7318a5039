// A secret of DH-HMAC-CHAP, "DHHC-1:hh:base64:" (NVMe Base 2.0, 8.13.5.7 and 8.13.5.8), and what is computed with it.
// Pure functions; all of them are quick but those of diffie_hellman.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "nvme/auth/messages.h"
#include "nvme/tls/psk.h"

namespace weft::nvme::auth {

// A digest or a response: `size` bytes of `bytes`.
struct Digest {
    std::array<std::byte, hash_size_max> bytes{};
    size_t size = 0;

    [[nodiscard]] Bytes view() const { return Bytes(bytes).first(size); }
};

// As the text says it: the secret, and the hash it is transformed with; 0 is none.
struct Key {
    uint8_t transform = 0;
    Secret secret;

    [[nodiscard]] Key copy() const { return {transform, secret.copy()}; }
};

// Errors: invalid_argument, which names what is wrong and never what was given.
Result<Key> parse_key(std::string_view text);
// The text of a key. For tests and tools.
Secret print_key(uint8_t transform, Bytes secret);

Digest digest(Hash hash, Bytes data);
Digest hmac(Hash hash, Bytes key, Bytes data);

enum class Role : uint8_t { host, controller };

// What a response is computed from (8.13.5.4): who answers, and to whom.
struct ResponseOf {
    Role role = Role::host;
    std::string_view own_nqn;
    std::string_view other_nqn;
    Hash hash = Hash::sha256;
    Bytes challenge;
    uint32_t sequence = 0;
    uint16_t transaction = 0;
    SecureChannel secure_channel{};
    Bytes shared_secret;  // of the DH exchange; empty for the NULL group
};
// `key` is of the one that answers.
Digest respond(const Key& key, const ResponseOf& what);

// The PSK for TLS that an exchange with a secure channel makes: HMAC(KS, C1 || C2), where KS is the hash of the DH
// exchange's secret (8.13.5.9). `hash` is one of concatenation_allows.
tls::Psk generate_psk(Hash hash, Bytes shared_secret, Bytes c1, Bytes c2);

// Takes as long whatever is in them.
bool is_same(Bytes left, Bytes right);

}  // namespace weft::nvme::auth
