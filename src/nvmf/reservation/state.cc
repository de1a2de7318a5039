#include "nvmf/reservation/state.h"

#include <algorithm>
#include <array>

#include "base/mutants.h"

namespace weft::nvmf {

namespace {

using nvme::IoOpcode;
using nvme::ReservationNotificationType;
using nvme::ReservationType;
using nvme::Status;
using Outcome = ReservationState::Outcome;
namespace status = nvme::status;

constexpr bool is_all_registrants(ReservationType type) {
    return type == ReservationType::write_exclusive_all_registrants ||
           type == ReservationType::exclusive_access_all_registrants;
}

constexpr bool is_registrants_only(ReservationType type) {
    return type == ReservationType::write_exclusive_registrants_only ||
           type == ReservationType::exclusive_access_registrants_only;
}

constexpr bool is_type(uint32_t value) {
    return value >= static_cast<uint32_t>(ReservationType::write_exclusive) &&
           value <= static_cast<uint32_t>(ReservationType::exclusive_access_all_registrants);
}

constexpr std::array<DataAccess, 256> make_accesses() {
    std::array<DataAccess, 256> accesses{};
    accesses.fill(DataAccess::write);
    for (const IoOpcode opcode : {IoOpcode::read, IoOpcode::compare, IoOpcode::verify, IoOpcode::io_management_receive,
                                  IoOpcode::zone_management_receive}) {
        accesses[static_cast<size_t>(opcode)] = DataAccess::read;
    }
    // They look at registrations themselves. A fabrics command touches no data.
    for (const IoOpcode opcode : {IoOpcode::reservation_register, IoOpcode::reservation_report,
                                  IoOpcode::reservation_acquire, IoOpcode::reservation_release, IoOpcode::fabrics}) {
        accesses[static_cast<size_t>(opcode)] = DataAccess::none;
    }
    return accesses;
}
constexpr auto accesses = make_accesses();

Outcome fails(Status with) { return {.status = with, .notices = {}, .preempted = {}}; }

}  // namespace

DataAccess data_access_of(IoOpcode opcode) {
    if (mutant::on(mutant::write_zeroes_unreserved) && opcode == IoOpcode::write_zeroes) return DataAccess::none;
    return accesses[static_cast<size_t>(opcode)];
}

const char* ReservationRecord::find_fault() const {
    if (registrants.size() > ReservationState::registrants_max) return "there are more than 64 registrants";
    for (size_t at = 0; at < registrants.size(); ++at) {
        if (registrants[at].key == 0) return "a registrant's key is 0";
        if (registrants[at].host.is_nil()) return "a registrant's host identifier is all zero";
        if (at > 0 && registrants[at].host == registrants[at - 1].host) return "a host is registered twice";
        if (at > 0 && registrants[at].host < registrants[at - 1].host) return "the registrants are not in order";
    }
    if (static_cast<uint32_t>(type) != 0 && !is_type(static_cast<uint32_t>(type))) {
        return "there is no such type of reservation";
    }
    if (type == ReservationType::none) return holder.is_nil() ? nullptr : "there is a holder and no reservation";
    if (is_all_registrants(type)) return registrants.empty() ? "a reservation has no holder" : nullptr;
    const bool is_registered =
        std::ranges::any_of(registrants, [this](const Registrant& one) { return one.host == holder; });
    return is_registered ? nullptr : "the holder is not registered";
}

const Registrant* ReservationState::find(const Uuid& host) const {
    const auto found = std::ranges::lower_bound(record_.registrants, host, {}, &Registrant::host);
    return found != record_.registrants.end() && found->host == host ? &*found : nullptr;
}

bool ReservationState::is_held_by_all() const { return is_all_registrants(record_.type); }

bool ReservationState::is_holder(const Uuid& host) const {
    if (!is_held()) return false;
    return is_held_by_all() ? find(host) != nullptr : record_.holder == host;
}

bool ReservationState::permits(const Uuid& host, DataAccess access) const {
    if (access == DataAccess::none) return true;
    switch (record_.type) {
        case ReservationType::none: return true;
        case ReservationType::write_exclusive: return access == DataAccess::read || record_.holder == host;
        case ReservationType::exclusive_access: return record_.holder == host;
        case ReservationType::write_exclusive_registrants_only:
        case ReservationType::write_exclusive_all_registrants:
            return access == DataAccess::read || find(host) != nullptr;
        case ReservationType::exclusive_access_registrants_only:
        case ReservationType::exclusive_access_all_registrants: return find(host) != nullptr;
    }
    return false;
}

Outcome ReservationState::execute(const Uuid& host, const ReservationCommand& command, bool can_persist) {
    // Connect takes a host without an identifier; a reservation has nobody to belong to then (8.19.1).
    if (host.is_nil()) return fails(status::host_id_inconsistent_format.with_dnr());
    switch (command.opcode) {
        case IoOpcode::reservation_register: return register_host(host, command, can_persist);
        case IoOpcode::reservation_acquire: return acquire(host, command);
        case IoOpcode::reservation_release: return release(host, command);
        default: return fails(status::invalid_opcode.with_dnr());
    }
}

Status ReservationState::add(const Uuid& host, uint64_t key) {
    auto& registrants = record_.registrants;
    // Nothing in the specification says that there is no room; hosts take this for a fault of the target, not theirs.
    if (registrants.size() == registrants_max) return status::internal_error.with_dnr();
    registrants.insert(std::ranges::lower_bound(registrants, host, {}, &Registrant::host), {host, key});
    return status::success;
}

void ReservationState::end_reservation() {
    record_.type = ReservationType::none;
    record_.holder = {};
}

void ReservationState::hold(const Uuid& host, ReservationType type) {
    record_.type = type;
    record_.holder = is_all_registrants(type) ? Uuid{} : host;
}

void ReservationState::tell_others(const Uuid& host, ReservationNotificationType type, Outcome& outcome) const {
    for (const Registrant& other : record_.registrants) {
        if (other.host != host) outcome.notices.push_back({other.host, type});
    }
}

// 8.19.6: with the last of its holders goes the reservation.
void ReservationState::unregister(const Uuid& host, Outcome& outcome) {
    const bool was_holder = is_holder(host);
    const ReservationType type = record_.type;
    std::erase_if(record_.registrants, [&host](const Registrant& one) { return one.host == host; });
    if (!was_holder || (is_held_by_all() && !record_.registrants.empty())) return;
    end_reservation();
    if (is_registrants_only(type)) tell_others(host, ReservationNotificationType::reservation_released, outcome);
}

// NVMe Base 2.0, 7.3 and 8.19.5 to 8.19.6.
Outcome ReservationState::register_host(const Uuid& host, const ReservationCommand& command, bool can_persist) {
    using Action = nvme::ReservationRegisterAction;
    using Persistence = nvme::ReservationPersistence;
    const auto action = Action(nvme::reservation::action.of(command.cdw10));
    const bool ignores_key = nvme::reservation::ignore_existing_key.of(command.cdw10) != 0;
    const auto persistence = Persistence(nvme::reservation::persistence.of(command.cdw10));
    const Registrant* mine = find(host);
    if (persistence == Persistence::reserved || (persistence == Persistence::persistent && !can_persist)) {
        return fails(status::invalid_field.with_dnr());
    }
    const bool is_key_right = mine != nullptr && (ignores_key || mine->key == command.current_key);
    Outcome outcome = fails(status::success);
    switch (action) {
        case Action::register_key:
            if (command.other_key == 0) return fails(status::invalid_field.with_dnr());
            // The same key once more is no error.
            if (mine != nullptr && mine->key != command.other_key) {
                return fails(status::reservation_conflict.with_dnr());
            }
            if (mine == nullptr) outcome.status = add(host, command.other_key);
            break;
        case Action::unregister_key:
            if (!is_key_right) return fails(status::reservation_conflict.with_dnr());
            unregister(host, outcome);
            break;
        case Action::replace_key:
            if (command.other_key == 0) return fails(status::invalid_field.with_dnr());
            // With IEKEY "without regard to its registration status": it may be the first key.
            if (mine == nullptr && ignores_key) {
                outcome.status = add(host, command.other_key);
                break;
            }
            if (!is_key_right) return fails(status::reservation_conflict.with_dnr());
            std::ranges::lower_bound(record_.registrants, host, {}, &Registrant::host)->key = command.other_key;
            break;
        default: return fails(status::invalid_field.with_dnr());
    }
    if (!outcome.status.is_success()) return outcome;
    if (persistence == Persistence::cleared) record_.is_persistent = false;
    if (persistence == Persistence::persistent) record_.is_persistent = true;
    ++generation_;
    return outcome;
}

// NVMe Base 2.0, 7.2 and 8.19.7, 8.19.8.
Outcome ReservationState::acquire(const Uuid& host, const ReservationCommand& command) {
    using Action = nvme::ReservationAcquireAction;
    const auto action = Action(nvme::reservation::action.of(command.cdw10));
    const auto wanted = static_cast<uint32_t>(nvme::reservation::type.of(command.cdw10));
    if (nvme::reservation::ignore_existing_key.of(command.cdw10) != 0 || !is_type(wanted)) {
        return fails(status::invalid_field.with_dnr());
    }
    const auto type = ReservationType(wanted);
    const Registrant* mine = find(host);
    const bool is_known = action == Action::acquire || action == Action::preempt || action == Action::preempt_and_abort;
    if (!is_known) return fails(status::invalid_field.with_dnr());
    if (mine == nullptr || mine->key != command.current_key) return fails(status::reservation_conflict.with_dnr());
    if (action == Action::acquire) {
        if (is_held()) {
            // The holder may ask again for what it has.
            return fails(is_holder(host) && record_.type == type ? status::success
                                                                 : status::reservation_conflict.with_dnr());
        }
        hold(host, type);
        return fails(status::success);
    }
    Outcome outcome = preempt(host, type, command.other_key);
    outcome.aborts = action == Action::preempt_and_abort;
    if (outcome.status.is_success()) ++generation_;
    return outcome;
}

// Unregisters who has the key, and takes the reservation over if the key is that of who holds it; 0 stands for all
// others where all registrants hold it.
Outcome ReservationState::preempt(const Uuid& host, ReservationType type, uint64_t preempted_key) {
    if (preempted_key == 0 && !is_held_by_all()) return fails(status::invalid_field.with_dnr());
    const Registrant* holder = is_held() && !is_held_by_all() ? find(record_.holder) : nullptr;
    const bool takes_over =
        (is_held_by_all() && preempted_key == 0) || (holder != nullptr && holder->key == preempted_key);
    const bool is_any = preempted_key == 0 || std::ranges::any_of(record_.registrants, [&](const Registrant& one) {
                            return one.key == preempted_key;
                        });
    if (!is_any) return fails(status::reservation_conflict.with_dnr());

    Outcome outcome = fails(status::success);
    const ReservationType type_before = record_.type;
    std::erase_if(record_.registrants, [&](const Registrant& one) {
        if (preempted_key != 0 && one.key != preempted_key) return false;
        // Who takes the reservation stays registered, also when its own key was meant.
        if (one.host == host) return !takes_over;
        outcome.preempted.push_back(one.host);
        return true;
    });
    for (const Uuid& gone : outcome.preempted) {
        outcome.notices.push_back({gone, ReservationNotificationType::registration_preempted});
    }
    if (takes_over) hold(host, type);
    // With its own key a host may preempt the last that held it, itself.
    if (!takes_over && is_held_by_all() && record_.registrants.empty()) end_reservation();
    if (takes_over && type_before != type) {
        tell_others(host, ReservationNotificationType::reservation_released, outcome);
    }
    return outcome;
}

// NVMe Base 2.0, 7.4 and 8.19.9, 8.19.10.
Outcome ReservationState::release(const Uuid& host, const ReservationCommand& command) {
    using Action = nvme::ReservationReleaseAction;
    const auto action = Action(nvme::reservation::action.of(command.cdw10));
    if (nvme::reservation::ignore_existing_key.of(command.cdw10) != 0 ||
        (action != Action::release && action != Action::clear)) {
        return fails(status::invalid_field.with_dnr());
    }
    const Registrant* mine = find(host);
    if (mine == nullptr || mine->key != command.current_key) return fails(status::reservation_conflict.with_dnr());
    Outcome outcome = fails(status::success);
    if (action == Action::clear) {
        tell_others(host, ReservationNotificationType::reservation_preempted, outcome);
        record_.registrants.clear();
        end_reservation();
        ++generation_;
        return outcome;
    }
    // Nothing to release, or not by this host: that is no error.
    if (!is_held() || !is_holder(host)) return outcome;
    const ReservationType type = record_.type;
    if (nvme::reservation::type.of(command.cdw10) != static_cast<uint32_t>(type)) {
        return fails(status::invalid_field.with_dnr());
    }
    end_reservation();
    if (is_registrants_only(type) || is_all_registrants(type)) {
        tell_others(host, ReservationNotificationType::reservation_released, outcome);
    }
    return outcome;
}

void ReservationState::report(MutableBytes out) const {
    const auto put = [&out](Bytes from) {
        const size_t count = std::min(out.size(), from.size());
        std::copy_n(from.begin(), count, out.begin());
        out = out.subspan(count);
    };
    nvme::ReservationStatus head;
    head.gen = generation_;
    head.rtype = record_.type;
    head.regctl = static_cast<uint16_t>(record_.registrants.size());
    head.ptpls = record_.is_persistent ? 1 : 0;
    put(bytes_of(head));
    for (const Registrant& one : record_.registrants) {
        nvme::ReservationRegistrant entry;
        entry.cntlid = 0xFFFF;  // controllers are dynamic here (7.5)
        entry.rcsts = is_holder(one.host) ? 1 : 0;
        entry.rkey = one.key;
        entry.hostid = one.host.octets();
        put(bytes_of(entry));
    }
}

}  // namespace weft::nvmf
