#include "nvmf/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>

#include "base/log.h"
#include "base/mutants.h"
#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/controller/controller.h"
#include "nvmf/log_flags.h"
#include "nvmf/tcp/transport.h"

namespace weft::nvmf {

namespace status = nvme::status;

Target::Target(Runtime& runtime, bdev::Registry& bdevs, std::string name, std::string threads)
    : runtime_(runtime),
      bdevs_(bdevs),
      name_(std::move(name)),
      threads_(std::move(threads)),
      psk_timer_(
          runtime.app_thread(), [](void* self) { static_cast<Target*>(self)->expire_generated_psks(); }, this),
      reservation_files_(runtime.environment().files()) {}

Target::~Target() { WEFT_ASSERT(poll_groups_.empty() && subsystems_.empty() && controllers_.empty()); }

std::vector<PollGroup*> Target::poll_groups() const {
    std::vector<PollGroup*> groups;
    groups.reserve(poll_groups_.size());
    for (const auto& group : poll_groups_) groups.push_back(group.get());
    return groups;
}

namespace {

// A thread that a target before us left without work: threads live as long as their reactors, and each try of
// framework_start_init must not leave more of them.
Task<Thread*> find_left_thread(Runtime& runtime, std::string name) {
    Thread& home = Thread::current();
    Thread* found = nullptr;
    for (const auto& reactor : runtime.data_reactors()) {
        co_await resume_on(reactor->first_thread());
        for (const auto& thread : reactor->threads()) {
            const bool is_idle = thread->active_pollers().empty() && thread->timed_pollers().empty() &&
                                 thread->paused_pollers().empty() && thread->channels().empty();
            if (thread->name() == name && is_idle) found = thread.get();
        }
    }
    co_await resume_on(home);
    co_return found;
}

}  // namespace

Task<Result<void>> Target::start() {
    state_ = TargetState::init_create_poll_groups;
    // As many as reactors, and so one on each; from there a scheduler may move them.
    for (size_t at = 0; at < runtime_.data_reactors().size(); ++at) {
        const std::string name = fmt::format("{}_poll_group_{:03}", threads_, at);
        Thread* thread = co_await find_left_thread(runtime_, name);
        if (thread == nullptr) {
            auto made = co_await runtime_.create_thread(name, runtime_.cpus());
            if (!made) co_return std::unexpected(std::move(made).error());
            thread = *made;
        }
        std::unique_ptr<PollGroup> group;
        co_await resume_on(*thread);
        group = std::make_unique<PollGroup>(*this, *thread);
        co_await resume_on(runtime_.app_thread());
        poll_groups_.push_back(std::move(group));
    }
    state_ = TargetState::init_start_subsystems;
    auto discovery = co_await create_subsystem({.nqn = std::string(nvme::discovery_nqn), .allow_any_host = true});
    if (!discovery) co_return std::unexpected(std::move(discovery).error());
    state_ = TargetState::running;
    co_return Result<void>{};
}

Task<void> Target::stop() {
    state_ = TargetState::fini_stop_subsystems;
    co_await announcer_.stop();
    while (!subsystems_.empty()) {
        // Refused when somebody else deletes it already: it goes in a later turn.
        if (!co_await delete_subsystem(subsystems_.begin()->first)) co_await sleep_for(env::ns_per_ms);
    }
    for (const auto& transport : transports_) co_await transport->close();
    generated_psks_.revoke_all();
    psk_timer_.stop();
    state_ = TargetState::fini_destroy_poll_groups;
    for (const auto& group : poll_groups_) {
        co_await resume_on(group->thread());
        group->close_all("the target stops");
        while (!group->is_idle()) co_await sleep_for(env::ns_per_ms);
        group->shut_down();
        co_await yield();  // channels go by messages sent before this one
    }
    co_await resume_on(runtime_.app_thread());
    poll_groups_.clear();
    transports_.clear();
    state_ = TargetState::stopped;
}

Result<SubsystemIdentity> Target::check(const SubsystemOptions& options) const {
    const auto refuse = [](std::string why) { return fail(Errc::invalid_argument, std::move(why)); };
    if (!nvme::is_valid_nqn(options.nqn)) {
        return refuse(fmt::format("\"{}\" is not an NQN: nqn.yyyy-mm.reverse-domain:name, at most 223 bytes",
                                  log::quoted(options.nqn)));
    }
    if (subsystems_.contains(options.nqn) || options.nqn == unique_discovery_nqn_) {
        return fail(Errc::already_exists, fmt::format("subsystem {} exists", options.nqn));
    }
    if (subsystems_.size() >= subsystem_max_) {
        return fail(Errc::too_many, fmt::format("there are {} subsystems already; nvmf_set_max_subsystems raises that",
                                                subsystem_max_));
    }
    SubsystemIdentity identity;
    identity.nqn = options.nqn;
    const auto digest = digest_of_names({environment().machine_id(), options.nqn});
    uint64_t number = 0;
    for (size_t at = 0; at < 8; ++at) number = number << 8 | digest[at];
    identity.serial_number = options.serial_number.value_or(fmt::format("WEFT{:016X}", number).substr(0, 20));
    identity.model_number = options.model_number.value_or("Weft bdev Controller");
    if (identity.serial_number.size() > 20 || !nvme::is_printable_ascii(identity.serial_number)) {
        return refuse("serial_number: at most 20 printable ASCII characters");
    }
    if (identity.model_number.empty() || identity.model_number.size() > 40 ||
        !nvme::is_printable_ascii(identity.model_number)) {
        return refuse("model_number: 1 to 40 printable ASCII characters");
    }
    if (options.max_namespaces == 0 || options.max_namespaces > 65535) {
        return refuse("max_namespaces must be from 1 to 65535");
    }
    constexpr size_t label_bytes_max = 256;
    if (options.admin_label.size() > label_bytes_max || !nvme::is_printable_ascii(options.admin_label)) {
        return refuse(fmt::format("admin_label: at most {} printable ASCII characters", label_bytes_max));
    }
    identity.admin_label = options.admin_label;
    identity.max_namespaces = options.max_namespaces;
    if (options.min_cntlid == 0 || options.max_cntlid > nvme::cntlid_last || options.min_cntlid > options.max_cntlid) {
        return refuse("min_cntlid and max_cntlid must be from 1 to 65519, the first not above the second");
    }
    identity.min_cntlid = options.min_cntlid;
    identity.max_cntlid = options.max_cntlid;
    identity.command_retry_delays = command_retry_delays_;
    identity.ana_reporting = options.ana_reporting;
    identity.is_discovery = options.nqn == nvme::discovery_nqn;
    // The lowest free id: poll groups hold views in an array by it.
    std::set<uint32_t> used;
    for (const auto& [nqn, subsystem] : subsystems_) used.insert(subsystem->identity().id);
    while (used.contains(identity.id)) ++identity.id;
    return identity;
}

Task<Result<Subsystem*>> Target::create_subsystem(SubsystemOptions options) {
    auto identity = check(options);
    if (!identity) co_return std::unexpected(std::move(identity).error());
    auto made = std::make_unique<Subsystem>(*this, std::move(*identity));
    Subsystem& subsystem = *made;
    subsystems_.emplace(options.nqn, std::move(made));
    subsystem.set_allow_any_host_at_start(options.allow_any_host);
    WEFT_CO_TRY(co_await subsystem.start());
    discovery_changed();
    config_changed(subsystem_key(subsystem.nqn()));
    co_return &subsystem;
}

Task<Result<void>> Target::delete_subsystem(std::string nqn) {
    Subsystem* subsystem = find_subsystem(nqn);
    if (subsystem == nullptr) co_return fail(Errc::no_such_device, fmt::format("there is no subsystem {}", nqn));
    WEFT_CO_TRY(co_await subsystem->stop());
    co_await subsystem->close_for_changes();
    last_cntlid_.erase(subsystem);
    host_psks_.remove_subsystem(nqn);
    generated_psks_.revoke_subsystem(nqn);
    for (const std::string& host : subsystem->hosts()) config_changed(host_key(nqn, host));
    config_changed(subsystem_key(nqn));
    subsystems_.erase(subsystems_.find(nqn));
    discovery_changed();
    co_return Result<void>{};
}

std::string_view Target::discovery_nqn() const {
    return unique_discovery_nqn_.empty() ? nvme::discovery_nqn : std::string_view(unique_discovery_nqn_);
}

void Target::set_admin_hook(uint8_t opcode, AdminHook hook) {
    WEFT_ASSERT(state_ == TargetState::init_none && opcode != nvme::fabrics_opcode && hook.execute);
    admin_hooks_[opcode] = std::make_unique<AdminHook>(std::move(hook));
}

Subsystem* Target::find_subsystem(std::string_view nqn) const {
    const auto found = subsystems_.find(nqn);
    return found == subsystems_.end() ? nullptr : found->second.get();
}

Subsystem* Target::find_subsystem(uint32_t id) const {
    for (const auto& [nqn, subsystem] : subsystems_) {
        if (subsystem->identity().id == id) return subsystem.get();
    }
    return nullptr;
}

ReservationKeeper* Target::reservation_of(uint32_t subsystem_id, uint32_t nsid) const {
    const Subsystem* subsystem = find_subsystem(subsystem_id);
    if (subsystem == nullptr) return nullptr;
    const auto found = subsystem->namespaces().find(nsid);
    return found == subsystem->namespaces().end() ? nullptr : found->second.reservation.get();
}

Transport* Target::find_transport(std::string_view trtype) const {
    for (const auto& transport : transports_) {
        if (equal_ignoring_case(transport->name(), trtype)) return transport.get();
    }
    return nullptr;
}

Task<Result<void>> Target::create_transport(TransportOptions options) {
    if (!equal_ignoring_case(options.trtype, "tcp")) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("transport type \"{}\" is not supported; TCP is", log::quoted(options.trtype)));
    }
    if (find_transport(options.trtype) != nullptr) {
        co_return fail(Errc::already_exists, fmt::format("Transport type '{}' already exists", options.trtype));
    }
    WEFT_CO_TRY(options.check());
    WEFT_CO_TRY(options.check_buffers(static_cast<uint32_t>(poll_groups_.size())));
    auto transport = tcp::TcpTransport::create(*this, std::move(options));
    if (!transport) co_return std::unexpected(std::move(transport).error());
    (*transport)->set_group_count(static_cast<uint32_t>(poll_groups_.size()));
    // All groups or none: a reserve that the pool cannot hold is refused.
    std::vector<std::unique_ptr<TransportGroup>> groups;
    std::optional<Error> error;
    for (const auto& group : poll_groups_) {
        co_await resume_on(group->thread());
        auto made = (*transport)->make_group(*group);
        if (!made) {
            error = std::move(made).error();
            break;
        }
        groups.push_back(std::move(*made));
    }
    if (!error) {
        for (size_t at = 0; at < poll_groups_.size(); ++at) {
            co_await resume_on(poll_groups_[at]->thread());
            poll_groups_[at]->add_transport(std::move(groups[at]));
        }
    }
    co_await resume_on(runtime_.app_thread());
    if (error) {
        groups.clear();
        co_return std::unexpected(std::move(*error));
    }
    transports_.push_back(std::move(*transport));
    config_changed(transport_key(transports_.back()->name()));
    co_return Result<void>{};
}

