#include "nvmf/subsystem.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/log.h"
#include "base/mutants.h"
#include "bdev/device.h"
#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/controller/controller.h"
#include "nvmf/log_flags.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"
#include "nvmf/transport.h"

namespace weft::nvmf {

std::string_view name_of(SubsystemState state) {
    switch (state) {
        case SubsystemState::inactive: return "Inactive";
        case SubsystemState::activating: return "Activating";
        case SubsystemState::active: return "Active";
        case SubsystemState::pausing: return "Pausing";
        case SubsystemState::paused: return "Paused";
        case SubsystemState::resuming: return "Resuming";
        case SubsystemState::deactivating: return "Deactivating";
    }
    return "?";
}

std::string_view name_of(Concatenation concatenation) {
    switch (concatenation) {
        case Concatenation::off: return "off";
        case Concatenation::allowed: return "allowed";
        case Concatenation::required: return "required";
    }
    return "?";
}

Subsystem::~Subsystem() { WEFT_ASSERT(state_ == SubsystemState::inactive); }

bool Subsystem::allows_host(std::string_view hostnqn) const { return allow_any_host_ || hosts_.contains(hostnqn); }

bool Subsystem::is_reachable_at(const TransportId& listener) const {
    if (identity_.is_discovery) return true;
    return std::ranges::any_of(listeners_, [&](const Listener& mine) { return mine.address == listener; });
}

bool Subsystem::allows_host_at(const TransportId& listener, std::string_view hostnqn) const {
    const auto mine = std::ranges::find(listeners_, listener, &Listener::address);
    return mine == listeners_.end() || mine->admits(hostnqn);
}

Concatenation Subsystem::concatenation_at(const TransportId& listener) const {
    const auto mine = std::ranges::find(listeners_, listener, &Listener::address);
    return mine == listeners_.end() ? Concatenation::off : mine->concatenation;
}

Task<std::optional<AsyncMutex::Guard>> Subsystem::begin_change() {
    if (is_stopping_ || !gate_.try_enter()) co_return std::nullopt;
    AsyncMutex::Guard guard = co_await changing_.lock();
    const bool is_over = is_stopping_ || gate_.is_closing();
    gate_.leave();
    if (is_over) co_return std::nullopt;
    co_return std::optional<AsyncMutex::Guard>(std::move(guard));
}

Task<void> Subsystem::close_for_changes() { co_await gate_.close(); }

namespace {

std::unexpected<Error> being_deleted(const std::string& nqn) {
    return fail(Errc::no_such_device, fmt::format("subsystem {} is being deleted", nqn));
}

ListenKind kind_of(const ListenerOptions& options) {
    if (options.is_secure) return ListenKind::secure;
    return options.concatenation == Concatenation::off ? ListenKind::plain : ListenKind::either;
}

Result<void> check_hosts(const std::set<std::string, std::less<>>& hosts) {
    constexpr size_t hosts_max = 1024;
    if (hosts.size() > hosts_max) return fail(Errc::too_many, fmt::format("hosts: at most {}", hosts_max));
    for (const std::string& host : hosts) {
        if (nvme::is_valid_nqn(host)) continue;
        return fail(Errc::invalid_argument, fmt::format("host \"{}\" is not an NQN", log::quoted(host)));
    }
    return {};
}

}  // namespace

Task<Result<void>> Subsystem::start() {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    WEFT_ASSERT(state_ == SubsystemState::inactive && namespaces_.empty());
    state_ = SubsystemState::activating;
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        group->add_subsystem(identity_);
    }
    co_await resume_on(target_.thread());
    state_ = SubsystemState::active;
    co_return Result<void>{};
}

