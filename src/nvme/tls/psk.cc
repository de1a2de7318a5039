#include "nvme/tls/psk.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <initializer_list>

#include "nvme/fabrics.h"

namespace weft::nvme::tls {

namespace {

constexpr std::string_view retained_label = "tls13 HostNQN";
constexpr std::string_view tls_label = "tls13 nvme-tls-psk";
constexpr size_t context_bytes_max = 255;  // RFC 8446, 7.1

const unsigned char* octets(Bytes bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

const EVP_MD* function_of(PskHash hash) {
    WEFT_ASSERT(hash != PskHash::none);
    return hash == PskHash::sha256 ? EVP_sha256() : EVP_sha384();
}

Psk hmac(PskHash hash, Bytes key, Bytes message) {
    Psk result(size_of(hash));
    unsigned int size = 0;
    const unsigned char* const made =
        HMAC(function_of(hash), key.data(), static_cast<int>(key.size()), octets(message), message.size(),
             reinterpret_cast<unsigned char*>(result.mutable_bytes().data()), &size);
    WEFT_ASSERT(made != nullptr && size == result.size());
    return result;
}

// Wiped at its end: it holds keys.
struct Scratch {
    std::vector<std::byte> bytes;

    ~Scratch() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
    Scratch& add(Bytes more) {
        bytes.insert(bytes.end(), more.begin(), more.end());
        return *this;
    }
    Scratch& add(std::string_view text) { return add(bytes_of(text)); }
    Scratch& add(uint8_t number) {
        bytes.push_back(static_cast<std::byte>(number));
        return *this;
    }
};

// RFC 5869. The outputs here need two blocks at most.
Psk hkdf_expand(PskHash hash, const Psk& prk, Bytes info, size_t size_bytes) {
    Psk result(size_bytes);
    Psk block;
    size_t done = 0;
    for (uint8_t number = 1; done < size_bytes; ++number) {
        Scratch input;
        input.bytes.reserve(Psk::bytes_max + info.size() + 1);
        block = hmac(hash, prk.bytes(), input.add(block.bytes()).add(info).add(number).bytes);
        const size_t count = std::min(block.size(), size_bytes - done);
        std::copy_n(block.bytes().begin(), count, result.mutable_bytes().begin() + static_cast<ptrdiff_t>(done));
        done += count;
    }
    return result;
}

// HKDF-Extract without salt, and HKDF-Expand-Label (RFC 8446, 7.1).
Psk derive(PskHash hash, const Psk& from, std::string_view label, std::string_view context, size_t size_bytes,
           Derivation derivation) {
    const std::array<std::byte, Psk::bytes_max> no_salt{};
    const Psk prk = hmac(hash, Bytes(no_salt).first(size_of(hash)), from.bytes());
    Scratch info;
    if (derivation == Derivation::standard) {
        info.add(uint8_t{0}).add(static_cast<uint8_t>(size_bytes));
        info.add(static_cast<uint8_t>(label.size())).add(label);
        info.add(static_cast<uint8_t>(context.size())).add(context);
    } else {
        info.add(static_cast<uint8_t>(size_bytes)).add(uint8_t{0}).add(label).add(context);
    }
    return hkdf_expand(hash, prk, info.bytes, size_bytes);
}

std::string to_base64(Bytes bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), octets(bytes), static_cast<int>(bytes.size()));
    text.resize(static_cast<size_t>(size));
    return text;
}

// Exactly what to_base64() makes, with its padding; empty for anything else.
std::vector<std::byte> from_base64(std::string_view text) {
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    if (text.size() % 4 != 0 || text.empty()) return {};
    const bool is_pure = std::ranges::all_of(text.substr(0, text.size() - padding), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
    });
    if (!is_pure) return {};
    std::vector<std::byte> bytes(text.size() / 4 * 3);
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), octets(bytes_of(text)),
                                     static_cast<int>(text.size()));
    if (size != static_cast<int>(bytes.size())) return {};
    bytes.resize(bytes.size() - padding);
    if (to_base64(bytes) != text) return {};
    return bytes;
}