PollGroup& Target::next_group() {
    PollGroup& group = *poll_groups_[next_group_ % poll_groups_.size()];
    ++next_group_;
    return group;
}

// Round robin over the range, so that an id is not given again soon after its controller is gone.
uint16_t Target::allocate_cntlid(Subsystem& subsystem) {
    const SubsystemIdentity& identity = subsystem.identity();
    if (mutant::on(mutant::cntlid_given_twice)) return identity.min_cntlid;
    // One walk without a look-up each: in a storm of Connects this is what each of them waits for.
    std::bitset<size_t{UINT16_MAX} + 1> used;
    for (const auto& [uid, entry] : controllers_) {
        if (entry.subsystem == &subsystem) used.set(entry.cntlid);
    }
    uint16_t& last = last_cntlid_[&subsystem];
    const uint32_t count = identity.max_cntlid - identity.min_cntlid + 1U;
    for (uint32_t tried = 0; tried < count; ++tried) {
        last = last < identity.min_cntlid || last >= identity.max_cntlid ? identity.min_cntlid
                                                                         : static_cast<uint16_t>(last + 1);
        if (!used.test(last)) return last;
    }
    return 0;
}

bool Target::has_ending_controller(const Subsystem& subsystem, const HostIdentity& host) const {
    return std::ranges::any_of(controllers_, [&](const auto& numbered) {
        const ControllerEntry& entry = numbered.second;
        return entry.is_ending && entry.subsystem == &subsystem && entry.host.nqn == host.nqn &&
               entry.host.id == host.id;
    });
}

