#include "nvmf/secure/host_psks.h"

#include <fmt/format.h>

namespace weft::nvmf {

Task<Result<HostPsk>> HostPsk::open(const keyring::Keyring& ring, env::Files& files, std::string key_name) {
    auto key = ring.find(key_name);
    if (!key) co_return std::unexpected(std::move(key).error());
    const HostPsk psk(std::move(*key), files);
    const auto read = co_await offload([&psk] { return psk.read(); });
    if (!read) co_return std::unexpected(read.error());
    co_return psk;
}

Result<nvme::tls::ConfiguredPsk> HostPsk::read() const {
    const auto secret = keyring::read(*files_, *key_);
    if (!secret) return std::unexpected(secret.error());
    auto psk = nvme::tls::parse_interchange(secret->text());
    if (!psk) return fail(psk.error().code, fmt::format("key {}: {}", key_->name(), psk.error().message));
    return psk;
}

}  // namespace weft::nvmf
