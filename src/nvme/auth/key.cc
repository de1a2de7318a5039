#include "nvme/auth/key.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

namespace weft::nvme::auth {

namespace {

constexpr std::string_view prefix = "DHHC-1:";
constexpr size_t checksum_size = 4;

std::unexpected<Error> refuse(std::string_view why) {
    return fail(Errc::invalid_argument,
                fmt::format("not a DH-HMAC-CHAP secret (DHHC-1:hh:base64:, as nvme gen-dhchap-key makes it): {}", why));
}

const EVP_MD* md_of(Hash hash) {
    switch (hash) {
        case Hash::sha256: return EVP_sha256();
        case Hash::sha384: return EVP_sha384();
        case Hash::sha512: break;
    }
    return EVP_sha512();
}

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

// CRC-32 of zlib and Ethernet, which is not the CRC-32C of the wire.
uint32_t crc32(Bytes bytes) {
    uint32_t crc = 0xFFFFFFFF;
    for (const std::byte byte : bytes) {
        crc ^= static_cast<uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0xEDB88320 : 0U);
    }
    return ~crc;
}

// Without a table, so that no cache line tells of the secret. 64 for what is no digit.
uint32_t base64_value(char digit) {
    if (digit >= 'A' && digit <= 'Z') return static_cast<uint32_t>(digit - 'A');
    if (digit >= 'a' && digit <= 'z') return static_cast<uint32_t>(digit - 'a') + 26;
    if (digit >= '0' && digit <= '9') return static_cast<uint32_t>(digit - '0') + 52;
    if (digit == '+') return 62;
    return digit == '/' ? 63 : 64;
}

// RFC 4648, 4, with its padding; empty when it is not that.
Secret decode_base64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0) return {};
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    text.remove_suffix(padding);
    Secret secret(text.size() * 3 / 4);
    const MutableBytes bytes = secret.mutable_bytes();
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t at = 0;
    for (const char digit : text) {
        const uint32_t value = base64_value(digit);
        if (value > 63) return {};
        bits = bits << 6 | value;
        bit_count += 6;
        if (bit_count < 8) continue;
        bit_count -= 8;
        bytes[at++] = static_cast<std::byte>(bits >> bit_count);
        bits &= (1U << bit_count) - 1;
    }
    if (bits != 0) return {};
    return secret;
}

}  // namespace

Result<Key> parse_key(std::string_view text) {
    if (!text.starts_with(prefix)) return refuse("it does not begin with DHHC-1:");
    text.remove_prefix(prefix.size());
    if (text.size() < 3 || text[0] != '0' || text[1] < '0' || text[1] > '3' || text[2] != ':') {
        return refuse("the two digits behind it must be 00, 01, 02 or 03");
    }
    const auto transform = static_cast<uint8_t>(text[1] - '0');
    text.remove_prefix(3);
    if (!text.ends_with(':')) return refuse("it does not end with a colon");
    text.remove_suffix(1);
    constexpr size_t base64_size_max = 92;  // of the longest secret and its checksum
    if (text.size() > base64_size_max) return refuse("it is too long");
    Secret secret = decode_base64(text);
    if (secret.empty()) return refuse("what should be base64 is not");
    if (secret.size() <= checksum_size) return refuse("it is too short");
    const size_t size = secret.size() - checksum_size;
    if (size != 32 && size != 48 && size != 64) return refuse("a secret has 32, 48 or 64 bytes");
    // 8.13.5.8: a secret that is transformed has as many bytes as the hash.
    if (transform != 0 && size != size_of(static_cast<Hash>(transform))) {
        return refuse("its length is not that of its hash");
    }
    if (load<le32>(secret.bytes().last(checksum_size)) != crc32(secret.bytes().first(size))) {
        return refuse("its checksum is wrong: a typing error?");
    }
    secret.shorten(size);
    return Key{transform, std::move(secret)};
}

Secret print_key(uint8_t transform, Bytes secret) {
    Secret whole(secret.size() + checksum_size);
    std::ranges::copy(secret, whole.mutable_bytes().begin());
    store(whole.mutable_bytes().subspan(secret.size()), le32(crc32(secret)));
    const size_t base64_size = (whole.size() + 2) / 3 * 4;
    Secret text(prefix.size() + 3 + base64_size + 2);  // EVP_EncodeBlock() ends with a NUL
    const std::string begin = fmt::format("{}{:02}:", prefix, transform);
    std::ranges::copy(bytes_of(std::string_view(begin)), text.mutable_bytes().begin());
    EVP_EncodeBlock(raw(text.mutable_bytes().data() + begin.size()), raw(whole.bytes().data()),
                    static_cast<int>(whole.size()));
    text.mutable_bytes()[text.size() - 2] = std::byte{':'};
    text.shorten(text.size() - 1);
    return text;
}

Digest digest(Hash hash, Bytes data) {
    Digest made;
    unsigned int size = 0;
    const int done = EVP_Digest(data.data(), data.size(), raw(made.bytes.data()), &size, md_of(hash), nullptr);
    WEFT_ASSERT(done == 1);
    made.size = size;
    return made;
}

Digest hmac(Hash hash, Bytes key, Bytes data) {
    Digest made;
    unsigned int size = 0;
    const unsigned char* const done = HMAC(md_of(hash), key.data(), static_cast<int>(key.size()), raw(data.data()),
                                           data.size(), raw(made.bytes.data()), &size);
    WEFT_ASSERT(done != nullptr);
    made.size = size;
    return made;
}

Digest respond(const Key& key, const ResponseOf& what) {
    Secret transformed = key.secret.copy();
    if (key.transform != 0) {
        std::string name(what.own_nqn);
        name += "NVMe-over-Fabrics";
        Digest made = hmac(static_cast<Hash>(key.transform), key.secret.bytes(), bytes_of(std::string_view(name)));
        transformed = Secret(made.view());
        wipe(made.bytes);
    }
    Digest challenge;
    if (what.shared_secret.empty()) {
        challenge.size = what.challenge.size();
        WEFT_ASSERT(challenge.size <= hash_size_max);
        std::ranges::copy(what.challenge, challenge.bytes.begin());
    } else {
        Digest hashed = digest(what.hash, what.shared_secret);
        challenge = hmac(what.hash, hashed.view(), what.challenge);
        wipe(hashed.bytes);
    }
    std::string signed_text(text_of(challenge.view()));
    const le32 sequence = what.sequence;
    const le16 transaction = what.transaction;
    signed_text += text_of(bytes_of(sequence));
    signed_text += text_of(bytes_of(transaction));
    signed_text += static_cast<char>(what.secure_channel);
    signed_text += what.role == Role::host ? "HostHost" : "Controller";
    signed_text += what.own_nqn;
    signed_text += '\0';
    signed_text += what.other_nqn;
    const Digest response = hmac(what.hash, transformed.bytes(), bytes_of(std::string_view(signed_text)));
    wipe(std::as_writable_bytes(std::span(signed_text)));
    wipe(challenge.bytes);
    return response;
}

tls::Psk generate_psk(Hash hash, Bytes shared_secret, Bytes c1, Bytes c2) {
    WEFT_ASSERT(concatenation_allows.takes(hash));
    Digest session_key = digest(hash, shared_secret);
    tls::Psk psk = tls::generated_psk(static_cast<tls::PskHash>(hash), session_key.view(), c1, c2);
    wipe(session_key.bytes);
    return psk;
}

bool is_same(Bytes left, Bytes right) {
    return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace weft::nvme::auth