bool Target::is_duplicate(const Subsystem& subsystem, const HostIdentity& host, const TransportId& listener) const {
    if (duplicate_host_policy == DuplicateHostPolicy::allow || subsystem.identity().is_discovery) return false;
    return std::ranges::any_of(controllers_, [&](const auto& numbered) {
        const ControllerEntry& entry = numbered.second;
        return entry.subsystem == &subsystem && entry.host.id == host.id && entry.listener == listener;
    });
}

Task<Admission> Target::admit(std::string subnqn, HostIdentity host, TransportId listener, Arrival arrival,
                              PollGroup& group) {
    const uint32_t bad_subnqn = nvme::connect_invalid(offsetof(nvme::ConnectData, subnqn), true);
    const nvme::Status invalid = status::connect_invalid_parameters.with_dnr();
    if (!unique_discovery_nqn_.empty() && subnqn == unique_discovery_nqn_) subnqn = nvme::discovery_nqn;
    for (;;) {
        Subsystem* subsystem = find_subsystem(subnqn);
        if (subsystem == nullptr) co_return Admission{invalid, bad_subnqn};
        if (has_ending_controller(*subsystem, host)) {
            // The old association's commands end before the new one begins: no stale write.
            co_await controller_end_.wait();
            continue;
        }
        const auto change = co_await subsystem->begin_change();
        if (!change || subsystem->state() != SubsystemState::active) co_return Admission{invalid, bad_subnqn};
        const bool is_allowed = subsystem->allows_host(host.nqn) || mutant::on(mutant::host_list_ignored);
        if (!is_allowed || !subsystem->is_reachable_at(listener) || !subsystem->allows_host_at(listener, host.nqn)) {
            co_return Admission{status::connect_invalid_host.with_dnr()};
        }
        // It may come in again when the other controller has gone.
        if (is_duplicate(*subsystem, host, listener)) co_return Admission{status::connect_controller_busy};
        const uint16_t cntlid = allocate_cntlid(*subsystem);
        if (cntlid == 0) co_return Admission{status::connect_controller_busy};
        // Its key may have been taken back while it waited.
        if (arrival.generated_psk != 0 && !generated_psks_.acquire(arrival.generated_psk, thread().reactor().now())) {
            co_return Admission{status::connect_invalid_host.with_dnr()};
        }
        Admission admission{status::success, 0, next_uid(), cntlid, subsystem->identity().id};
        const Concatenation concatenation = subsystem->concatenation_at(listener);
        admission.secure_channel = {
            .allows_new = !arrival.is_secure && concatenation != Concatenation::off,
            .allows_replace = arrival.generated_psk != 0,  // a configured key is not ours to replace
            .is_demanded = !arrival.is_secure && concatenation == Concatenation::required,
        };
        // Who has a key that came of an authentication has authenticated.
        admission.needs_authentication = arrival.generated_psk == 0 && (subsystem->needs_authentication(host.nqn) ||
                                                                        admission.secure_channel.is_demanded);
        controllers_.emplace(admission.uid,
                             ControllerEntry{subsystem, &group, cntlid, std::move(host), std::move(listener),
                                             arrival.is_secure, arrival.generated_psk});
        subsystem->controller_uids.insert(admission.uid);
        co_return admission;
    }
}