// CRC-32 as zlib and Ethernet have it.
uint32_t crc32(Bytes bytes) {
    uint32_t crc = ~uint32_t{0};
    for (const std::byte byte : bytes) {
        crc ^= static_cast<uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

std::unexpected<Error> refuse(std::string_view what) {
    return fail(Errc::invalid_argument,
                fmt::format("PSK: {}; it has the form NVMeTLSkey-1:01:BASE64: , as `nvme gen-tls-key` makes it", what));
}

bool is_digest(PskHash hash, std::string_view text) { return from_base64(text).size() == size_of(hash); }

}  // namespace

size_t size_of(PskHash hash) {
    WEFT_ASSERT(hash != PskHash::none);
    return hash == PskHash::sha256 ? 32 : 48;
}

PskHash hash_for(size_t key_bytes) { return key_bytes == 48 ? PskHash::sha384 : PskHash::sha256; }

Psk::Psk(Bytes bytes) : Psk(bytes.size()) { std::ranges::copy(bytes, bytes_.begin()); }

Psk::~Psk() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

bool operator==(const Psk& left, const Psk& right) {
    return left.size_ == right.size_ && CRYPTO_memcmp(left.bytes_.data(), right.bytes_.data(), left.size_) == 0;
}

Result<ConfiguredPsk> parse_interchange(std::string_view text) {
    constexpr std::string_view prefix = "NVMeTLSkey-1:";
    if (!text.starts_with(prefix)) return refuse("it does not begin with NVMeTLSkey-1:");
    if (text.size() > interchange_bytes_max) return refuse("it is too long");
    text.remove_prefix(prefix.size());
    if (text.size() < 4 || text[2] != ':' || !text.ends_with(':')) return refuse("a colon is missing");
    const std::string_view hash = text.substr(0, 2);
    if (hash != "00" && hash != "01" && hash != "02") {
        return refuse("the hash is none of 00 (none), 01 (SHA-256) and 02 (SHA-384)");
    }
    Scratch decoded{from_base64(text.substr(3, text.size() - 4))};
    const size_t size = decoded.bytes.size();
    if (size == 0) return refuse("what stands between the last colons is not base64");
    if (size != 32 + 4 && size != 48 + 4) return refuse("the key has neither 32 nor 48 bytes");
    const Bytes key = Bytes(decoded.bytes).first(size - 4);
    const Bytes check = Bytes(decoded.bytes).subspan(size - 4);
    if (load<le32>(check) != crc32(key)) return refuse("its check sum is wrong: a character is missing or mistyped");
    return ConfiguredPsk{static_cast<PskHash>(hash[1] - '0'), Psk(key)};
}

std::string to_interchange(const ConfiguredPsk& psk) {
    Scratch bytes;
    bytes.add(psk.key.bytes()).add(bytes_of(le32(crc32(psk.key.bytes()))));
    return fmt::format("NVMeTLSkey-1:{:02}:{}:", static_cast<int>(psk.hash), to_base64(bytes.bytes));
}

std::string PskIdentity::text() const {
    return fmt::format("NVMe{}{}{:02} {} {}{}{}", version, is_generated ? 'G' : 'R', static_cast<int>(hash), hostnqn,
                       subnqn, version == 0 ? "" : " ", digest);
}

std::optional<PskIdentity> parse_identity(std::string_view text) {
    if (text.size() > identity_bytes_max || text.size() < 11 || !text.starts_with("NVMe")) return std::nullopt;
    PskIdentity identity;
    if ((text[4] != '0' && text[4] != '1') || (text[5] != 'R' && text[5] != 'G') || text[8] != ' ') return std::nullopt;
    identity.version = static_cast<uint8_t>(text[4] - '0');
    identity.is_generated = text[5] == 'G';
    const std::string_view hash = text.substr(6, 2);
    if (hash != "01" && hash != "02") return std::nullopt;
    identity.hash = static_cast<PskHash>(hash[1] - '0');
    text.remove_prefix(9);
    const size_t first = text.find(' ');
    if (first == std::string_view::npos) return std::nullopt;
    identity.hostnqn = text.substr(0, first);
    text.remove_prefix(first + 1);
    if (identity.version == 1) {
        const size_t second = text.rfind(' ');
        if (second == std::string_view::npos || !is_digest(identity.hash, text.substr(second + 1))) return std::nullopt;
        identity.digest = text.substr(second + 1);
        text = text.substr(0, second);
    }
    identity.subnqn = text;
    // An NQN has no spaces, so that there is one way to read it.
    if (!is_valid_nqn(identity.hostnqn) || !is_valid_nqn(identity.subnqn)) return std::nullopt;
    if (identity.hostnqn.find(' ') != std::string::npos || identity.subnqn.find(' ') != std::string::npos) {
        return std::nullopt;
    }
    return identity;
}

std::string psk_digest(PskHash hash, const Psk& psk, std::string_view hostnqn, std::string_view subnqn) {
    const std::string message = fmt::format("{} {} NVMe-over-Fabrics", hostnqn, subnqn);
    return to_base64(hmac(hash, psk.bytes(), bytes_of(std::string_view(message))).bytes());
}

Psk retained_psk(const ConfiguredPsk& configured, std::string_view hostnqn, Derivation derivation) {
    if (configured.hash == PskHash::none) return configured.key;
    return derive(configured.hash, configured.key, retained_label, hostnqn, configured.key.size(), derivation);
}

std::optional<Psk> tls_psk(const PskIdentity& identity, const Psk& psk, Derivation derivation) {
    const std::string context = identity.version == 0
                                    ? identity.text()
                                    : fmt::format("{:02} {}", static_cast<int>(identity.hash), identity.digest);
    if (context.size() > context_bytes_max) return std::nullopt;
    return derive(identity.hash, psk, tls_label, context, size_of(identity.hash), derivation);
}

Psk generated_psk(PskHash hash, Bytes session_key, Bytes c1, Bytes c2) {
    Scratch message;
    return hmac(hash, session_key, message.add(c1).add(c2).bytes);
}

std::optional<TlsPsk> make_tls_psk(const ConfiguredPsk& configured, std::string_view hostnqn, std::string_view subnqn,
                                   uint8_t version, Derivation derivation) {
    const Psk retained = retained_psk(configured, hostnqn, derivation);
    PskIdentity identity{.version = version,
                         .hash = hash_for(configured.key.size()),
                         .hostnqn = std::string(hostnqn),
                         .subnqn = std::string(subnqn),
                         .digest = {}};
    if (version == 1) identity.digest = psk_digest(identity.hash, retained, hostnqn, subnqn);
    const auto key = tls_psk(identity, retained, derivation);
    if (!key) return std::nullopt;
    return TlsPsk{std::move(identity), *key};
}

std::vector<TlsPsk> tls_psks_for(const PskIdentity& identity, const ConfiguredPsk& configured) {
    std::vector<TlsPsk> found;
    if (identity.is_generated) return found;
    for (const Derivation derivation : derivations) {
        const Psk retained = retained_psk(configured, identity.hostnqn, derivation);
        // The digest is no secret: the host has just sent it.
        if (identity.version == 1 &&
            identity.digest != psk_digest(identity.hash, retained, identity.hostnqn, identity.subnqn)) {
            continue;
        }
        if (const auto key = tls_psk(identity, retained, derivation)) found.push_back({identity, *key});
    }
    return found;
}

TlsPsk make_generated_tls_psk(PskHash hash, const Psk& generated, std::string_view hostnqn, std::string_view subnqn) {
    PskIdentity identity{.version = 1,
                         .is_generated = true,
                         .hash = hash,
                         .hostnqn = std::string(hostnqn),
                         .subnqn = std::string(subnqn),
                         .digest = psk_digest(hash, generated, hostnqn, subnqn)};
    const auto key = tls_psk(identity, generated, Derivation::standard);
    WEFT_ASSERT(key.has_value());
    return {std::move(identity), *key};
}

}  // namespace weft::nvme::tls
