// Methods that set ANA states.
#include <fmt/format.h>

#include "nvme/fabrics.h"
#include "nvmf/rpc/listen_address.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

struct SetListenerState {
    std::string nqn;
    ListenAddress listen_address;
    std::string ana_state;
    std::optional<uint32_t> anagrpid;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = SetListenerState;
        return rpc::fields(rpc::required("nqn", &P::nqn, "NQN of the subsystem"),
                           rpc::required("listen_address", &P::listen_address, "The listener"),
                           rpc::required("ana_state", &P::ana_state,
                                         "optimized, non_optimized, inaccessible, persistent_loss or change"),
                           rpc::optional("anagrpid", &P::anagrpid, "ANA group; default: all"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

struct SetGroup {
    std::string nqn;
    uint32_t nsid = 0;
    uint32_t anagrpid = 0;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = SetGroup;
        return rpc::fields(rpc::required("nqn", &P::nqn, "NQN of the subsystem"),
                           rpc::required("nsid", &P::nsid, "Namespace id"),
                           rpc::required("anagrpid", &P::anagrpid, "ANA group, from 1 to max_namespaces"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

struct GroupState {
    std::optional<uint32_t> anagrpid;
    std::string ana_state;
    static constexpr auto fields() {
        using P = GroupState;
        return rpc::fields(rpc::optional("anagrpid", &P::anagrpid, "ANA group; default: all"),
                           rpc::required("ana_state", &P::ana_state, "As of nvmf_subsystem_listener_set_ana_state"));
    }
};

struct ListenerStates {
    ListenAddress listen_address;
    std::vector<GroupState> states;
    static constexpr auto fields() {
        using P = ListenerStates;
        return rpc::fields(rpc::required("listen_address", &P::listen_address, "The listener"),
                           rpc::required("states", &P::states, "What is set, one after another"));
    }
};

struct SetStates {
    std::string nqn;
    std::vector<ListenerStates> listeners;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = SetStates;
        return rpc::fields(rpc::required("nqn", &P::nqn, "NQN of the subsystem"),
                           rpc::required("listeners", &P::listeners, "All of it is set, or nothing"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

Result<Subsystem*> find(const TargetHolder& holder, const std::optional<std::string>& tgt_name,
                        const std::string& nqn) {
    auto target = target_of(holder, tgt_name);
    if (!target) return std::unexpected(std::move(target).error());
    Subsystem* subsystem = (*target)->find_subsystem(nqn.substr(0, nvme::nqn_length_max + 1));
    if (subsystem != nullptr) return subsystem;
    return fail(Errc::invalid_argument, fmt::format("Subsystem with NQN '{}' not found", nqn.substr(0, 256)));
}

Result<AnaChange> change_of(const ListenAddress& where, std::optional<uint32_t> group, const std::string& state) {
    auto listener = where.normalised();
    if (!listener) return std::unexpected(std::move(listener).error());
    auto parsed = parse_ana_state(state);
    if (!parsed) return std::unexpected(std::move(parsed).error());
    // 0 stands for all inside, and is no group.
    if (group && *group == 0) return fail(Errc::invalid_argument, "anagrpid: groups are numbered from 1");
    return AnaChange{.listener = std::move(*listener), .group = group.value_or(0), .state = *parsed};
}

Task<Result<Json>> set_listener_state(const TargetHolder& holder, SetListenerState params) {
    auto subsystem = find(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    auto change = change_of(params.listen_address, params.anagrpid, params.ana_state);
    if (!change) co_return std::unexpected(std::move(change).error());
    std::vector<AnaChange> changes;
    changes.push_back(std::move(*change));
    WEFT_CO_TRY(co_await (*subsystem)->set_ana_states(std::move(changes)));
    co_return Json(true);
}

Task<Result<Json>> set_states(const TargetHolder& holder, SetStates params) {
    auto subsystem = find(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    std::vector<AnaChange> changes;
    for (const ListenerStates& listener : params.listeners) {
        for (const GroupState& one : listener.states) {
            auto change = change_of(listener.listen_address, one.anagrpid, one.ana_state);
            if (!change) co_return std::unexpected(std::move(change).error());
            changes.push_back(std::move(*change));
        }
    }
    WEFT_CO_TRY(co_await (*subsystem)->set_ana_states(std::move(changes)));
    co_return Json(true);
}

}  // namespace

void add_ana_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<SetListenerState>(
        {.name = "nvmf_subsystem_listener_set_ana_state",
         .role = rpc::Role::operate,
         .text = "Sets the ANA state of a group, or of all, on the way through a listener",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](SetListenerState params) { return set_listener_state(holder, std::move(params)); });
    registry.add<SetGroup>(
        {.name = "nvmf_subsystem_set_ns_ana_group",
         .role = rpc::Role::operate,
         .text = "Puts a namespace into another ANA group",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](SetGroup params) -> Task<Result<Json>> {
            auto subsystem = find(holder, params.tgt_name, params.nqn);
            if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
            WEFT_CO_TRY(co_await (*subsystem)->set_namespace_ana_group(params.nsid, params.anagrpid));
            co_return Json(true);
        });
    registry.add<SetStates>({.name = "weft_nvmf_set_ana_states",
                             .role = rpc::Role::operate,
                             .text = "Sets the ANA states of many groups on many listeners at once",
                             .codes = refused_as_invalid,
                             .changes_config = true},
                            [&holder](SetStates params) { return set_states(holder, std::move(params)); });
}

}  // namespace weft::nvmf