void Target::keep_generated_psk(uint64_t controller_uid, nvme::tls::TlsPsk psk) {
    const auto found = controllers_.find(controller_uid);
    if (found == controllers_.end() || found->second.is_ending) return;
    ControllerEntry& entry = found->second;
    const env::TimeNs now = thread().reactor().now();
    const uint64_t number = generated_psks_.add(std::move(psk), now);
    if (entry.generated_psk != 0) {
        generated_psks_.revoke(entry.generated_psk);
        entry.generated_psk = number;
        const bool is_there = generated_psks_.acquire(number, now);
        WEFT_ASSERT(is_there);
    }
    entry.needs_tls = true;
    expire_generated_psks();
}

void Target::expire_generated_psks() {
    const env::TimeNs next = generated_psks_.expire(thread().reactor().now());
    if (next == env::time_never) return psk_timer_.stop();
    psk_timer_.start_at(next);
}

ControllerPlace Target::find_controller(std::string_view subnqn, uint16_t cntlid, const HostIdentity& host) const {
    const auto wrong = [](size_t offset) {
        ControllerPlace place;
        place.cdw0 = nvme::connect_invalid(static_cast<uint16_t>(offset), true);
        return place;
    };
    const Subsystem* subsystem = find_subsystem(subnqn);
    if (subsystem == nullptr) return wrong(offsetof(nvme::ConnectData, subnqn));
    for (const uint64_t uid : subsystem->controller_uids) {
        const ControllerEntry& entry = controllers_.at(uid);
        if (entry.cntlid != cntlid) continue;
        if (mutant::on(mutant::io_queue_of_any_host)) return *place_of(uid);
        if (entry.host.id != host.id) return wrong(offsetof(nvme::ConnectData, hostid));
        if (entry.host.nqn != host.nqn) return wrong(offsetof(nvme::ConnectData, hostnqn));
        return *place_of(uid);
    }
    return wrong(offsetof(nvme::ConnectData, cntlid));
}

