#include "nvmf/controller/controller.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/mutants.h"
#include "bdev/device.h"
#include "nvme/fabrics.h"
#include "nvme/identify.h"
#include "nvmf/controller/identify.h"
#include "nvmf/log_flags.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::AdminOpcode;
using nvme::Status;
namespace status = nvme::status;

// A host may be late by the time its Keep Alive is under way.
constexpr env::TimeNs keep_alive_grace = 500 * env::ns_per_ms;
// NVMe-oF 1.0a fixes the activity time-out of a discovery controller that named none.
constexpr uint32_t discovery_kato_ms = 120'000;

void on_keep_alive_expired(void* context) { static_cast<Controller*>(context)->on_silence(); }

}  // namespace

Controller::Controller(PollGroup& group, Qpair& admin, ControllerIdentity identity, const TransportOptions& options,
                       uint32_t kato_ms)
    : group_(group),
      subsystem_(admin.subsystem),
      admin_(&admin),
      identity_(std::move(identity)),
      options_(options),
      keep_alive_(group.thread(), on_keep_alive_expired, this) {
    reset_features();
    if (kato_ms == 0) {
        is_kato_ours_ = true;
        kato_ms = is_discovery() ? discovery_kato_ms : options_.association_timeout;
    }
    (void)set_keep_alive(kato_ms);
}

// The grace begins when this is called, not when it should have been: what a host sent while the reactor did not turn
// (a debugger, a machine that was suspended) lies in its socket, and is read before the grace is over.
void Controller::on_silence() {
    if (!std::exchange(is_in_grace_, true)) {
        keep_alive_.start_after(keep_alive_grace);
        return;
    }
    if (!queues_.empty() && !is_ending_) return spawn(look_for_commands());
    silence_is_over();
}

void Controller::silence_is_over() {
    if (is_kato_ours_) {
        WEFT_NOTICELOG("host \"{}\" named no keep-alive time and sent nothing for {} ms, controller {} ends",
                       log::quoted(identity_.hostnqn), kato_ms_, identity_.cntlid);
    } else {
        WEFT_NOTICELOG("host \"{}\" sent no Keep Alive in time, controller {} ends", log::quoted(identity_.hostnqn),
                       identity_.cntlid);
    }
    end("keep-alive expired");
}

// Traffic based keep-alive (NVMe Base 2.0, 3.9): while commands of its I/O queues come, a host need not send any Keep
// Alive, and one that named no time sends none at all.
Task<void> Controller::look_for_commands() {
    if (!gate_.try_enter()) co_return;
    uint64_t commands = 0;
    const auto queues = queues_;
    for (const auto& [qid, queue] : queues) {
        co_await resume_on(queue.group->thread());
        const Qpair* const qpair = queue.group->find_qpair(queue.qpair_uid);
        if (qpair == nullptr || qpair->io == nullptr) continue;
        const IoFigures& figures = qpair->io->figures();
        commands += figures.errors;
        for (const auto& kind : figures.kinds) commands += kind.operations;
    }
    co_await resume_on(group_.thread());
    if (std::exchange(commands_seen_, commands) != commands) {
        start_keep_alive();
    } else if (is_in_grace_) {  // no admin command came while we looked
        silence_is_over();
    }
    gate_.leave();
}

Controller::~Controller() { WEFT_ASSERT(async_requests_.empty() && queues_.empty() && admin_ == nullptr); }

void Controller::reset_features() {
    features_.clear();
    host_behavior_ = {};
    timestamp_ms_ = 0;
    timestamp_set_at_ = group_.thread().reactor().now();
    is_timestamp_hosts_ = false;
    // What is announced by default; the host turns on what it wants (NVMe Base 2.0, 5.27.1.8).
    async_event_configuration_ = 0;
    reservation_masks_.clear();
}

// NVMe Base 2.0, 3.9: rounded up to the granularity, and never less than the transport's minimum.
Status Controller::set_keep_alive(uint32_t kato_ms) {
    if (kato_ms == 0) return status::keep_alive_timeout_invalid.with_dnr();
    const uint64_t unit = uint64_t{options_.kas} * 100;
    const uint64_t rounded = (std::max(kato_ms, options_.min_kato) + unit - 1) / unit * unit;
    kato_ms_ = static_cast<uint32_t>(std::min<uint64_t>(rounded, UINT32_MAX));
    start_keep_alive();
    return status::success;
}

void Controller::start_keep_alive() {
    if (mutant::on(mutant::keep_alive_without_end)) return;
    is_in_grace_ = false;
    if (kato_ms_ != 0 && !is_ending_) keep_alive_.start_after(kato_ms_ * env::ns_per_ms);
}

nvme::Capabilities Controller::capabilities() const {
    using Cap = nvme::Capabilities;
    return Cap{}
        .with(Cap::mqes, options_.max_queue_depth - 1U)
        .with(Cap::cqr, 1)
        .with(Cap::to, 30)  // 15 s
        .with(Cap::css, Cap::css_nvm | Cap::css_io_command_sets)
        .with(Cap::crwms, 1);
}

