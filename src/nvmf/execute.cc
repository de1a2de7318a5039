#include "nvmf/execute.h"

#include <algorithm>

#include "base/log.h"
#include "nvme/describe.h"
#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/lba_status.h"
#include "nvme/log_page.h"
#include "nvmf/auth/qpair_auth.h"
#include "nvmf/connect.h"
#include "nvmf/controller/controller.h"
#include "nvmf/io/io_commands.h"
#include "nvmf/log_flags.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::AdminOpcode;
using nvme::FabricsType;
using nvme::Status;
using nvme::TransferDirection;
namespace status = nvme::status;

Status take(Request& request, TransferDirection direction, uint64_t bytes, uint32_t sgl_bytes) {
    if (bytes > sgl_bytes) return status::data_sgl_length_invalid.with_dnr();
    request.direction = bytes == 0 ? TransferDirection::none : direction;
    request.data_bytes = static_cast<uint32_t>(bytes);
    return status::success;
}

Status plan_feature(Request& request, uint32_t sgl_bytes, TransferDirection direction) {
    const auto feature = nvme::FeatureRequest::from(request.command);
    switch (feature.id) {
        case nvme::FeatureId::host_behavior_support:
            return take(request, direction, sizeof(nvme::HostBehavior), sgl_bytes);
        case nvme::FeatureId::timestamp: return take(request, direction, sizeof(nvme::Timestamp), sgl_bytes);
        case nvme::FeatureId::host_identifier: {
            // NVMe Base 2.0, 5.27.1.25: with EXHID set the identifier has 16 bytes, which is what fabrics use.
            if (direction == TransferDirection::host_to_controller) return status::success;
            const bool extended = nvme::feature::extended_host_identifier.of(request.command.cdw11.value()) != 0;
            return extended ? take(request, direction, 16, sgl_bytes) : status::invalid_field.with_dnr();
        }
        default: return status::success;
    }
}

Status plan_admin(Request& request, uint32_t sgl_bytes) {
    const nvme::Command& command = request.command;
    if (command.fuse() != nvme::Fuse::none) return status::invalid_field.with_dnr();
    if (const AdminHook* hook = request.qpair->group().target().admin_hook(command.opcode)) {
        const uint64_t bytes = hook->data_bytes ? hook->data_bytes(command) : 0;
        if (bytes > request.qpair->options().max_io_size) return status::invalid_field.with_dnr();
        if (bytes > 0) return take(request, nvme::transfer_direction(command.opcode), bytes, sgl_bytes);
    }
    switch (command.admin_opcode()) {
        case AdminOpcode::identify:
            return take(request, TransferDirection::controller_to_host, nvme::identify_data_size, sgl_bytes);
        case AdminOpcode::get_log_page: {
            const uint64_t bytes = nvme::LogPageRequest::from(command).length_bytes;
            // NUMD may ask for 16 GiB; MDTS bounds it.
            if (bytes > request.qpair->options().max_io_size) return status::invalid_field.with_dnr();
            return take(request, TransferDirection::controller_to_host, bytes, sgl_bytes);
        }
        case AdminOpcode::get_features: return plan_feature(request, sgl_bytes, TransferDirection::controller_to_host);
        case AdminOpcode::set_features: return plan_feature(request, sgl_bytes, TransferDirection::host_to_controller);
        case AdminOpcode::namespace_attachment:
            if (request.qpair->subsystem->identity.is_discovery) return status::invalid_opcode.with_dnr();
            return take(request, TransferDirection::host_to_controller, nvme::identify_data_size, sgl_bytes);
        case AdminOpcode::get_lba_status: {
            if (request.qpair->subsystem->identity.is_discovery) return status::invalid_opcode.with_dnr();
            const uint64_t bytes = nvme::LbaStatusRequest::from(command).length_bytes;
            if (bytes > request.qpair->options().max_io_size) return status::invalid_field.with_dnr();
            return take(request, TransferDirection::controller_to_host, bytes, sgl_bytes);
        }
        case AdminOpcode::abort:
        case AdminOpcode::async_event_request:
        case AdminOpcode::keep_alive: return status::success;
        default:
            if (request.qpair->group().target().admin_hook(command.opcode) != nullptr) return status::success;
            return status::invalid_opcode.with_dnr();
    }
}