Task<Result<void>> Subsystem::stop() {
    // Once, and nothing else from here on: a change that came between the steps would make it active again.
    if (std::exchange(is_stopping_, true)) co_return being_deleted(nqn());
    const auto change = co_await changing_.lock();
    state_ = SubsystemState::deactivating;  // no Connect is admitted from here on
    co_await end_controllers("its subsystem is stopped", std::nullopt);
    while (!namespaces_.empty()) co_await take_namespace_away(namespaces_.begin()->first);
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        group->remove_subsystem(identity_.id);
    }
    co_await resume_on(target_.thread());
    while (!listeners_.empty()) {
        const TransportId address = listeners_.back().address;
        listeners_.back().transport->stop_listening(address);
        listeners_.pop_back();
        target_.config_changed(ana_key(nqn(), address));
        target_.config_changed(listener_key(nqn(), address));
    }
    state_ = SubsystemState::inactive;
    co_return Result<void>{};
}

// Ends the subsystem's controllers (of one host, or all) and waits until they are gone.
Task<void> Subsystem::end_controllers(std::string why, std::optional<std::string> hostnqn) {
    const std::set<uint64_t> uids = controller_uids;
    for (const uint64_t uid : uids) {
        const auto place = target_.place_of(uid);
        if (!place || (hostnqn && place->hostnqn != *hostnqn)) continue;
        co_await resume_on(place->group->thread());
        if (Controller* controller = place->group->find_controller(uid)) controller->end(why);
        co_await resume_on(target_.thread());
        while (controller_uids.contains(uid)) co_await target_.wait_for_controller_end();
    }
}

Task<void> Subsystem::pause(uint32_t nsid) {
    state_ = SubsystemState::pausing;
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        SubsystemView& view = *group->subsystem(identity_.id);
        view.is_admin_paused = true;
        if (NamespaceView* ns = view.find(nsid)) {
            ns->is_paused = true;
            // Reads that wait for a slow host's socket must not hold up the change.
            for (Qpair* at = group->qpairs.front(); at != nullptr; at = decltype(group->qpairs)::next(*at)) {
                if (at->subsystem == &view) at->withdraw(*ns);
            }
            while (ns->outstanding > 0 && !mutant::on(mutant::pause_does_not_drain)) co_await ns->drained.wait();
        }
        while (view.admin_outstanding > 0) co_await view.admin_drained.wait();
    }
    co_await resume_on(target_.thread());
    state_ = SubsystemState::paused;
}

Task<void> Subsystem::resume(uint32_t nsid) {
    state_ = SubsystemState::resuming;
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        SubsystemView& view = *group->subsystem(identity_.id);
        view.is_admin_paused = false;
        if (NamespaceView* ns = view.find(nsid)) ns->is_paused = false;
        if (mutant::on(mutant::held_command_forgotten)) (void)view.held.pop_front();
        for (size_t left = view.held.size(); left > 0; --left) {
            Request* request = view.held.pop_front();
            if (request == nullptr) break;  // one that was resumed, an Abort, has taken others out
            request->qpair->resume(*request);
        }
    }
    co_await resume_on(target_.thread());
    state_ = SubsystemState::active;
}

uint32_t Subsystem::lowest_free_nsid() const {
    // Most often all below the last are used: no walk.
    if (namespaces_.empty() || namespaces_.rbegin()->first == namespaces_.size()) {
        return static_cast<uint32_t>(namespaces_.size()) + 1;
    }
    uint32_t free = 1;
    for (auto at = namespaces_.begin(); at != namespaces_.end() && at->first == free; ++at) ++free;
    return free;
}

