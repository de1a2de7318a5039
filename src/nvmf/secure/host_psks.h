// Which key a host has for which subsystem, for TLS. The keys themselves stay in their files, and are read when a host
// comes. Lives on the app thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "env/files.h"
#include "keyring/keyring.h"
#include "nvme/tls/psk.h"
#include "reactor/task.h"

namespace weft::nvmf {

// A configured PSK that is in the keyring. May be copied and used on any thread.
class HostPsk {
public:
    // On the app thread. Looks at what the key's file holds now, and forgets it. `files` outlives it. Errors: not_found
    // (no such key), invalid_argument (no PSK in interchange format), those of reading.
    static Task<Result<HostPsk>> open(const keyring::Keyring& ring, env::Files& files, std::string key_name);

    [[nodiscard]] const std::string& name() const { return key_->name(); }
    // May block. Errors say what is wrong with what the file holds, and not what it is.
    [[nodiscard]] Result<nvme::tls::ConfiguredPsk> read() const;

private:
    HostPsk(keyring::KeyRef key, env::Files& files) : key_(std::move(key)), files_(&files) {}
    keyring::KeyRef key_;
    env::Files* files_;
};

class HostPsks {
public:
    [[nodiscard]] std::optional<HostPsk> find(std::string_view subnqn, std::string_view hostnqn) const {
        const auto found = keys_.find(std::pair<std::string, std::string>(subnqn, hostnqn));
        return found == keys_.end() ? std::nullopt : std::optional(found->second);
    }
    void set(std::string subnqn, std::string hostnqn, HostPsk key) {
        keys_.insert_or_assign({std::move(subnqn), std::move(hostnqn)}, std::move(key));
    }
    void remove(const std::string& subnqn, const std::string& hostnqn) { keys_.erase({subnqn, hostnqn}); }
    void remove_subsystem(const std::string& subnqn) {
        std::erase_if(keys_, [&](const auto& entry) { return entry.first.first == subnqn; });
    }

private:
    std::map<std::pair<std::string, std::string>, HostPsk> keys_;  // by NQN of subsystem and host
};

}  // namespace weft::nvmf
