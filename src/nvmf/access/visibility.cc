// Namespaces that not all controllers have: a change reaches every queue pair, then the hosts that it concerns are
// told.
#include "nvmf/access/visibility.h"

#include <fmt/format.h>

#include "base/log.h"
#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/controller/controller.h"
#include "nvmf/poll_group.h"
#include "nvmf/subsystem.h"
#include "nvmf/target.h"

namespace weft::nvmf {

void find_attached_namespaces(Qpair& qpair) {
    if (qpair.subsystem->selective_count == 0) return;
    for (const auto& ns : qpair.subsystem->namespaces) {
        if (ns == nullptr || !ns->is_selective) continue;
        if (ns->visibility.includes(qpair.hostnqn, qpair.controller_uid)) qpair.set_attached(ns->identity.nsid, true);
    }
}

void show_namespace(PollGroup& group, SubsystemView& view, NamespaceView& ns, const Visibility& visibility) {
    if (ns.is_selective) --view.selective_count;
    ns.visibility = visibility;
    ns.is_selective = visibility.is_selective();
    if (ns.is_selective) ++view.selective_count;
    for (Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (at->subsystem != &view) continue;
        at->set_attached(ns.identity.nsid, ns.is_selective && visibility.includes(at->hostnqn, at->controller_uid));
    }
}

Task<void> Subsystem::apply_visibility(uint32_t nsid, const Visibility& visibility) {
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        SubsystemView& view = *group->subsystem(identity_.id);
        if (NamespaceView* ns = view.find(nsid)) show_namespace(*group, view, *ns, visibility);
    }
    co_await resume_on(target_.thread());
}

// Commands that are under way end before a controller loses the namespace: none of them is answered afterwards.
Task<void> Subsystem::change_visibility(uint32_t nsid, Visibility after) {
    Namespace& ns = namespaces_.at(nsid);
    const Visibility before = std::exchange(ns.visibility, after);
    co_await pause(nsid);
    co_await apply_visibility(nsid, after);
    co_await resume(nsid);
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        for (const auto& [uid, controller] : group->controllers()) {
            if (controller->subsystem().identity.id != identity_.id) continue;
            const std::string& hostnqn = controller->identity().hostnqn;
            if (before.includes(hostnqn, uid) != after.includes(hostnqn, uid)) controller->namespace_changed(nsid);
        }
    }
    co_await resume_on(target_.thread());
}

Task<Result<void>> Subsystem::set_namespace_host(uint32_t nsid, std::string hostnqn, bool is_shown) {
    const auto change = co_await begin_change();
    if (!change) co_return fail(Errc::no_such_device, fmt::format("subsystem {} is being deleted", nqn()));
    if (!nvme::is_valid_nqn(hostnqn)) {
        co_return fail(Errc::invalid_argument, fmt::format("host \"{}\" is not an NQN", log::quoted(hostnqn)));
    }
    const auto found = namespaces_.find(nsid);
    if (found == namespaces_.end()) {
        co_return fail(Errc::no_such_device, fmt::format("{} has no namespace {}", nqn(), nsid));
    }
    Visibility after = found->second.visibility;
    if (after.is_auto) {
        co_return fail(
            Errc::permission_denied,
            fmt::format("namespace {} of {} is shown to every host: add it with no_auto_visible", nsid, nqn()));
    }
    if (is_shown && after.hosts.size() == namespace_hosts_max) {
        co_return fail(Errc::too_many, fmt::format("namespace {} has {} hosts already", nsid, namespace_hosts_max));
    }
    // As the field has it: what is so already is a success.
    const bool is_new = is_shown ? after.hosts.insert(hostnqn).second : after.hosts.erase(hostnqn) > 0;
    if (!is_new) co_return Result<void>{};
    co_await change_visibility(nsid, std::move(after));
    target_.config_changed(namespace_host_key(nqn(), nsid, hostnqn));
    co_return Result<void>{};
}

Task<Attachment> Subsystem::attach_namespace(uint32_t nsid, std::string hostnqn, std::vector<uint16_t> cntlids,
                                             bool is_attached) {
    // Whoever changes the subsystem may be waiting for the very controller that asks.
    if (changing_.is_locked()) co_return Attachment::busy;
    const auto change = co_await begin_change();
    const auto found = namespaces_.find(nsid);
    if (!change || found == namespaces_.end() || !found->second.visibility.is_shown_to(hostnqn)) {
        co_return Attachment::no_namespace;
    }
    Visibility after = found->second.visibility;
    for (const uint16_t cntlid : cntlids) {
        const uint64_t uid = target_.uid_of(*this, cntlid, hostnqn);
        if (uid == 0) co_return Attachment::bad_controller;
        if (is_attached && after.detached.erase(uid) == 0) co_return Attachment::is_so_already;
        if (!is_attached && !after.detached.insert(uid).second) co_return Attachment::is_so_already;
    }
    std::erase_if(after.detached, [this](uint64_t uid) { return !controller_uids.contains(uid); });
    co_await change_visibility(nsid, std::move(after));
    co_return Attachment::done;
}

}  // namespace weft::nvmf
