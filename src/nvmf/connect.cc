#include "nvmf/connect.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "nvme/fabrics.h"
#include "nvmf/auth/qpair_auth.h"
#include "nvmf/controller/controller.h"
#include "nvmf/log_flags.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"
#include "reactor/task.h"

namespace weft::nvmf {

namespace {

using nvme::ConnectCommand;
using nvme::ConnectData;
using nvme::Status;
namespace status = nvme::status;

// A Connect that is refused: its status, and the parameter that was wrong (Figure 546).
struct Refusal {
    Status outcome;
    uint32_t cdw0 = 0;
};

Refusal invalid(size_t offset, bool in_data) {
    return {status::connect_invalid_parameters.with_dnr(),
            nvme::connect_invalid(static_cast<uint16_t>(offset), in_data)};
}

// What can be checked without knowing any subsystem. The parameter at the lowest offset is named.
std::optional<Refusal> check(const ConnectCommand& command, const ConnectData& data, const TransportOptions& options) {
    if (command.recfmt != 0) return Refusal{status::connect_incompatible_format.with_dnr()};
    const bool is_admin = command.qid == 0;
    const uint32_t depth_max = is_admin ? options.max_aq_depth : options.max_queue_depth;
    if (command.sqsize == 0 || command.sqsize >= depth_max) return invalid(offsetof(ConnectCommand, sqsize), false);
    if (is_admin && data.cntlid != nvme::cntlid_dynamic) return invalid(offsetof(ConnectData, cntlid), true);
    if (nvme::nqn_of_field(data.subnqn).empty()) return invalid(offsetof(ConnectData, subnqn), true);
    // Also where any host is allowed: each has a name (NVMe Base 2.0, 6.3, Figure 545).
    if (!nvme::is_valid_nqn(nvme::nqn_of_field(data.hostnqn))) {
        return invalid(offsetof(ConnectData, hostnqn), true);
    }
    return std::nullopt;
}

void finish(Request& request, const Refusal& answer) {
    Qpair& qpair = *request.qpair;
    qpair.connect_ended();
    if (!answer.outcome.is_success()) {
        WEFT_INFOLOG(log_nvmf, "Connect of host \"{}\" refused: {}", log::quoted(qpair.hostnqn),
                     nvme::describe(answer.outcome, true));
        request.completion.cdw0 = answer.cdw0;
    }
    request.set_status(answer.outcome);
    qpair.send(request);
}

// CDW0 of a Connect that succeeded (NVMe Base 2.0, Figure 547).
uint32_t connect_answer(uint16_t cntlid, bool needs_authentication, bool needs_secure_channel) {
    return cntlid | (needs_authentication ? nvme::connect_authreq_atr : 0U) |
           (needs_secure_channel ? nvme::connect_authreq_ascr : 0U);
}

// The connection was lost while its Connect was away: nobody waits for the answer.
bool is_lost(const Request& request) { return request.state() == RequestState::draining; }

Task<void> connect_admin(Request& request, ConnectCommand command, ConnectData data) {
    Qpair& qpair = *request.qpair;
    PollGroup& group = qpair.group();
    Target& target = group.target();
    const HostIdentity host{std::string(nvme::nqn_of_field(data.hostnqn)), Uuid(data.hostid)};
    const std::string subnqn(nvme::nqn_of_field(data.subnqn));
    const TransportId listener = qpair.listen_id();
    const Arrival arrival = Arrival::of(qpair.secure.get());

    co_await resume_on(target.thread());
    const Admission admission = co_await target.admit(subnqn, host, listener, arrival, group);
    co_await resume_on(group.thread());

    if (!admission.outcome.is_success()) co_return finish(request, {admission.outcome, admission.cdw0});
    if (is_lost(request)) {
        finish(request, {status::aborted_sq_deletion});
        co_await resume_on(target.thread());
        target.controller_gone(admission.uid);
        co_return;
    }
    qpair.qid = 0;
    qpair.cntlid = admission.cntlid;
    qpair.queue_size = static_cast<uint16_t>(command.sqsize + 1);
    qpair.has_flow_control = (command.cattr & ConnectCommand::disable_sq_flow_control) == 0;
    qpair.subsystem = group.subsystem(admission.subsystem_id);
    WEFT_ASSERT(qpair.subsystem != nullptr);
    qpair.ana = qpair.subsystem->ana.acquire(listener);
    qpair.controller = &group.add_controller(std::make_unique<Controller>(group, qpair,
                                                                          ControllerIdentity{.uid = admission.uid,
                                                                                             .cntlid = admission.cntlid,
                                                                                             .hostnqn = host.nqn,
                                                                                             .hostid = host.id,
                                                                                             .listener = listener,
                                                                                             .local = qpair.local_id()},
                                                                          qpair.options(), command.kato));
    qpair.controller_group = &group;
    qpair.controller_uid = admission.uid;
    const env::TimeNs auth_limit = command.kato == 0 ? QpairAuth::limit_default : command.kato.value() * env::ns_per_ms;
    qpair.secure_channel = admission.secure_channel;
    if (admission.needs_authentication) qpair.auth = std::make_unique<QpairAuth>(qpair, auth_limit);
    find_attached_namespaces(qpair);
    ++group.stats.admin_qpairs;
    ++group.stats.current_admin_qpairs;
    --group.stats.current_unassociated_qpairs;
    qpair.connected();
    request.completion.cdw0 =
        connect_answer(admission.cntlid, admission.needs_authentication, admission.secure_channel.is_demanded);
    finish(request, {status::success});
}

Task<void> connect_io(Request& request, ConnectCommand command, ConnectData data) {
    Qpair& qpair = *request.qpair;
    PollGroup& group = qpair.group();
    Target& target = group.target();
    const HostIdentity host{std::string(nvme::nqn_of_field(data.hostnqn)), Uuid(data.hostid)};
    const std::string subnqn(nvme::nqn_of_field(data.subnqn));
    const uint64_t qpair_uid = qpair.uid();
    const Arrival arrival = Arrival::of(qpair.secure.get());

    co_await resume_on(target.thread());
    const ControllerPlace place = target.find_controller(subnqn, data.cntlid, host);
    if (place.group == nullptr) {
        co_await resume_on(group.thread());
        co_return finish(request, {status::connect_invalid_parameters.with_dnr(), place.cdw0});
    }
    if (place.needs_tls && !arrival.is_secure) {
        WEFT_NOTICELOG("host \"{}\": an I/O queue came without TLS to a controller that has it", log::quoted(host.nqn));
        co_await resume_on(group.thread());
        co_return finish(request, {status::connect_invalid_host.with_dnr()});
    }
    co_await resume_on(place.group->thread());
    Controller* controller = place.group->find_controller(place.uid);
    Refusal answer = invalid(offsetof(ConnectData, cntlid), true);
    if (controller != nullptr) {
        answer.outcome = controller->attach_queue(command.qid, group, qpair_uid, request);
        answer.cdw0 = request.completion.cdw0;
    }
    co_await resume_on(group.thread());
    if (answer.outcome.is_success()) {
        // From here on the connection's end detaches the queue, also when it ended meanwhile.
        qpair.qid = command.qid;
        qpair.cntlid = data.cntlid;
        qpair.controller_group = place.group;
        qpair.controller_uid = place.uid;
        if (!is_lost(request)) {
            qpair.queue_size = static_cast<uint16_t>(command.sqsize + 1);
            qpair.has_flow_control = (command.cattr & ConnectCommand::disable_sq_flow_control) == 0;
            qpair.subsystem = group.subsystem(place.subsystem_id);
            WEFT_ASSERT(qpair.subsystem != nullptr);
            // The state is the controller's: that of the listener through which its admin queue came.
            qpair.ana = qpair.subsystem->ana.acquire(place.listener);
            find_attached_namespaces(qpair);
            const auto lane = qpair.subsystem->host_lanes.find(qpair.hostnqn);
            if (lane != qpair.subsystem->host_lanes.end()) qpair.lane = lane->second.get();
            qpair.io = std::make_unique<IoMeter>();
            const bool needs_authentication = place.needs_authentication && arrival.generated_psk == 0;
            if (needs_authentication) {
                qpair.auth = std::make_unique<QpairAuth>(qpair, QpairAuth::limit_default);
            }
            ++group.stats.io_qpairs;
            ++group.stats.current_io_qpairs;
            --group.stats.current_unassociated_qpairs;
            qpair.connected();
            request.completion.cdw0 = connect_answer(data.cntlid, needs_authentication, false);
        }
    }
    finish(request, answer);
}

Task<void> detach(PollGroup& group, uint64_t controller_uid, uint16_t qid, uint64_t qpair_uid) {
    co_await resume_on(group.thread());
    if (Controller* controller = group.find_controller(controller_uid)) controller->detach_queue(qid, qpair_uid);
}

}  // namespace

void start_connect(Request& request) {
    Qpair& qpair = *request.qpair;
    const auto command = nvme::as_fabrics<ConnectCommand>(request.command);
    const auto data = load<ConnectData>(request.control_data());
    qpair.connect_began();
    qpair.hostnqn = nvme::nqn_of_field(data.hostnqn);
    qpair.hostid = Uuid(data.hostid);
    if (const auto refusal = check(command, data, qpair.options())) return finish(request, *refusal);
    if (qpair.secure != nullptr && !qpair.secure->is_for(qpair.hostnqn, nvme::nqn_of_field(data.subnqn))) {
        WEFT_NOTICELOG("host \"{}\" came through TLS with the key of host {} and subsystem {}",
                       log::quoted(qpair.hostnqn), qpair.secure->hostnqn, qpair.secure->subnqn);
        return finish(request, {status::connect_invalid_host.with_dnr()});
    }
    spawn(command.qid == 0 ? connect_admin(request, command, data) : connect_io(request, command, data));
}

void qpair_closed(Qpair& qpair) {
    if (qpair.controller != nullptr) qpair.controller->admin_closing();
}

void qpair_gone(Qpair& qpair) {
    qpair.group().retire_figures(qpair);
    if (qpair.ana != nullptr) qpair.subsystem->ana.release(*std::exchange(qpair.ana, nullptr));
    PollGroupStats& stats = qpair.group().stats;
    if (qpair.subsystem == nullptr) {
        --stats.current_unassociated_qpairs;
    } else {
        --(qpair.controller != nullptr ? stats.current_admin_qpairs : stats.current_io_qpairs);
    }
    if (qpair.controller != nullptr) {
        qpair.controller->admin_gone();
    } else if (qpair.controller_group != nullptr) {
        spawn(detach(*qpair.controller_group, qpair.controller_uid, qpair.qid, qpair.uid()));
    }
}

}  // namespace weft::nvmf