Result<NamespaceIdentity> Subsystem::identify_namespace(const NamespaceOptions& options) const {
    NamespaceIdentity identity;
    identity.bdev_name = options.bdev_name;
    identity.nsid = options.nsid.value_or(0);
    if (identity.nsid == 0) identity.nsid = lowest_free_nsid();
    if (identity.nsid > identity_.max_namespaces) {
        return fail(Errc::invalid_argument, fmt::format("nsid {} is above max_namespaces {} of {}", identity.nsid,
                                                        identity_.max_namespaces, nqn()));
    }
    if (namespaces_.contains(identity.nsid)) {
        return fail(Errc::already_exists, fmt::format("nsid {} of {} is in use", identity.nsid, nqn()));
    }
    // Ids that were not given come from names that stay: the same target has the same ids after a restart.
    const std::string machine = target_.environment().machine_id();
    const std::string nsid = fmt::format("{}", identity.nsid);
    const auto digest = digest_of_names({machine, nqn(), nsid, options.bdev_name});
    identity.uuid = options.uuid.value_or(Uuid::from_names({machine, nqn(), nsid, options.bdev_name}));
    std::array<uint8_t, 16> nguid{};
    std::copy_n(digest.begin(), nguid.size(), nguid.begin());
    identity.nguid = options.nguid.value_or(nguid);
    std::array<uint8_t, 8> eui64{};
    std::copy_n(digest.begin() + 16, eui64.size(), eui64.begin());
    eui64[0] = static_cast<uint8_t>((eui64[0] & 0xFC) | 0x02);  // locally administered
    identity.eui64 = options.eui64.value_or(eui64);
    identity.anagrpid = options.anagrpid.value_or(identity.nsid);
    identity.ptpl_file = options.ptpl_file;
    identity.hide_metadata = options.hide_metadata;
    return identity;
}

// Hosts take namespaces of one subsystem with the same id for one namespace, or refuse both. All zero is no id.
Result<void> Subsystem::check_unique(const NamespaceIdentity& identity) const {
    const auto is_same = [](const auto& left, const auto& right) {
        return left == right && left != std::remove_cvref_t<decltype(left)>{};
    };
    for (const auto& [nsid, other] : namespaces_) {
        const char* what = is_same(identity.uuid, other.identity.uuid)     ? "uuid"
                           : is_same(identity.nguid, other.identity.nguid) ? "nguid"
                           : is_same(identity.eui64, other.identity.eui64) ? "eui64"
                                                                           : nullptr;
        if (what == nullptr) continue;
        return fail(Errc::already_exists, fmt::format("{}: namespace {} of {} has the same", what, nsid, nqn()));
    }
    return {};
}

// Makes the namespace known to every poll group; on failure to none.
Task<Result<void>> Subsystem::open_views(const NamespaceIdentity& identity, const Visibility& visibility,
                                         bdev::Device& device, const ReservationKeeper& reservation) {
    std::optional<Error> error;
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        auto channel = device.channel();
        if (!channel) {
            error = std::move(channel).error();
            break;
        }
        SubsystemView& view = *group->subsystem(identity_.id);
        if (view.namespaces.size() < identity.nsid) view.namespaces.resize(identity.nsid);
        auto ns = std::make_unique<NamespaceView>();
        ns->identity = identity;
        ns->opening = ++view.openings;
        ns->device = &device;
        ns->channel = std::move(*channel);
        ns->can_persist = reservation.can_persist();
        ns->set_reservation(reservation.state());
        ns->block_bytes = device.block_bytes();
        ns->metadata = device.metadata();
        ns->block_shift = static_cast<uint8_t>(std::countr_zero(device.block_bytes()));
        NamespaceView& shown = *(view.namespaces[identity.nsid - 1] = std::move(ns));
        show_namespace(*group, view, shown, visibility);
    }
    co_await resume_on(target_.thread());
    if (!error) co_return Result<void>{};
    co_await close_views(identity.nsid);
    co_return std::unexpected(std::move(*error));
}

Task<void> Subsystem::close_views(uint32_t nsid) {
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        SubsystemView& view = *group->subsystem(identity_.id);
        if (const NamespaceView* ns = view.find(nsid)) {
            if (ns->is_selective) --view.selective_count;
            view.namespaces[nsid - 1].reset();
        }
        co_await yield();  // the channel goes by a message that was sent before this one
    }
    co_await resume_on(target_.thread());
}

Task<void> Subsystem::tell_namespace_changed(uint32_t nsid, Visibility visibility) {
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        for (const auto& [uid, controller] : group->controllers()) {
            if (controller->subsystem().identity.id != identity_.id) continue;
            if (visibility.includes(controller->identity().hostnqn, uid)) controller->namespace_changed(nsid);
        }
    }
    co_await resume_on(target_.thread());
}

