// nvmf_subsystem_set_keys, and keys of hosts by their names.
#include "nvmf/rpc/auth_rpc.h"

#include <fmt/format.h>

#include "keyring/keyring.h"
#include "nvme/auth/key.h"
#include "nvmf/target.h"
#include "rpc/registry.h"

namespace weft::nvmf {

namespace {

struct SetKeys {
    std::string nqn, host;
    std::optional<std::string> tgt_name, dhchap_key, dhchap_ctrlr_key;

    static constexpr auto fields() {
        using P = SetKeys;
        return rpc::fields(
            rpc::required("nqn", &P::nqn, "NQN of the subsystem"), rpc::required("host", &P::host, "NQN of the host"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"),
            rpc::optional("dhchap_key", &P::dhchap_key,
                          "Name of the key that the host authenticates with; without it, it needs none from now on"),
            rpc::optional("dhchap_ctrlr_key", &P::dhchap_ctrlr_key,
                          "Name of the key that the controller authenticates with; without it, it does not"));
    }
};

// Looks at the key now, so that a typing error is told to who makes it and not to a host some day.
Task<Result<keyring::KeyRef>> find_key(TargetHolder& holder, std::string parameter, std::string name) {
    if (holder.keys == nullptr || holder.target == nullptr)
        co_return fail(Errc::invalid_argument, "there is no keyring");
    auto key = holder.keys->find(name);
    if (!key) co_return fail(Errc::invalid_argument, fmt::format("{}: {}", parameter, key.error().message));
    env::Files& files = holder.target->environment().files();
    const Result<void> usable = co_await offload([&files, &key]() -> Result<void> {
        const auto text = keyring::read(files, **key);
        if (!text) return std::unexpected(text.error());
        const auto parsed = nvme::auth::parse_key(text->text());
        if (!parsed)
            return fail(Errc::invalid_argument, fmt::format("key {}: {}", (*key)->name(), parsed.error().message));
        return {};
    });
    if (!usable) co_return fail(Errc::invalid_argument, fmt::format("{}: {}", parameter, usable.error().message));
    co_return key;
}

Task<Result<Json>> set_keys(TargetHolder& holder, SetKeys params) {
    auto keys = co_await find_host_keys(holder, params.dhchap_key, params.dhchap_ctrlr_key);
    if (!keys) co_return std::unexpected(std::move(keys).error());
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    WEFT_CO_TRY(co_await (*subsystem)->set_host_keys(params.host, std::move(*keys)));
    co_return Json(true);
}

}  // namespace

Task<Result<HostKeys>> find_host_keys(TargetHolder& holder, std::optional<std::string> dhchap_key,
                                      std::optional<std::string> dhchap_ctrlr_key) {
    HostKeys keys;
    if (dhchap_ctrlr_key && !dhchap_key) {
        co_return fail(Errc::invalid_argument, "dhchap_ctrlr_key needs dhchap_key: the host authenticates first");
    }
    if (dhchap_key) {
        auto found = co_await find_key(holder, "dhchap_key", *dhchap_key);
        if (!found) co_return std::unexpected(std::move(found).error());
        keys.host = std::move(*found);
    }
    if (dhchap_ctrlr_key) {
        auto found = co_await find_key(holder, "dhchap_ctrlr_key", *dhchap_ctrlr_key);
        if (!found) co_return std::unexpected(std::move(found).error());
        keys.controller = std::move(*found);
    }
    co_return keys;
}

void tell_host_keys(const Subsystem& subsystem, const std::string& host, Json& told) {
    const HostKeys keys = subsystem.keys_of(host);
    if (keys.host) told["dhchap_key"] = keys.host->name();
    if (keys.controller) told["dhchap_ctrlr_key"] = keys.controller->name();
}

void add_auth_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<SetKeys>({.name = "nvmf_subsystem_set_keys",
                           .role = rpc::Role::operate,
                           .text = "Gives a host other keys; who is connected uses them when it authenticates again",
                           .codes = refused_as_internal,
                           .changes_config = true},
                          [&holder](SetKeys params) { return set_keys(holder, std::move(params)); });
}

}  // namespace weft::nvmf
