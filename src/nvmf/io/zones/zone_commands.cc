#include "nvmf/io/zones/zone_commands.h"

#include <algorithm>
#include <optional>

#include "bdev/zones.h"
#include "nvme/zoned.h"
#include "nvmf/io/steps.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

namespace {

using nvme::IoOpcode;
using nvme::Status;
using nvme::ZoneReceiveAction;
using nvme::ZoneReportFilter;
using nvme::ZoneSendAction;
namespace status = nvme::status;
namespace field = nvme::zone_management;

bool is_zone_start(const NamespaceView& ns, uint64_t lba) {
    return lba % ns.device->zones()->zone_geometry().zone_blocks == 0;
}

std::optional<bdev::ZoneAction> action_of(uint32_t cdw13) {
    switch (ZoneSendAction(field::action.of(cdw13))) {
        case ZoneSendAction::close: return bdev::ZoneAction::close;
        case ZoneSendAction::finish: return bdev::ZoneAction::finish;
        case ZoneSendAction::open: return bdev::ZoneAction::open;
        case ZoneSendAction::reset: return bdev::ZoneAction::reset;
        case ZoneSendAction::offline: return bdev::ZoneAction::offline;
        case ZoneSendAction::set_descriptor_extension:  // there are none
        case ZoneSendAction::flush_explicit_zrwa: break;
    }
    return std::nullopt;
}

Status plan_send(const nvme::Command& command, const NamespaceView& ns) {
    const uint32_t cdw13 = command.cdw13;
    if (!action_of(cdw13)) return status::invalid_field.with_dnr();
    if (field::select_all.of(cdw13) != 0) return status::success;
    if (command.slba() >= ns.device->block_count()) return status::lba_out_of_range.with_dnr();
    return is_zone_start(ns, command.slba()) ? status::success : status::invalid_field.with_dnr();
}

Status plan_receive(const nvme::Command& command, const NamespaceView& ns) {
    const uint32_t cdw13 = command.cdw13;
    // No extension of zone descriptors, so no extended report either.
    if (field::action.of(cdw13) != static_cast<uint32_t>(ZoneReceiveAction::report)) {
        return status::invalid_field.with_dnr();
    }
    if (field::report_states.of(cdw13) > static_cast<uint32_t>(ZoneReportFilter::offline)) {
        return status::invalid_field.with_dnr();
    }
    return command.slba() < ns.device->block_count() ? status::success : status::lba_out_of_range.with_dnr();
}

bool is_meant(ZoneReportFilter filter, bdev::ZoneState state) {
    switch (filter) {
        case ZoneReportFilter::all: return true;
        case ZoneReportFilter::empty: return state == bdev::ZoneState::empty;
        case ZoneReportFilter::implicitly_opened: return state == bdev::ZoneState::implicitly_opened;
        case ZoneReportFilter::explicitly_opened: return state == bdev::ZoneState::explicitly_opened;
        case ZoneReportFilter::closed: return state == bdev::ZoneState::closed;
        case ZoneReportFilter::full: return state == bdev::ZoneState::full;
        case ZoneReportFilter::read_only: return state == bdev::ZoneState::read_only;
        case ZoneReportFilter::offline: return state == bdev::ZoneState::offline;
    }
    return false;
}

nvme::ZoneDescriptor describe(const bdev::ZoneInfo& zone) {
    const bool has_pointer = zone.state != bdev::ZoneState::full && zone.state != bdev::ZoneState::read_only &&
                             zone.state != bdev::ZoneState::offline;
    nvme::ZoneDescriptor descriptor;
    descriptor.type = nvme::ZoneDescriptor::sequential_write_required;
    descriptor.state = static_cast<uint8_t>(static_cast<unsigned>(zone.state) << 4);
    descriptor.zcap = zone.capacity;
    descriptor.zslba = zone.start;
    descriptor.wp = has_pointer ? zone.write_pointer : nvme::ZoneDescriptor::no_write_pointer;
    return descriptor;
}

// 3.4.2.2: the header, then as many descriptors as fit. The count is that of all zones that match from here on, or
// of those that fit when a partial report was asked for.
void report(const bdev::Zones& zones, const nvme::Command& command, MutableBytes out) {
    const auto filter = ZoneReportFilter(field::report_states.of(command.cdw13.value()));
    const bool is_partial = field::partial_report.of(command.cdw13.value()) != 0;
    const bdev::ZoneGeometry& geometry = zones.zone_geometry();
    uint64_t count = 0;
    MutableBytes rest =
        out.size() > sizeof(nvme::ZoneReportHeader) ? out.subspan(sizeof(nvme::ZoneReportHeader)) : MutableBytes();
    for (uint64_t index = command.slba() / geometry.zone_blocks; index < geometry.zone_count; ++index) {
        const bdev::ZoneInfo zone = zones.zone(index);
        if (!is_meant(filter, zone.state)) continue;
        const bool fits = rest.size() >= sizeof(nvme::ZoneDescriptor);
        if (!fits && is_partial) break;
        ++count;
        if (!fits) continue;
        store(rest, describe(zone));
        rest = rest.subspan(sizeof(nvme::ZoneDescriptor));
    }
    nvme::ZoneReportHeader header;
    header.zone_count = count;
    const Bytes header_bytes = bytes_of(header);
    std::copy_n(header_bytes.begin(), std::min(header_bytes.size(), out.size()), out.begin());
}

void on_append_done(bdev::Request& io) {
    auto& request = *static_cast<Request*>(io.context);
    if (io.status == bdev::Status::success) request.completion.set_value64(io.lba);
    finish_io(request, to_nvme(io.status));
}

void submit(Request& request, void (*done)(bdev::Request&)) {
    request.io.done = done;
    request.io.context = &request;
    switch (submit_io(request)) {
        case bdev::Progress::done: done(request.io); break;
        case bdev::Progress::pending: break;
        case bdev::Progress::retry: retry_later(request); break;
    }
}

}  // namespace