Status Controller::property_get(Request& request) {
    const auto command = nvme::as_fabrics<nvme::PropertyGetCommand>(request.command);
    const uint8_t size = command.attrib & nvme::property_size_mask;
    if (size != nvme::property_size_4 && size != nvme::property_size_8) return status::invalid_field.with_dnr();
    const bool is_wide = size == nvme::property_size_8;
    uint64_t value = 0;
    switch (command.offset) {
        case nvme::property::cap: value = capabilities().raw; break;
        case nvme::property::cap + 4:
            if (is_wide) return status::invalid_field.with_dnr();
            value = capabilities().raw >> 32;
            break;
        case nvme::property::vs: value = target_version().raw; break;
        case nvme::property::cc: value = cc_.raw; break;
        case nvme::property::csts: value = csts_.raw; break;
        case nvme::property::nssr: value = 0; break;
        case nvme::property::crto: value = nvme::ReadyTimeouts{}.with(nvme::ReadyTimeouts::crwmt, 30).raw; break;
        default: return status::invalid_field.with_dnr();
    }
    // Eight bytes of a property of four is an error (NVMe Base 2.0, 6.5); half of one of eight is not.
    if (is_wide && command.offset != nvme::property::cap) return status::invalid_field.with_dnr();
    request.completion.set_value64(is_wide ? value : value & 0xFFFFFFFF);
    return status::success;
}

Status Controller::property_set(Request& request) {
    const auto command = nvme::as_fabrics<nvme::PropertySetCommand>(request.command);
    if ((command.attrib & nvme::property_size_mask) != nvme::property_size_4) return status::invalid_field.with_dnr();
    if (command.offset != nvme::property::cc) return status::invalid_field.with_dnr();
    return set_configuration(nvme::Configuration::from(static_cast<uint32_t>(command.value)));
}

// NVMe Base 2.0, 3.1.3.5 and 3.5, 3.6.
Status Controller::set_configuration(nvme::Configuration wanted) {
    using Cc = nvme::Configuration;
    const bool enables = wanted.is_enabled() && !cc_.is_enabled();
    if (enables) {
        const uint32_t css = wanted.get(Cc::css);
        if ((css != Cc::css_nvm && css != Cc::css_io_command_sets) || wanted.get(Cc::mps) != 0 ||
            wanted.get(Cc::ams) != 0) {
            return status::invalid_field.with_dnr();
        }
        if (is_disabling_) return status::command_sequence_error;
        csts_ = nvme::ControllerStatus{}.with(nvme::ControllerStatus::rdy, 1);
        start_keep_alive();
    }
    const bool disables = !wanted.is_enabled() && cc_.is_enabled();
    const bool shuts_down = wanted.get(Cc::shn) != Cc::shn_none && cc_.get(Cc::shn) == Cc::shn_none;
    cc_ = wanted;
    if ((disables || shuts_down) && !is_ending_) spawn(disable_task(shuts_down));
    return status::success;
}

// The controller is reset or shut down: its I/O queues go, then CSTS tells so.
Task<void> Controller::disable_task(bool is_shutdown) {
    if (!gate_.try_enter()) co_return;
    is_disabling_ = true;
    if (is_shutdown) {
        csts_.set(nvme::ControllerStatus::shst, nvme::ControllerStatus::shst_occurring);
        keep_alive_.stop();
    }
    // A reset ends event requests without completions (NVMe Base 2.0, 3.7.2), and before a shutdown hosts give them up.
    while (!async_requests_.empty()) drop_event_request(async_requests_.front()->command.cid);
    co_await end_io_queues();
    if (is_shutdown) csts_.set(nvme::ControllerStatus::shst, nvme::ControllerStatus::shst_complete);
    if (!cc_.is_enabled()) {
        csts_.set(nvme::ControllerStatus::rdy, 0);
        reset_features();
    }
    events_.clear();
    masked_until_read_.clear();
    is_disabling_ = false;
    gate_.leave();
}

Task<void> Controller::end_io_queues() {
    const auto queues = queues_;
    for (const auto& [qid, queue] : queues) {
        co_await resume_on(queue.group->thread());
        if (mutant::on(mutant::io_queues_outlive_controller)) continue;
        if (Qpair* qpair = queue.group->find_qpair(queue.qpair_uid)) qpair->close("its controller ends");
    }
    co_await resume_on(group_.thread());
    while (!queues_.empty()) co_await queue_gone_.wait();
}

