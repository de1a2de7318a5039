// weft_apply_config, and the state directory as an operator sees it.
#include <fmt/format.h>

#include "app/daemon/daemon.h"
#include "app/state/apply.h"
#include "rpc/json.h"

namespace weft::app {

namespace {

Result<state::Keeper*> keeper_of(const Daemon& daemon) {
    if (daemon.keeper() != nullptr) return daemon.keeper();
    return fail(Errc::not_supported, "weftd runs without --state: nothing is kept");
}

struct ApplyConfig {
    std::optional<std::string> config, filename;
    bool dry_run = false;
    static constexpr auto fields() {
        using P = ApplyConfig;
        return rpc::fields(
            rpc::optional("config", &P::config, "The configuration: the text of a file in save_config's form"),
            rpc::optional("filename", &P::filename, "Or its name, as the target sees it; an absolute path"),
            rpc::optional("dry_run", &P::dry_run, "Only tell the differences"));
    }
};

Task<Result<std::string>> text_of(Daemon& daemon, ApplyConfig params) {
    if (params.config.has_value() == params.filename.has_value()) {
        co_return fail(Errc::invalid_argument, "give either config or filename");
    }
    if (params.config) co_return std::move(*params.config);
    if (!params.filename->starts_with('/')) co_return fail(Errc::invalid_argument, "filename: not an absolute path");
    env::Files& files = daemon.runtime().environment().files();
    co_return co_await offload(
        [&files, &path = *params.filename] { return files.read_allowed(path, config_bytes_max); });
}

Json json_of(const state::Plan& plan, bool is_applied) {
    using Kind = state::Difference::Kind;
    Json changes = Json::array();
    for (const state::Difference& difference : plan.differences) {
        const char* action = difference.kind == Kind::added     ? "add"
                             : difference.kind == Kind::removed ? "remove"
                                                                : "change";
        changes.push_back({{"action", action}, {"what", state::describe(difference.key)}, {"text", difference.text}});
    }
    return {{"changes", std::move(changes)}, {"applied", is_applied}};
}

Task<Result<Json>> apply_config(Daemon& daemon, ApplyConfig params) {
    const bool is_dry_run = params.dry_run;
    auto text = co_await text_of(daemon, std::move(params));
    if (!text) co_return std::unexpected(std::move(text).error());
    state::Document wanted;
    if (auto read = wanted.read_text(*text); !read) co_return std::unexpected(std::move(read).error());
    const auto running = [&daemon] { return state::document_of(daemon.config_entries()); };
    if (is_dry_run) {
        const auto now = running();
        if (!now) co_return std::unexpected(now.error());
        auto plan = state::make_plan(*now, wanted);
        if (!plan) co_return std::unexpected(std::move(plan).error());
        co_return json_of(*plan, false);
    }
    auto plan = co_await state::apply(daemon.methods(), running, std::move(wanted));
    if (!plan) co_return std::unexpected(std::move(plan).error());
    // What an earlier start could not apply is either in the file, and so there now, or not wanted.
    if (daemon.keeper() != nullptr) daemon.keeper()->forget_missing();
    co_return json_of(*plan, true);
}

Task<Result<Json>> get_state(const Daemon& daemon) {
    auto keeper = keeper_of(daemon);
    if (!keeper) co_return std::unexpected(std::move(keeper).error());
    Json missing = Json::array();
    for (const rpc::ConfigKey& key : (*keeper)->missing()) missing.push_back(state::describe(key));
    co_return Json{{"directory", (*keeper)->folder()},
                   {"entries", (*keeper)->document().size()},
                   {"missing", std::move(missing)},
                   {"failure", (*keeper)->failure()}};
}

}  // namespace

void add_state_methods(rpc::Registry& registry, Daemon& daemon) {
    registry.add<rpc::NoParams>(
        {.name = "weft_get_state",
         .role = rpc::Role::read,
         .text = "The state directory: how much is kept, which entries of it are not there (--state-skip-failed), and "
                 "why nothing can be kept any more, if that is so",
         .states = rpc::States::any,
         .result = "object"},
        [&daemon](rpc::NoParams) { return get_state(daemon); });
    registry.add<ApplyConfig>({.name = "weft_apply_config",
                               .role = rpc::Role::admin,
                               .text = "Makes the running configuration what a file says, or leaves it as it is: one "
                                       "transaction, kept as one change. A method of Weft's own",
                               .result = "object: changes (action, what, text), applied",
                               .changes_config = true},
                              [&daemon](ApplyConfig params) { return apply_config(daemon, std::move(params)); });
    registry.add<rpc::NoParams>({.name = "weft_forget_missing",
                                 .role = rpc::Role::admin,
                                 .text = "Takes the entries that are not there out of the state directory",
                                 .changes_config = true},
                                [&daemon](rpc::NoParams) -> Task<Result<Json>> {
                                    auto keeper = keeper_of(daemon);
                                    if (!keeper) co_return std::unexpected(std::move(keeper).error());
                                    (*keeper)->forget_missing();
                                    co_return Json(true);
                                });
}

}  // namespace weft::app
