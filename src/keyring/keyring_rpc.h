// RPC methods: keyring_file_add_key, keyring_file_remove_key, keyring_get_keys; and the keyring's part of save_config.
#pragma once

#include <string>

#include "env/files.h"
#include "keyring/keyring.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"

namespace weft::rpc {
class Registry;
}

namespace weft::keyring {

inline constexpr const char* key_kind = "keyring_file_key";
inline rpc::ConfigKey config_key(const std::string& name) { return {key_kind, name, ""}; }

// All outlive the methods.
void add_keyring_methods(rpc::Registry& methods, Keyring& ring, env::Files& files);

// The calls that name all keys again: their files, never what is in them.
void write_config(const Keyring& ring, Json& entries);
// The call of that name; null when there is no such key.
Json config_entry(const Keyring& ring, const rpc::ConfigKey& key);

}  // namespace weft::keyring
