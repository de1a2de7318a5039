// Pre-shared keys of NVMe/TCP's secure channel: from the text that an administrator hands out to the key that TLS uses.
//
//   configured PSK  ("NVMeTLSkey-1:01:<base64>:")      NVMe/TCP 1.0, 3.6.1.5
//     → retained PSK, one for each host                3.6.1.3: HKDF-Expand-Label "HostNQN"
//     → TLS PSK, one for each host and subsystem       3.6.1.4: HKDF-Expand-Label "nvme-tls-psk"
//   session key of an authentication → generated PSK → TLS PSK    NVMe Base 2.0, 8.13.5.9 (secure concatenation)
//
// Pure functions; nothing here keeps or prints a key. A Psk wipes itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::nvme::tls {

// As PSK identities and interchange texts number them.
enum class PskHash : uint8_t { none = 0, sha256 = 1, sha384 = 2 };

// Bytes of its output, and of a TLS PSK for it. Not of `none`.
[[nodiscard]] size_t size_of(PskHash hash);
// Of the cipher suite that takes a key of that many bytes (3.6.1.4): 32 → SHA-256, 48 → SHA-384.
[[nodiscard]] PskHash hash_for(size_t key_bytes);

// A key of up to 48 bytes.
class Psk {
public:
    static constexpr size_t bytes_max = 48;

    Psk() = default;
    explicit Psk(Bytes bytes);
    explicit Psk(size_t size_bytes) : size_(size_bytes) { WEFT_ASSERT(size_bytes <= bytes_max); }
    Psk(const Psk&) = default;
    Psk& operator=(const Psk&) = default;
    ~Psk();

    [[nodiscard]] Bytes bytes() const { return Bytes(bytes_).first(size_); }
    [[nodiscard]] MutableBytes mutable_bytes() { return MutableBytes(bytes_).first(size_); }
    [[nodiscard]] size_t size() const { return size_; }
    // In a time that does not depend on the bytes.
    friend bool operator==(const Psk& left, const Psk& right);

private:
    std::array<std::byte, bytes_max> bytes_{};
    size_t size_ = 0;
};

struct ConfiguredPsk {
    PskHash hash = PskHash::sha256;  // how the retained PSK is made; none: it is the configured one
    Psk key;  // 32 or 48 bytes
};

// Of an interchange text: the longest, without what surrounds it.
inline constexpr size_t interchange_bytes_max = 16 + 4 * ((Psk::bytes_max + 4 + 2) / 3) + 1;

// Takes "NVMeTLSkey-1:hh:<base64 of key and CRC-32>:". Errors: invalid_argument, saying what is wrong and how to make
// one; no message contains a part of `text`.
Result<ConfiguredPsk> parse_interchange(std::string_view text);
std::string to_interchange(const ConfiguredPsk& psk);

// How HKDF-Expand-Label's parameters become bytes. libnvme before 1.16 (nvme-cli before 2.16: Debian 13's, RHEL 9's)
// left the lengths of label and context out and wrote that of the output in the wrong order; keys that it puts into a
// kernel's keyring are these.
enum class Derivation : uint8_t { standard, libnvme_before_1_16 };
inline constexpr std::array derivations{Derivation::standard, Derivation::libnvme_before_1_16};

// Which key is used, as a host says it in its ClientHello (3.6.1.3):
//   "NVMe0R01 <host NQN> <subsystem NQN>", "NVMe1R01 <host NQN> <subsystem NQN> <digest>".
struct PskIdentity {
    uint8_t version = 0;  // 0 or 1
    bool is_generated = false;  // 'G', by secure concatenation; else 'R', retained
    PskHash hash = PskHash::sha256;  // of the cipher suite
    std::string hostnqn;
    std::string subnqn;
    std::string digest;  // of version 1: base64

    [[nodiscard]] std::string text() const;
    friend bool operator==(const PskIdentity&, const PskIdentity&) = default;
};

// Two NQNs of 223 bytes, and the longest digest.
inline constexpr size_t identity_bytes_max = 11 + 2 * 223 + 1 + 64;

// nullopt for anything that is not exactly such a text.
std::optional<PskIdentity> parse_identity(std::string_view text);

// What TLS is given.
struct TlsPsk {
    PskIdentity identity;
    Psk key;  // as long as the output of identity.hash
};

// A retained or generated PSK → digest, in base64, for identities of version 1.
std::string psk_digest(PskHash hash, const Psk& psk, std::string_view hostnqn, std::string_view subnqn);
Psk retained_psk(const ConfiguredPsk& configured, std::string_view hostnqn, Derivation derivation);
// `identity` is complete, its digest included. An identity of version 0 that is longer than HKDF's labels can be (255
// bytes) gives none.
std::optional<Psk> tls_psk(const PskIdentity& identity, const Psk& psk, Derivation derivation);
// Of an authentication with SC_C: `hash` is the authentication's, SHA-256 or SHA-384; `session_key` is KS.
Psk generated_psk(PskHash hash, Bytes session_key, Bytes c1, Bytes c2);

// What a host says that has `configured`. nullopt: its names are too long for version 0.
std::optional<TlsPsk> make_tls_psk(const ConfiguredPsk& configured, std::string_view hostnqn, std::string_view subnqn,
                                   uint8_t version, Derivation derivation = Derivation::standard);
// The keys that may be meant by `identity`, whose host has `configured`: one for each derivation, of version 1 those
// whose digest it is.
std::vector<TlsPsk> tls_psks_for(const PskIdentity& identity, const ConfiguredPsk& configured);
// What is used after an authentication with secure concatenation.
TlsPsk make_generated_tls_psk(PskHash hash, const Psk& generated, std::string_view hostnqn, std::string_view subnqn);

}  // namespace weft::nvme::tls
