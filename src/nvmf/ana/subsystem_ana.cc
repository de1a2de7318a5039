// What a subsystem does about ANA: states come to the poll groups, and hosts are told.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nvmf/config_keys.h"
#include "nvmf/controller/controller.h"
#include "nvmf/io/outstanding.h"
#include "nvmf/poll_group.h"
#include "nvmf/subsystem.h"
#include "nvmf/target.h"

namespace weft::nvmf {

Result<void> Subsystem::check_ana_group(uint32_t group) const {
    if (group >= 1 && group <= identity_.max_namespaces) return {};
    return fail(Errc::invalid_argument, fmt::format("anagrpid: {} is not from 1 to {}, the max_namespaces of {}", group,
                                                    identity_.max_namespaces, nqn()));
}

Result<void> Subsystem::apply_ana(const std::vector<AnaChange>& changes, std::vector<TransportId>& changed) {
    if (!identity_.ana_reporting) {
        return fail(Errc::invalid_argument, fmt::format("{} reports no ANA: create it with ana_reporting", nqn()));
    }
    const auto listener_of = [this](const TransportId& address) {
        return std::ranges::find(listeners_, address, &Listener::address);
    };
    // All or nothing.
    for (const AnaChange& change : changes) {
        if (change.group != 0) WEFT_TRY(check_ana_group(change.group));
        if (listener_of(change.listener) != listeners_.end()) continue;
        return fail(Errc::invalid_argument,
                    fmt::format("{} does not listen on {}:{}", nqn(), change.listener.traddr, change.listener.trsvcid));
    }
    for (const AnaChange& change : changes) {
        if (!listener_of(change.listener)->ana.set(change.group, change.state)) continue;
        if (std::ranges::find(changed, change.listener) == changed.end()) changed.push_back(change.listener);
    }
    return {};
}

Task<Result<void>> Subsystem::set_ana_states(std::vector<AnaChange> changes) {
    // The subsystem may be deleted while commands are waited for.
    Target& target = target_;
    const uint32_t id = identity_.id;
    std::vector<TransportId> changed;
    {
        const auto change = co_await begin_change();
        if (!change) co_return fail(Errc::no_such_device, fmt::format("subsystem {} is being deleted", nqn()));
        WEFT_CO_TRY(apply_ana(changes, changed));
        for (const TransportId& listener : changed) {
            target_.config_changed(listener_key(nqn(), listener));
            target_.config_changed(ana_key(nqn(), listener));
            co_await open_ana(listener);
        }
        co_await tell_ana_changed(&changed);
    }
    for (const TransportId& listener : changed) co_await drain_closed_paths(target, id, listener);
    co_return Result<void>{};
}

// Commands that began while the path was open end before the change is acknowledged: who moves a namespace to another
// gateway may go on then. Not within the change, since a device may take its time, and Connects wait for changes.
Task<void> Subsystem::drain_closed_paths(Target& target, uint32_t subsystem_id, TransportId listener) {
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        for (uint32_t nsid = 1;; ++nsid) {
            SubsystemView* const view = group->subsystem(subsystem_id);
            const AnaView* const path = view != nullptr ? view->ana.find(listener) : nullptr;
            if (path == nullptr || nsid > view->namespaces.size()) break;
            NamespaceView* const ns = view->find(nsid);
            if (ns == nullptr || is_accessible(path->state_of(ns->identity.anagrpid))) continue;
            take_back_reads(*group, *ns, {.path = path});
            co_await wait_for_commands(*group, *ns, {.path = path});
        }
    }
    co_await resume_on(target.thread());
}

Task<void> Subsystem::open_ana(TransportId listener) {
    const auto found = std::ranges::find(listeners_, listener, &Listener::address);
    if (!identity_.ana_reporting || found == listeners_.end()) co_return;
    const std::vector<nvme::AnaState> states = found->ana.states();
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        group->subsystem(identity_.id)->ana.set(listener, states);
    }
    co_await resume_on(target_.thread());
}

Task<void> Subsystem::close_ana(TransportId listener) {
    if (!identity_.ana_reporting) co_return;
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        group->subsystem(identity_.id)->ana.remove(listener);
    }
    co_await resume_on(target_.thread());
}

// `through`: only controllers that came through these listeners; nullptr: all.
Task<void> Subsystem::tell_ana_changed(const std::vector<TransportId>* through) {
    if (!identity_.ana_reporting) co_return;
    const std::set<uint64_t> uids = controller_uids;
    for (const uint64_t uid : uids) {
        const auto place = target_.place_of(uid);
        if (!place) continue;
        if (through != nullptr && std::ranges::find(*through, place->listener) == through->end()) continue;
        co_await resume_on(place->group->thread());
        if (Controller* controller = place->group->find_controller(uid)) controller->ana_changed();
        co_await resume_on(target_.thread());
    }
}

void Subsystem::note_ana_members(uint32_t group) {
    if (!identity_.ana_reporting) return;
    for (Listener& listener : listeners_) listener.ana.note_members(group);
}

Task<Result<void>> Subsystem::set_namespace_ana_group(uint32_t nsid, uint32_t group) {
    const auto change = co_await begin_change();
    if (!change) co_return fail(Errc::no_such_device, fmt::format("subsystem {} is being deleted", nqn()));
    const auto found = namespaces_.find(nsid);
    if (found == namespaces_.end()) {
        co_return fail(Errc::no_such_device, fmt::format("{} has no namespace {}", nqn(), nsid));
    }
    WEFT_CO_TRY(check_ana_group(group));
    const uint32_t before = std::exchange(found->second.identity.anagrpid, group);
    if (before == group) co_return Result<void>{};
    note_ana_members(before);
    note_ana_members(group);
    for (PollGroup* at : target_.poll_groups()) {
        co_await resume_on(at->thread());
        at->subsystem(identity_.id)->find(nsid)->identity.anagrpid = group;
    }
    co_await resume_on(target_.thread());
    target_.config_changed(namespace_key(nqn(), nsid));
    co_await tell_namespace_changed(nsid, found->second.visibility);
    co_await tell_ana_changed(nullptr);
    co_return Result<void>{};
}

std::vector<std::byte> Subsystem::ana_log_of(const TransportId& listener, bool groups_only) const {
    std::map<uint32_t, std::vector<uint32_t>> members;
    for (const auto& [nsid, ns] : namespaces_) members[ns.identity.anagrpid].push_back(nsid);
    const auto found = std::ranges::find(listeners_, listener, &Listener::address);
    // Through a listener that is gone nothing can be reached.
    if (found != listeners_.end()) return ana_log(found->ana, members, groups_only);
    return ana_log(AnaTable(identity_.max_namespaces, nvme::AnaState::inaccessible), members, groups_only);
}

}  // namespace weft::nvmf