Status plan_fabrics(Request& request, uint32_t sgl_bytes) {
    const Qpair& qpair = *request.qpair;
    const FabricsType type = request.command.fabrics_type();
    switch (type) {
        case FabricsType::connect:
            if (qpair.subsystem != nullptr || qpair.is_connecting) return status::command_sequence_error;
            return take(request, TransferDirection::host_to_controller, sizeof(nvme::ConnectData), sgl_bytes);
        case FabricsType::property_get:
        case FabricsType::property_set: return qpair.is_admin() ? status::success : status::invalid_field.with_dnr();
        case FabricsType::disconnect: return status::success;
        case FabricsType::authentication_send:
        case FabricsType::authentication_receive: {
            if (const Status checked = QpairAuth::check(request.command); !checked.is_success()) return checked;
            const auto command = nvme::as_fabrics<nvme::AuthenticationCommand>(request.command);
            const bool is_send = type == FabricsType::authentication_send;
            return take(request,
                        is_send ? TransferDirection::host_to_controller : TransferDirection::controller_to_host,
                        std::min(command.length.value(), auth_data_max), sgl_bytes);
        }
        default: return status::invalid_field.with_dnr();
    }
}

// A host may begin by itself on a queue that is enabled, to authenticate again.
QpairAuth& auth_of(Qpair& qpair) {
    if (qpair.auth == nullptr) qpair.auth = std::make_unique<QpairAuth>(qpair, QpairAuth::limit_default);
    return *qpair.auth;
}

void finish(Request& request, Status outcome) {
    if (!outcome.is_success()) {
        WEFT_INFOLOG(log_nvmf, "{}: {}", nvme::describe(request.command, true), nvme::describe(outcome));
    }
    request.set_status(outcome);
    request.qpair->send(request);
}

void execute_fabrics(Request& request) {
    Qpair& qpair = *request.qpair;
    switch (request.command.fabrics_type()) {
        case FabricsType::connect: return start_connect(request);
        case FabricsType::authentication_send:
        case FabricsType::authentication_receive: return auth_of(qpair).execute(request);
        case FabricsType::property_get: return finish(request, qpair.controller->property_get(request));
        case FabricsType::property_set: return finish(request, qpair.controller->property_set(request));
        case FabricsType::disconnect: {
            // NVMe Base 2.0, 6.4: for I/O queues; the host closes the connection after the answer.
            if (nvme::as_fabrics<nvme::DisconnectCommand>(request.command).recfmt != 0) {
                return finish(request, status::connect_incompatible_format);
            }
            if (qpair.is_admin()) return finish(request, status::invalid_queue_type);
            qpair.state = Qpair::State::deactivating;
            return finish(request, status::success);
        }
        default: return finish(request, status::invalid_field.with_dnr());
    }
}

// What must go on while a subsystem is paused: it is needed to keep the association alive.
bool ignores_pause(AdminOpcode opcode) {
    return opcode == AdminOpcode::keep_alive || opcode == AdminOpcode::async_event_request;
}

}  // namespace

Status plan_command(Request& request, uint32_t sgl_bytes) {
    request.direction = TransferDirection::none;
    request.data_bytes = 0;
    if (request.command.is_fabrics()) return plan_fabrics(request, sgl_bytes);
    return request.qpair->is_admin() ? plan_admin(request, sgl_bytes) : plan_io(request, sgl_bytes);
}

bool uses_control_data(const Request& request) {
    return request.command.is_fabrics() || request.qpair->is_admin() || uses_heap(request);
}

void execute_command(Request& request) {
    request.move(RequestEvent::execute);
    WEFT_DEBUGLOG(log_nvmf, "{}", nvme::describe(request.command, true));
    if (request.direction == TransferDirection::controller_to_host) request.allocate_control(request.data_bytes);
    if (request.command.is_fabrics()) return execute_fabrics(request);

    SubsystemView& subsystem = *request.qpair->subsystem;
    const AdminOpcode opcode = request.command.admin_opcode();
    if (subsystem.is_admin_paused && !ignores_pause(opcode)) {
        request.move(RequestEvent::hold);
        subsystem.held.push_back(request);
        return;
    }
    if (!ignores_pause(opcode)) {
        request.is_admin_counted = true;
        ++subsystem.admin_outstanding;
    }
    request.qpair->controller->execute(request);
}

void admin_command_over(Request& request) {
    if (!request.is_admin_counted) return;
    request.is_admin_counted = false;
    SubsystemView& subsystem = *request.qpair->subsystem;
    WEFT_ASSERT(subsystem.admin_outstanding > 0);
    if (--subsystem.admin_outstanding == 0 && subsystem.is_admin_paused) subsystem.admin_drained.wake_all();
}

}  // namespace weft::nvmf
