#include "nvmf/reservation/commands.h"

#include <algorithm>
#include <array>

#include "nvmf/poll_group.h"
#include "nvmf/reservation/keeper.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::IoOpcode;
using nvme::Status;
namespace status = nvme::status;

void finish(Request& request, Status outcome) {
    if (!outcome.is_success()) request.direction = nvme::TransferDirection::none;
    request.set_status(outcome);
    request.qpair->send(request);
}

// The keys that came with the command, in whatever pieces.
std::array<le64, 2> keys_of(const Request& request) {
    std::array<le64, 2> keys{};
    MutableBytes into = std::as_writable_bytes(std::span(keys));
    for (const iovec& piece : request.data()) {
        const size_t count = std::min(into.size(), piece.iov_len);
        std::copy_n(static_cast<const std::byte*>(piece.iov_base), count, into.begin());
        into = into.subspan(count);
    }
    return keys;
}

Task<void> change(Request& request, uint32_t nsid, ReservationCommand command) {
    Qpair& qpair = *request.qpair;
    PollGroup& group = qpair.group();
    Target& target = group.target();
    const uint32_t subsystem_id = qpair.subsystem->identity.id;
    const Uuid host = qpair.hostid;
    co_await resume_on(target.thread());
    Status outcome = status::invalid_namespace_or_format.with_dnr();
    if (ReservationKeeper* keeper = target.reservation_of(subsystem_id, nsid)) {
        outcome = co_await keeper->execute(host, command);
    }
    co_await resume_on(group.thread());
    finish(request, outcome);
}

}  // namespace

Status plan_reservation(Request& request, uint32_t sgl_bytes) {
    const nvme::Command& command = request.command;
    uint64_t bytes = 0;
    request.direction = nvme::TransferDirection::host_to_controller;
    switch (command.io_opcode()) {
        case IoOpcode::reservation_register: bytes = sizeof(nvme::ReservationRegisterData); break;
        case IoOpcode::reservation_acquire: bytes = sizeof(nvme::ReservationAcquireData); break;
        case IoOpcode::reservation_release: bytes = sizeof(nvme::ReservationReleaseData); break;
        default:
            // 7.5: hosts with identifiers of 128 bits, all of NVMe-oF, cannot be listed in the short form.
            if (nvme::reservation::extended_data.of(command.cdw11.value()) == 0) {
                request.direction = nvme::TransferDirection::none;
                return status::host_id_inconsistent_format.with_dnr();
            }
            bytes = (uint64_t{command.cdw10} + 1) * 4;
            request.direction = nvme::TransferDirection::controller_to_host;
            break;
    }
    if (bytes > request.qpair->options().max_io_size) return status::invalid_field.with_dnr();
    if (bytes > sgl_bytes) return status::data_sgl_length_invalid.with_dnr();
    request.data_bytes = static_cast<uint32_t>(bytes);
    return status::success;
}

void execute_reservation(Request& request, const NamespaceView& ns) {
    const nvme::Command& command = request.command;
    if (command.io_opcode() == IoOpcode::reservation_report) {
        request.allocate_control(request.data_bytes);
        ns.reservation.report(request.control_data());
        return finish(request, status::success);
    }
    const auto keys = keys_of(request);
    spawn(
        change(request, ns.identity.nsid,
               {.opcode = command.io_opcode(), .cdw10 = command.cdw10, .current_key = keys[0], .other_key = keys[1]}));
}

}  // namespace weft::nvmf
