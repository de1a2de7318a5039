#include "accel/crypto/key.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "accel/module.h"
#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"

namespace weft::accel {

namespace {

constexpr size_t hex_digits_max = 256;

// Without saying by how long it takes where two keys differ.
bool is_same(Bytes one, Bytes other) {
    return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

Result<void> check_keys(const CryptoKeyOptions& options) {
    const Bytes key = options.key.bytes();
    const Bytes key2 = options.key2.bytes();
    if (key.empty()) return fail(Errc::invalid_argument, "key: missing");
    if (options.cipher == Cipher::aes_cbc) {
        if (!key2.empty()) return fail(Errc::invalid_argument, "key2: AES_CBC has one key only");
        return {};
    }
    if (key2.empty()) return fail(Errc::invalid_argument, "key2: missing; AES_XTS needs two keys");
    if (key.size() != key2.size()) {
        return fail(
            Errc::invalid_argument,
            fmt::format("key2: has {} bytes, key has {}: they must be as long as each other", key2.size(), key.size()));
    }
    // IEEE 1619 and SP 800-38E: with two keys alike a chosen ciphertext breaks the mode.
    if (is_same(key, key2)) return fail(Errc::invalid_argument, "key2: the same as key, which is not secure");
    return {};
}

}  // namespace

std::string_view name_of(Cipher cipher) { return cipher == Cipher::aes_xts ? "AES_XTS" : "AES_CBC"; }

std::string_view name_of(TweakMode mode) {
    switch (mode) {
        case TweakMode::simple_lba: return "SIMPLE_LBA";
        case TweakMode::join_neg_lba_with_lba: return "JOIN_NEG_LBA_WITH_LBA";
        case TweakMode::incr_512_full_lba: return "INCR_512_FULL_LBA";
        case TweakMode::incr_512_upper_lba: return "INCR_512_UPPER_LBA";
    }
    return "?";
}

CryptoKeys::~CryptoKeys() {
    for (const auto& [name, key] : keys_) WEFT_ASSERT(key->users() == 0);
}

Result<void> CryptoKeys::add(const Module& module, CryptoKeyOptions options) {
    if (options.name.empty() || options.name.size() > crypto_key_name_size_max) {
        return fail(Errc::invalid_argument, fmt::format("name: must have 1 to {} bytes", crypto_key_name_size_max));
    }
    if (keys_.contains(options.name)) {
        return fail(Errc::already_exists,
                    fmt::format("name: there is a crypto key {} already", log::quoted(options.name, 64)));
    }
    WEFT_TRY(check_keys(options));
    if (!module.supports_cipher(options.cipher, options.key.size())) {
        return fail(Errc::invalid_argument, fmt::format("key: module {} has no {} with keys of {} bytes", module.name(),
                                                        name_of(options.cipher), options.key.size()));
    }
    if (!module.supports_tweak(options.tweak_mode)) {
        return fail(Errc::invalid_argument,
                    fmt::format("tweak_mode: module {} has no {}", module.name(), name_of(options.tweak_mode)));
    }
    std::string name = options.name;
    keys_.emplace(name, std::make_unique<const CryptoKey>(std::move(options)));
    if (on_change) on_change(name);
    return {};
}

Result<void> CryptoKeys::remove(const std::string& name) {
    const auto at = keys_.find(name);
    if (at == keys_.end()) {
        return fail(Errc::not_found, fmt::format("there is no crypto key {}", log::quoted(name, 64)));
    }
    if (at->second->users() > 0) {
        return fail(Errc::busy,
                    fmt::format("crypto key {} is in use: remove the bdevs that have it first", log::quoted(name, 64)));
    }
    keys_.erase(at);
    if (on_change) on_change(name);
    return {};
}

void CryptoKeys::remove_all() {
    while (!keys_.empty()) WEFT_ASSERT(remove(std::string(keys_.begin()->first)).has_value());
}

Result<CryptoKeyRef> CryptoKeys::find(const std::string& name) const {
    const auto at = keys_.find(name);
    if (at == keys_.end()) {
        return fail(Errc::not_found, fmt::format("there is no crypto key {}: make it by accel_crypto_key_create first",
                                                 log::quoted(name, 64)));
    }
    return CryptoKeyRef(*at->second);
}

Result<Secret> secret_of_hex(std::string_view digits) {
    if (digits.size() > hex_digits_max || digits.size() % 2 != 0) {
        return fail(Errc::invalid_argument,
                    fmt::format("{} characters; it must be hexadecimal, two digits a byte", digits.size()));
    }
    Secret secret(digits.size() / 2);
    const MutableBytes into = secret.mutable_bytes();
    if (!parse_hex(digits, {reinterpret_cast<uint8_t*>(into.data()), into.size()})) {
        return fail(Errc::invalid_argument, "it is not hexadecimal");
    }
    return secret;
}

}  // namespace weft::accel