Status plan_zone_command(const nvme::Command& command, const NamespaceView& ns, uint64_t& bytes) {
    if (ns.device->zones() == nullptr) return status::invalid_opcode.with_dnr();
    switch (command.io_opcode()) {
        case IoOpcode::zone_append:
            bytes = uint64_t{command.block_count()} << ns.block_shift;
            if (command.slba() >= ns.device->block_count()) return status::lba_out_of_range.with_dnr();
            return is_zone_start(ns, command.slba()) ? status::success : status::invalid_field.with_dnr();
        case IoOpcode::zone_management_send: return plan_send(command, ns);
        case IoOpcode::zone_management_receive:
            bytes = (uint64_t{command.cdw12} + 1) * 4;
            return plan_receive(command, ns);
        default: return status::invalid_opcode.with_dnr();
    }
}

void execute_zone_append(Request& request) {
    bdev::Request& io = request.io;
    io.op = bdev::Op::zone_append;
    io.lba = request.command.slba();
    io.blocks = request.data_bytes >> request.ns->block_shift;
    io.data = request.data();
    submit(request, on_append_done);
}

void execute_zone_management_send(Request& request) {
    bdev::Request& io = request.io;
    io.op = bdev::Op::zone_management;
    io.zone_action = *action_of(request.command.cdw13);
    io.all_zones = field::select_all.of(request.command.cdw13.value()) != 0;
    io.lba = io.all_zones ? 0 : request.command.slba();
    io.blocks = 0;
    io.data = {};
    submit(request, [](bdev::Request& done) { finish_io(*static_cast<Request*>(done.context), to_nvme(done.status)); });
}

void execute_zone_management_receive(Request& request) {
    request.allocate_control(request.data_bytes);
    report(*request.ns->device->zones(), request.command, request.control_data());
    finish_io(request, status::success);
}

}  // namespace weft::nvmf
