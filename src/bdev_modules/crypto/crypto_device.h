// An encrypted bdev on another one: what the base holds is ciphertext, block by block.
//
// A block of the base that is all zeroes was never written through this device, or was unmapped, and reads as zeroes:
// no block that was written looks so but by a chance of one in 2^4096. So unmapping frees space below, and what was
// unmapped reads as it does on every device here.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "accel/framework.h"
#include "bdev/stack/awaited.h"
#include "bdev/stack/stacked_device.h"

namespace weft::bdev {

struct CryptoOptions {
    std::string name;
    std::string base_name;
    std::string key_name;
    bool owns_key = false;  // the key was made for this device by its creation
};

// The key of a crypto bdev, held from when the bdev is asked for: also while it waits for its base. One that was made
// for it goes with the last copy of this. App thread, but for key().
class HeldKey {
public:
    HeldKey(accel::CryptoKeys& keys, accel::CryptoKeyRef key, bool is_own)
        : keys_(&keys), key_(std::move(key)), is_own_(is_own) {}
    HeldKey(const HeldKey&) = default;
    HeldKey(HeldKey&&) noexcept = default;
    HeldKey& operator=(const HeldKey&) = delete;
    HeldKey& operator=(HeldKey&&) = delete;
    ~HeldKey();
    [[nodiscard]] const accel::CryptoKeyRef& key() const { return key_; }

private:
    accel::CryptoKeys* keys_;
    accel::CryptoKeyRef key_;
    const bool is_own_;
};

class CryptoDevice final : public StackedDevice {
public:
    CryptoDevice(CryptoOptions options, Uuid uuid, Registry& registry, std::unique_ptr<Base> base,
                 accel::Framework& framework, HeldKey key);

    [[nodiscard]] std::string_view product_name() const override { return "crypto"; }
    [[nodiscard]] bool supports(Op op) const override;
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;
    Task<void> close() override;

    [[nodiscard]] accel::Framework& framework() const { return framework_; }
    [[nodiscard]] const accel::CryptoKeyRef& key() const { return key_->key(); }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;
    void on_base_resized(Base& base) override;

private:
    const CryptoOptions options_;
    accel::Framework& framework_;
    std::optional<HeldKey> key_;  // until it is closed
};

// Makes one, now or when its base comes. App thread. Errors: not_found: no such key; not_supported: a base with
// metadata or zones, or a module that encrypts later; those of Awaited::ask().
Result<void> create_crypto_device(Awaited& awaited, accel::Framework& framework, const CryptoOptions& options);

// The UUID that the field gives a crypto bdev on a base with this one: version 5, in a namespace of its own.
Uuid crypto_uuid(const Uuid& base);

}  // namespace weft::bdev
