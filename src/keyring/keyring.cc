#include "keyring/keyring.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace weft::keyring {

namespace {

bool is_space(std::byte byte) {
    const char letter = static_cast<char>(byte);
    return letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t';
}

Result<void> check_name(const std::string& name) {
    if (name.empty() || name.size() > key_name_size_max) {
        return fail(Errc::invalid_argument, fmt::format("name: must have 1 to {} characters", key_name_size_max));
    }
    // A colon stands between the name of a ring and that of a key where the field has several rings.
    const bool is_plain =
        std::ranges::all_of(name, [](char letter) { return letter > ' ' && letter <= '~' && letter != ':'; });
    if (!is_plain) return fail(Errc::invalid_argument, "name: holds a space, a colon or no ASCII character");
    return {};
}

}  // namespace

Result<Secret> read(env::Files& files, const Key& key) {
    Secret secret(key_bytes_max);
    const auto size = files.read_key(key.path(), secret.mutable_bytes());
    if (!size) return fail(size.error().code, fmt::format("key {}: {}", key.name(), size.error().message));
    size_t used = *size;
    while (used > 0 && is_space(secret.bytes()[used - 1])) --used;
    if (used == 0) {
        return fail(Errc::invalid_argument, fmt::format("key {}: {} is empty", key.name(), log::quoted(key.path())));
    }
    secret.shorten(used);
    return secret;
}

Keyring::~Keyring() {
    for (const auto& [name, key] : keys_) WEFT_ASSERT(key->users() == 0);
    for (const auto& key : removed_) WEFT_ASSERT(key->users() == 0);
}

Task<Result<void>> Keyring::add_file(env::Files& files, std::string name, std::string path) {
    WEFT_CO_TRY(check_name(name));
    if (!path.starts_with('/')) co_return fail(Errc::invalid_argument, "path: must be absolute");
    const auto there = [&name] { return fail(Errc::already_exists, fmt::format("key {} already exists", name)); };
    if (keys_.contains(name)) co_return there();
    auto key = std::make_unique<const Key>(name, std::move(path));
    const auto secret = co_await offload([&files, &key = *key] { return read(files, key); });
    if (!secret) co_return std::unexpected(secret.error());
    if (keys_.contains(name)) co_return there();  // while the file was looked at
    keys_.emplace(name, std::move(key));
    if (on_change) on_change(name);
    co_return Result<void>{};
}

Result<void> Keyring::remove(const std::string& name) {
    const auto at = keys_.find(name);
    if (at == keys_.end()) return fail(Errc::not_found, fmt::format("there is no key {}", log::quoted(name, 64)));
    if (const uint32_t users = at->second->users(); users > 0) {
        WEFT_WARNLOG("key {} is removed while {} use it; they keep it until they are given another", name, users);
    }
    removed_.push_back(std::move(at->second));
    keys_.erase(at);
    (void)removed_keys();
    if (on_change) on_change(name);
    return {};
}

void Keyring::remove_all() {
    while (!keys_.empty()) static_cast<void>(remove(std::string(keys_.begin()->first)));
}

Result<KeyRef> Keyring::find(const std::string& name) const {
    const auto at = keys_.find(name);
    if (at != keys_.end()) return KeyRef(*at->second);
    return fail(Errc::not_found,
                fmt::format("there is no key {}; add it first: keyring_file_add_key NAME PATH", log::quoted(name, 64)));
}

const std::vector<std::unique_ptr<const Key>>& Keyring::removed_keys() {
    // Nobody can begin to use one of these.
    std::erase_if(removed_, [](const auto& key) { return key->users() == 0; });
    return removed_;
}

}  // namespace weft::keyring