std::optional<ControllerPlace> Target::place_of(uint64_t uid) const {
    const auto found = controllers_.find(uid);
    if (found == controllers_.end()) return std::nullopt;
    const ControllerEntry& entry = found->second;
    return ControllerPlace{entry.group,
                           uid,
                           entry.subsystem->identity().id,
                           0,
                           entry.cntlid,
                           entry.host.nqn,
                           entry.listener,
                           entry.subsystem->needs_authentication(entry.host.nqn),
                           entry.needs_tls};
}

uint64_t Target::uid_of(const Subsystem& subsystem, uint16_t cntlid, std::string_view hostnqn) const {
    for (const uint64_t uid : subsystem.controller_uids) {
        const ControllerEntry& entry = controllers_.at(uid);
        if (entry.cntlid == cntlid && (hostnqn.empty() || entry.host.nqn == hostnqn)) return uid;
    }
    return 0;
}

void Target::controller_ending(uint64_t uid) {
    const auto found = controllers_.find(uid);
    if (found != controllers_.end()) found->second.is_ending = true;
}

void Target::controller_gone(uint64_t uid) {
    const auto found = controllers_.find(uid);
    if (found == controllers_.end()) return;
    found->second.subsystem->controller_uids.erase(uid);
    if (const uint64_t psk = found->second.generated_psk; psk != 0) {
        generated_psks_.release(psk, thread().reactor().now());
        expire_generated_psks();
    }
    controllers_.erase(found);
    if (!mutant::on(mutant::controller_end_not_told)) controller_end_.wake_all();
}

}  // namespace weft::nvmf