Task<Result<std::unique_ptr<ReservationKeeper>>> Subsystem::open_reservation(const NamespaceIdentity& identity,
                                                                             const Uuid& device) {
    if (!identity.ptpl_file.empty()) {
        for (const auto& [nqn, subsystem] : target_.subsystems()) {
            for (const auto& [nsid, other] : subsystem->namespaces()) {
                if (other.identity.ptpl_file != identity.ptpl_file) continue;
                co_return fail(Errc::already_exists,
                               fmt::format("ptpl_file: {} is that of namespace {} of {}; give each a file of its own",
                                           identity.ptpl_file, nsid, nqn));
            }
        }
    }
    auto store = target_.reservation_stores().open({.subsystem_nqn = nqn(),
                                                    .nsid = identity.nsid,
                                                    .namespace_uuid = identity.uuid,
                                                    .device_uuid = device,
                                                    .ptpl_file = identity.ptpl_file});
    auto keeper = std::make_unique<ReservationKeeper>(
        target_, ReservationKeeper::Place{.subsystem_id = identity_.id, .nsid = identity.nsid}, std::move(store));
    WEFT_CO_TRY(co_await keeper->load());
    co_return keeper;
}

Task<Result<uint32_t>> Subsystem::add_namespace(NamespaceOptions options) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    if (identity_.is_discovery) co_return fail(Errc::invalid_argument, "the discovery subsystem has no namespaces");
    auto identity = identify_namespace(options);
    if (!identity) co_return std::unexpected(std::move(identity).error());
    const uint32_t nsid = identity->nsid;
    auto descriptor =
        target_.bdevs().open(options.bdev_name, [this, nsid](bdev::Event event) { on_device_event(nsid, event); });
    if (!descriptor) co_return std::unexpected(std::move(descriptor).error());
    bdev::Device& device = (*descriptor)->device();
    if (options.hide_metadata && !device.metadata().has_tuple()) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("hide_metadata: bdev {} has no protection information", device.name()));
    }
    if (!options.uuid) identity->uuid = device.uuid();
    if (device.block_count() == 0) {
        co_return fail(Errc::invalid_argument, fmt::format("bdev {} holds no block", options.bdev_name));
    }
    WEFT_CO_TRY(check_unique(*identity));
    WEFT_CO_TRY(check_ana_group(identity->anagrpid));
    WEFT_CO_TRY((*descriptor)->claim("NVMe-oF Target"));
    auto reservation = co_await open_reservation(*identity, device.uuid());
    if (!reservation) co_return std::unexpected(std::move(reservation).error());

    co_await pause(0);
    const Visibility visibility{.is_auto = !options.no_auto_visible, .hosts = {}, .detached = {}};
    Result<void> opened = co_await open_views(*identity, visibility, device, **reservation);
    co_await resume(0);
    if (!opened) co_return std::unexpected(std::move(opened).error());
    note_ana_members(identity->anagrpid);
    namespaces_.emplace(nsid,
                        Namespace{std::move(*identity), visibility, std::move(*descriptor), std::move(*reservation)});
    target_.config_changed(namespace_key(nqn(), nsid));
    co_await tell_namespace_changed(nsid, visibility);
    co_return nsid;
}

Task<Result<void>> Subsystem::remove_namespace(uint32_t nsid) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    if (!namespaces_.contains(nsid)) {
        co_return fail(Errc::no_such_device, fmt::format("{} has no namespace {}", nqn(), nsid));
    }
    co_await take_namespace_away(nsid);
    co_return Result<void>{};
}

Task<void> Subsystem::take_namespace_away(uint32_t nsid) {
    const SubsystemState before = state_;
    // Changes of its reservation that are under way look for its views.
    co_await namespaces_.at(nsid).reservation->close();
    co_await pause(nsid);
    co_await close_views(nsid);
    co_await resume(nsid);
    state_ = before;
    note_ana_members(namespaces_.at(nsid).identity.anagrpid);
    const Visibility visibility = std::move(namespaces_.at(nsid).visibility);
    namespaces_.erase(nsid);
    target_.config_changed(namespace_key(nqn(), nsid));
    for (const std::string& host : visibility.hosts) target_.config_changed(namespace_host_key(nqn(), nsid, host));
    co_await tell_namespace_changed(nsid, visibility);
}