Status Controller::attach_queue(uint16_t qid, PollGroup& queue_group, uint64_t qpair_uid, Request& request) {
    using Cc = nvme::Configuration;
    const auto refuse = [&request](uint16_t offset, bool in_data) {
        request.completion.cdw0 = nvme::connect_invalid(offset, in_data);
        return status::connect_invalid_parameters.with_dnr();
    };
    if (is_ending_ || is_disabling_ || !cc_.is_enabled() || is_discovery()) {
        return refuse(offsetof(nvme::ConnectData, cntlid), true);
    }
    if (cc_.get(Cc::iosqes) != nvme::sqe_size_log2 || cc_.get(Cc::iocqes) != nvme::cqe_size_log2) {
        return refuse(offsetof(nvme::ConnectCommand, qid), false);
    }
    if (qid > options_.max_io_qpairs_per_ctrlr) return refuse(offsetof(nvme::ConnectCommand, qid), false);
    // NVMe Base 2.0 says Invalid Queue Identifier in Figure 546 and Command Sequence Error in 6.3: we take the text.
    if (queues_.contains(qid) && !mutant::on(mutant::qid_used_twice)) return status::command_sequence_error;
    queues_[qid] = {&queue_group, qpair_uid};
    return status::success;
}

void Controller::detach_queue(uint16_t qid, uint64_t qpair_uid) {
    const auto found = queues_.find(qid);
    if (found == queues_.end() || found->second.qpair_uid != qpair_uid) return;
    queues_.erase(found);
    queue_gone_.wake_all();
}

std::pair<PollGroup*, uint64_t> Controller::place_of_queue(uint16_t qid) const {
    const auto found = queues_.find(qid);
    if (found == queues_.end()) return {nullptr, 0};
    return {found->second.group, found->second.qpair_uid};
}

void Controller::admin_closing() {
    // Given back at once: a connection joins only when nothing of it is out.
    while (!async_requests_.empty()) {
        Request& waiting = *async_requests_.front();
        async_requests_.pop_front();
        complete(waiting, status::aborted_sq_deletion);
    }
    end("its admin queue closed");
}

void Controller::admin_gone() {
    admin_ = nullptr;
    admin_gone_.wake_all();
}

void Controller::end(std::string_view why) {
    if (is_ending_) return;
    is_ending_ = true;
    csts_.set(nvme::ControllerStatus::cfs, 1);
    keep_alive_.stop();
    spawn(end_task(std::string(why)));
}

Task<void> Controller::end_task(std::string why) {
    PollGroup& group = group_;
    Target& target = group.target();
    const uint64_t uid = identity_.uid;
    WEFT_INFOLOG(log_nvmf, "controller {} of host \"{}\" ends: {}", identity_.cntlid, log::quoted(identity_.hostnqn),
                 why);
    co_await resume_on(target.thread());
    target.controller_ending(uid);
    co_await resume_on(group.thread());
    co_await end_io_queues();
    if (admin_ != nullptr) admin_->close(why);
    while (admin_ != nullptr) co_await admin_gone_.wait();
    co_await gate_.close();
    // The old association's commands have all ended: from here on its host may come back (stale-write rule).
    group.remove_controller(uid);
    co_await resume_on(target.thread());
    target.controller_gone(uid);
}

void Controller::complete(Request& request, Status outcome) {
    if (!outcome.is_success()) note_error(request, outcome);
    request.set_status(outcome);
    request.qpair->send(request);
}

void Controller::note_error(const Request& request, Status outcome) {
    ErrorEntry entry;
    entry.error_count = ++error_count_;
    entry.sqid = request.qpair->qid;
    entry.cid = request.command.cid;
    entry.status = outcome.to_wire();
    entry.parameter_error_location = 0xFFFF;
    entry.nsid = request.command.nsid;
    entry.trtype = static_cast<uint8_t>(nvme::TransportType::tcp);
    entry.opcode = request.command.opcode;
    if (errors_.size() < error_max) {
        errors_.push_front(entry);
    } else {
        errors_.splice(errors_.begin(), errors_, std::prev(errors_.end()));
        errors_.front() = entry;
    }
}

void Controller::execute(Request& request) {
    if (!mutant::on(mutant::keep_alive_not_renewed)) start_keep_alive();  // any admin command shows that the host lives
    const nvme::Command& command = request.command;
    if (!cc_.is_enabled()) return complete(request, status::command_sequence_error.with_dnr());
    if (const AdminHook* hook = group_.target().admin_hook(command.opcode)) {
        if (const auto outcome = hook->execute(*this, request)) return complete(request, *outcome);
    }
    switch (command.admin_opcode()) {
        case AdminOpcode::identify: return complete(request, identify(*this, request));
        case AdminOpcode::get_log_page: return get_log_page(request);
        case AdminOpcode::get_features: return complete(request, get_feature(request));
        case AdminOpcode::set_features:
            if (!is_discovery() && nvme::FeatureRequest::from(command).id == nvme::FeatureId::reservation_persistence) {
                return spawn(set_persistence_task(request));
            }
            return complete(request, set_feature(request));
        case AdminOpcode::async_event_request: return async_event_request(request);
        case AdminOpcode::abort: return abort(request);
        case AdminOpcode::namespace_attachment: return namespace_attachment(request);
        case AdminOpcode::get_lba_status: return complete(request, get_lba_status(request));
        case AdminOpcode::keep_alive:
            return complete(request, kato_ms_ == 0 ? status::keep_alive_timeout_invalid.with_dnr() : status::success);
        default: return complete(request, status::invalid_opcode.with_dnr());
    }
}

}  // namespace weft::nvmf
