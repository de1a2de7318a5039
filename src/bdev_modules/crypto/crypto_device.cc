#include "bdev_modules/crypto/crypto_device.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/assert.h"
#include "bdev_modules/crypto/crypto_channel.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

Geometry encrypted(const Device& base) {
    Geometry geometry = geometry_of(base);
    geometry.metadata = {};
    geometry.metadata_in_data = false;
    return geometry;
}

std::vector<std::unique_ptr<Base>> alone(std::unique_ptr<Base> base) {
    std::vector<std::unique_ptr<Base>> bases;
    bases.push_back(std::move(base));
    return bases;
}

Json config_of(const CryptoOptions& options) {
    return {
        {"method", "bdev_crypto_create"},
        {"params", {{"base_bdev_name", options.base_name}, {"name", options.name}, {"key_name", options.key_name}}}};
}

Result<std::vector<std::string>> make(Registry& registry, accel::Framework& framework, const CryptoOptions& options,
                                      const HeldKey& key) {
    if (!framework.module_of(accel::Op::encrypt).is_inline() || !framework.module_of(accel::Op::decrypt).is_inline()) {
        return fail(Errc::not_supported,
                    "the module that encrypts must do so on the spot: assign software to encrypt "
                    "and decrypt (accel_assign_opc)");
    }
    auto base = Base::open(registry, options.base_name, "crypto");
    if (!base) return std::unexpected(std::move(base).error());
    Device& below = (*base)->device();
    if (below.metadata().metadata_bytes != 0) {
        return fail(
            Errc::not_supported,
            fmt::format("base_bdev_name: the blocks of {} have metadata, which would not be encrypted", below.name()));
    }
    if (below.zones() != nullptr) {
        return fail(Errc::not_supported, fmt::format("base_bdev_name: {} is a zoned bdev", below.name()));
    }
    const Uuid uuid = crypto_uuid(below.uuid());
    WEFT_TRY(registry.add(std::make_unique<CryptoDevice>(options, uuid, registry, std::move(*base), framework, key)));
    return std::vector{options.name};
}

}  // namespace

// Refused while there is another copy, or somebody else has taken the key up.
HeldKey::~HeldKey() {
    if (!is_own_ || !key_) return;
    const std::string name = key_->name();
    key_ = {};
    static_cast<void>(keys_->remove(name));
}

CryptoDevice::CryptoDevice(CryptoOptions options, Uuid uuid, Registry& registry, std::unique_ptr<Base> base,
                           accel::Framework& framework, HeldKey key)
    : StackedDevice{options.name, uuid, encrypted(base->device()), registry, alone(std::move(base))},
      options_(std::move(options)),
      framework_(framework),
      key_(std::move(key)) {}

bool CryptoDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write:
        case Op::write_zeroes:  // zeroes, encrypted
        case Op::compare: return true;
        case Op::flush:
        case Op::unmap:
        case Op::verify:
        case Op::write_uncorrectable: return base(0)->device().supports(op);
        case Op::compare_and_write:  // nothing would hold the block in between
        case Op::copy:               // a block's place is in its ciphertext
        case Op::zone_append:
        case Op::zone_management: return false;
    }
    return false;
}

void CryptoDevice::describe(Json& driver_specific) const {
    driver_specific["crypto"] = {
        {"base_bdev_name", base(0)->device().name()}, {"name", name()}, {"key_name", options_.key_name}};
}

void CryptoDevice::write_config(Json& entries) const { entries.push_back(config_of(options_)); }

Task<void> CryptoDevice::close() {
    key_.reset();
    co_await StackedDevice::close();
}

Result<std::unique_ptr<IoChannel>> CryptoDevice::make_channel() {
    auto channel = std::make_unique<CryptoChannel>(*this);
    WEFT_TRY(channel->open());
    return channel;
}

void CryptoDevice::on_base_resized(Base& base) {
    set_block_count(base.device().block_count());
    registry().notify_resized(*this);
}

Uuid crypto_uuid(const Uuid& base) {
    constexpr std::array<uint8_t, 16> space = {0x07, 0x8E, 0x3C, 0xF7, 0xF4, 0xB4, 0x45, 0x45,
                                               0xB2, 0xC3, 0xD4, 0x00, 0x45, 0xA6, 0x4A, 0xE2};
    std::array<uint8_t, 32> named{};
    std::ranges::copy(base.octets(), std::ranges::copy(space, named.begin()).out);
    std::array<uint8_t, 20> digest{};
    WEFT_ASSERT(EVP_Digest(named.data(), named.size(), digest.data(), nullptr, EVP_sha1(), nullptr) == 1);
    std::array<uint8_t, 16> octets{};
    std::copy_n(digest.begin(), octets.size(), octets.begin());
    octets[6] = static_cast<uint8_t>((octets[6] & 0x0F) | 0x50);  // RFC 9562, 5.5
    octets[8] = static_cast<uint8_t>((octets[8] & 0x3F) | 0x80);
    return Uuid(octets);
}

Result<void> create_crypto_device(Awaited& awaited, accel::Framework& framework, const CryptoOptions& options) {
    auto key = framework.keys().find(options.key_name);
    if (!key) return std::unexpected(std::move(key).error());
    HeldKey held(framework.keys(), std::move(*key), options.owns_key);
    return awaited.ask({.module = "crypto",
                        .base = options.base_name,
                        .names = {options.name},
                        .config = [options] { return config_of(options); },
                        .make = [options, held = std::move(held), &framework,
                                 &registry = awaited.registry()] { return make(registry, framework, options, held); }});
}

}  // namespace weft::bdev