void Subsystem::on_device_event(uint32_t nsid, bdev::Event event) {
    // The device tells all who opened it before it waits for them: what follows must not happen inside its call.
    spawn([](Target& target, std::string nqn, uint32_t id, bdev::Event what) -> Task<void> {
        co_await yield();
        Subsystem* subsystem = target.find_subsystem(nqn);
        if (subsystem == nullptr) co_return;
        if (what == bdev::Event::removed) {
            WEFT_NOTICELOG("the bdev of namespace {} of {} is being removed", id, nqn);
            (void)co_await subsystem->remove_namespace(id);
        } else {
            co_await subsystem->namespace_resized(id);
        }
    }(target_, nqn(), nsid, event));
}

Task<void> Subsystem::namespace_resized(uint32_t nsid) {
    const auto change = co_await begin_change();
    const auto found = namespaces_.find(nsid);
    if (!change || found == namespaces_.end()) co_return;
    co_await tell_namespace_changed(nsid, found->second.visibility);
}

Task<Result<void>> Subsystem::add_listener(TransportId address, Transport& transport, ListenerOptions options) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    WEFT_CO_TRY(check_hosts(options.hosts));
    if (std::ranges::any_of(listeners_, [&](const Listener& mine) { return mine.address == address; })) {
        co_return fail(Errc::already_exists,
                       fmt::format("{} listens on {}:{} already", nqn(), address.traddr, address.trsvcid));
    }
    if (options.is_secure && allow_any_host_) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("secure_channel: {} allows any host, and TLS needs a key of each: call "
                                   "nvmf_subsystem_allow_any_host with false first",
                                   nqn()));
    }
    if (options.is_secure && options.concatenation != Concatenation::off) {
        co_return fail(Errc::invalid_argument,
                       "secure_concatenation: hosts begin there without TLS, which secure_channel does not let them");
    }
    if (options.concatenation == Concatenation::required && allow_any_host_) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("secure_concatenation: {} allows any host, and only those with a dhchap_key could "
                                   "come: call nvmf_subsystem_allow_any_host with false first",
                                   nqn()));
    }
    if (!identity_.ana_reporting && options.ana_state != nvme::AnaState::optimized) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("ana_state: {} reports no ANA: create it with ana_reporting", nqn()));
    }
    WEFT_CO_TRY(transport.listen(address, kind_of(options)));
    AnaTable ana = identity_.ana_reporting ? AnaTable(identity_.max_namespaces, options.ana_state) : AnaTable();
    listeners_.push_back({std::move(address), &transport, options.is_secure, options.concatenation, std::move(ana),
                          std::move(options.hosts)});
    // Nobody is admitted through it before this change is over.
    co_await open_ana(listeners_.back().address);
    target_.config_changed(listener_key(nqn(), listeners_.back().address));
    target_.discovery_changed();
    co_return Result<void>{};
}

Task<Result<void>> Subsystem::remove_listener(TransportId address) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    const auto found = std::ranges::find_if(listeners_, [&](const Listener& mine) { return mine.address == address; });
    if (found == listeners_.end()) {
        co_return fail(Errc::not_found,
                       fmt::format("{} does not listen on {}:{}", nqn(), address.traddr, address.trsvcid));
    }
    found->transport->stop_listening(address);
    listeners_.erase(found);
    co_await close_ana(address);
    target_.config_changed(ana_key(nqn(), address));
    target_.config_changed(listener_key(nqn(), address));
    target_.discovery_changed();
    // Hosts that came through it lose their controllers (NVMe-oF has no other way to tell them).
    co_await end_controllers_at(address, {}, "its listener was removed");
    co_return Result<void>{};
}

