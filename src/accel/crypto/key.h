// Keys for encrypt and decrypt, by name. What a key is stays in wiped memory: it is in no answer, log or configuration.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/secret.h"

namespace weft::accel {

enum class Cipher : uint8_t { aes_cbc, aes_xts };
std::string_view name_of(Cipher cipher);  // "AES_XTS"

// What block is encrypted enters its cipher as a tweak of 16 bytes; see tweak.h.
enum class TweakMode : uint8_t { simple_lba, join_neg_lba_with_lba, incr_512_full_lba, incr_512_upper_lba };
std::string_view name_of(TweakMode mode);  // "SIMPLE_LBA"

inline constexpr size_t crypto_key_name_size_max = 255;

struct CryptoKeyOptions {
    std::string name;
    Cipher cipher = Cipher::aes_xts;
    TweakMode tweak_mode = TweakMode::simple_lba;
    Secret key;  // 16 or 32 bytes
    Secret key2;  // AES_XTS: as many, and others; AES_CBC: empty
    // The keys of the keyring that these were read from; empty when they came with the call, and then nothing but this
    // process knows them.
    std::string keyring_key;
    std::string keyring_key2;
};

// Never changes; for any thread.
class CryptoKey {
public:
    explicit CryptoKey(CryptoKeyOptions options) : options_(std::move(options)) {}

    [[nodiscard]] const std::string& name() const { return options_.name; }
    [[nodiscard]] Cipher cipher() const { return options_.cipher; }
    [[nodiscard]] TweakMode tweak_mode() const { return options_.tweak_mode; }
    [[nodiscard]] Bytes key() const { return options_.key.bytes(); }
    [[nodiscard]] Bytes key2() const { return options_.key2.bytes(); }
    [[nodiscard]] const std::string& keyring_key() const { return options_.keyring_key; }
    [[nodiscard]] const std::string& keyring_key2() const { return options_.keyring_key2; }
    // How many CryptoKeyRef there are.
    [[nodiscard]] uint32_t users() const { return users_.load(std::memory_order_acquire); }

private:
    friend class CryptoKeyRef;
    const CryptoKeyOptions options_;
    mutable std::atomic<uint32_t> users_ = 0;
};

// Says that somebody uses the key; CryptoKeys owns it. Copied and let go on any thread. May be empty.
class CryptoKeyRef {
public:
    CryptoKeyRef() = default;
    explicit CryptoKeyRef(const CryptoKey& key) : key_(&key) { key_->users_.fetch_add(1, std::memory_order_relaxed); }
    CryptoKeyRef(const CryptoKeyRef& other) : key_(other.key_) {
        if (key_ != nullptr) key_->users_.fetch_add(1, std::memory_order_relaxed);
    }
    CryptoKeyRef(CryptoKeyRef&& other) noexcept : key_(std::exchange(other.key_, nullptr)) {}
    CryptoKeyRef& operator=(CryptoKeyRef other) noexcept {
        std::swap(key_, other.key_);
        return *this;
    }
    ~CryptoKeyRef() {
        if (key_ != nullptr) key_->users_.fetch_sub(1, std::memory_order_release);
    }

    explicit operator bool() const { return key_ != nullptr; }
    const CryptoKey& operator*() const { return *key_; }
    const CryptoKey* operator->() const { return key_; }

private:
    const CryptoKey* key_ = nullptr;
};

class Module;

// All keys. App thread; outlives every CryptoKeyRef.
class CryptoKeys {
public:
    CryptoKeys() = default;
    CryptoKeys(const CryptoKeys&) = delete;
    CryptoKeys& operator=(const CryptoKeys&) = delete;
    ~CryptoKeys();

    // For `module`, which encrypts. Errors: already_exists; invalid_argument: a key that is too short, missing, the
    // same as key2, or of a kind that the module does not do.
    Result<void> add(const Module& module, CryptoKeyOptions options);
    // Errors: not_found; busy while somebody uses it.
    Result<void> remove(const std::string& name);
    // Nobody uses any.
    void remove_all();
    // Errors: not_found.
    [[nodiscard]] Result<CryptoKeyRef> find(const std::string& name) const;
    [[nodiscard]] const std::map<std::string, std::unique_ptr<const CryptoKey>>& all() const { return keys_; }

    // A key came or went.
    std::function<void(const std::string& name)> on_change;

private:
    std::map<std::string, std::unique_ptr<const CryptoKey>> keys_;
};

// Of hexadecimal digits, an even number of them and at most 256. Errors: invalid_argument, without saying what was
// there.
Result<Secret> secret_of_hex(std::string_view digits);

}  // namespace weft::accel
