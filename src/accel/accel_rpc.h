// accel_*: assignments, options, figures, keys, injected errors; and what of them is saved.
#pragma once

#include "accel/framework.h"
#include "keyring/keyring.h"
#include "reactor/runtime.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"
#include "rpc/registry.h"

namespace weft::accel {

struct RpcContext {
    Framework& framework;
    keyring::Keyring& keyring;
    env::Files& files;
    Runtime& runtime;
    // Told of what changed of the saved configuration.
    std::function<void(rpc::ConfigKey key)> on_change;
};

// All that the context names outlives the methods.
void add_accel_methods(rpc::Registry& methods, RpcContext context);
// key_rpc.cc; called by the above.
void add_key_methods(rpc::Registry& methods, const RpcContext& context);

inline constexpr const char* options_kind = "accel_set_options";
inline constexpr const char* assignment_kind = "accel_assign_opc";
inline constexpr const char* injection_kind = "accel_error_inject_error";
inline constexpr const char* key_kind = "accel_crypto_key";
inline rpc::ConfigKey assignment_key(Op op) { return {assignment_kind, std::string(name_of(op)), ""}; }
inline rpc::ConfigKey injection_key(Op op) { return {injection_kind, std::string(name_of(op)), ""}; }
inline rpc::ConfigKey crypto_key_key(const std::string& name) { return {key_kind, name, ""}; }

// "config" of subsystem "accel". Keys that came with a call are not in it: nobody but the process has them.
void write_config(const Framework& framework, Json& entries);
// The call of that name, as write_config() has it; null when there is none.
Json config_entry(const Framework& framework, const rpc::ConfigKey& key);
Json crypto_key_entry(const CryptoKey& key);

}  // namespace weft::accel