// Those that came in at `address`, but for the hosts in `kept`; does not wait until they are gone.
Task<void> Subsystem::end_controllers_at(TransportId address, std::set<std::string, std::less<>> kept,
                                         std::string why) {
    const std::set<uint64_t> uids = controller_uids;
    for (const uint64_t uid : uids) {
        const auto place = target_.place_of(uid);
        if (!place || place->listener != address || kept.contains(place->hostnqn)) continue;
        co_await resume_on(place->group->thread());
        if (Controller* controller = place->group->find_controller(uid)) controller->end(why);
        co_await resume_on(target_.thread());
    }
}

Task<Result<void>> Subsystem::set_listener_hosts(TransportId address, std::set<std::string, std::less<>> hosts) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    WEFT_CO_TRY(check_hosts(hosts));
    const auto found = std::ranges::find(listeners_, address, &Listener::address);
    if (found == listeners_.end()) {
        co_return fail(Errc::not_found,
                       fmt::format("{} does not listen on {}:{}", nqn(), address.traddr, address.trsvcid));
    }
    found->hosts = hosts;
    target_.config_changed(listener_key(nqn(), address));
    target_.discovery_changed();
    if (!hosts.empty()) {
        co_await end_controllers_at(std::move(address), std::move(hosts), "its host may no longer use the listener");
    }
    co_return Result<void>{};
}

HostKeys Subsystem::keys_of(std::string_view hostnqn) const {
    const auto at = host_keys_.find(hostnqn);
    return at == host_keys_.end() ? HostKeys{} : at->second;
}

bool Subsystem::needs_authentication(std::string_view hostnqn) const {
    const auto at = host_keys_.find(hostnqn);
    return at != host_keys_.end() && at->second.host;
}

Task<Result<void>> Subsystem::set_host_keys(std::string hostnqn, HostKeys keys) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    if (!hosts_.contains(hostnqn)) {
        co_return fail(Errc::not_found, fmt::format("host {} is not in the list of {}", log::quoted(hostnqn), nqn()));
    }
    host_keys_[hostnqn] = std::move(keys);
    target_.generated_psks().revoke_host(nqn(), hostnqn);
    target_.config_changed(host_key(nqn(), hostnqn));
    co_return Result<void>{};
}

Task<Result<void>> Subsystem::add_host(std::string hostnqn, HostKeys keys, LimitChange limits) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    if (!nvme::is_valid_nqn(hostnqn)) {
        co_return fail(Errc::invalid_argument, fmt::format("host \"{}\" is not an NQN", log::quoted(hostnqn)));
    }
    if (!hosts_.insert(hostnqn).second) {
        co_return fail(Errc::already_exists, fmt::format("host {} is allowed already", hostnqn));
    }
    if (keys.host) host_keys_[hostnqn] = std::move(keys);
    // No Connect is admitted before this change is over.
    co_await apply_limits(hostnqn, limits.applied_to({}));
    target_.config_changed(host_key(nqn(), hostnqn));
    target_.discovery_changed();
    co_return Result<void>{};
}

Task<Result<void>> Subsystem::remove_host(std::string hostnqn) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    target_.host_psks().remove(nqn(), hostnqn);
    target_.generated_psks().revoke_host(nqn(), hostnqn);
    if (hosts_.erase(hostnqn) == 0) {
        co_return fail(Errc::not_found, fmt::format("host {} is not in the list of {}", hostnqn, nqn()));
    }
    host_keys_.erase(hostnqn);
    target_.config_changed(host_key(nqn(), hostnqn));
    target_.discovery_changed();
    if (!allow_any_host_) co_await end_controllers("its host may no longer use the subsystem", hostnqn);
    co_await apply_limits(hostnqn, {});
    co_return Result<void>{};
}

Task<Result<void>> Subsystem::set_allow_any_host(bool allow) {
    const auto change = co_await begin_change();
    if (!change) co_return being_deleted(nqn());
    allow_any_host_ = allow;
    target_.config_changed(subsystem_key(nqn()));
    target_.discovery_changed();
    co_return Result<void>{};
}

}  // namespace weft::nvmf
