// weft_*_state, weft_forget_missing: the state directory as an operator sees it.
#include <fmt/format.h>

#include "app/daemon/daemon.h"
#include "rpc/json.h"

namespace weft::app {

namespace {

Result<state::Keeper*> keeper_of(const Daemon& daemon) {
    if (daemon.keeper() != nullptr) return daemon.keeper();
    return fail(Errc::not_supported, "weftd runs without --state: nothing is kept");
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
         .text = "The state directory: how much is kept, which entries of it are not there (--state-skip-failed), and "
                 "why nothing can be kept any more, if that is so",
         .states = rpc::States::any,
         .result = "object"},
        [&daemon](rpc::NoParams) { return get_state(daemon); });
    registry.add<rpc::NoParams>({.name = "weft_forget_missing",
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
