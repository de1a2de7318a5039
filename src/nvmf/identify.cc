#include "nvmf/identify.h"

#include <algorithm>
#include <bit>

#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvme/identify.h"
#include "nvme/identify_controller.h"
#include "nvme/identify_namespace.h"
#include "nvmf/controller.h"

namespace weft::nvmf {

namespace {

using nvme::Cns;
using nvme::Status;
namespace status = nvme::status;

uint8_t mdts_of(uint32_t max_io_size) { return static_cast<uint8_t>(std::bit_width(max_io_size / 4096) - 1); }

nvme::IdentifyController describe_controller(const Controller& controller) {
    const SubsystemIdentity& subsystem = controller.subsystem().identity;
    const TransportOptions& options = controller.options();
    nvme::IdentifyController data;
    nvme::fill_ascii(data.sn, subsystem.serial_number);
    nvme::fill_ascii(data.mn, subsystem.model_number);
    nvme::fill_ascii(data.fr, firmware_revision);
    nvme::fill_nqn_field(data.subnqn, subsystem.nqn);
    data.rab = 6;
    data.mdts = mdts_of(options.max_io_size);
    data.cntlid = controller.identity().cntlid;
    data.ver = target_version().raw;
    data.ctratt = nvme::ctratt::host_identifier_128 | nvme::ctratt::traffic_based_keep_alive;
    data.cntrltype = controller.is_discovery() ? nvme::ControllerType::discovery : nvme::ControllerType::io;
    data.aerl = 3;
    data.elpe = 63;
    data.lpa = nvme::lpa::extended_data | nvme::lpa::commands_supported_and_effects | nvme::lpa::supported_log_pages;
    data.kas = options.kas;
    data.maxcmd = options.max_queue_depth;
    data.sgls = nvme::sgls::supported | nvme::sgls::offset | nvme::sgls::transport;
    data.psd[0].mp = 0;
    // NVMe-oF: in 16-byte units, the command itself included.
    data.ioccsz = (64 + options.in_capsule_data_size) / 16;
    data.iorcsz = 1;
    data.msdbd = 1;
    if (controller.is_discovery()) {
        data.oaes = nvme::async_event_bits::discovery_log;
        data.dctype = nvme::DiscoveryControllerType::direct;
        return data;
    }
    data.crdt1 = subsystem.command_retry_delays[0];
    data.crdt2 = subsystem.command_retry_delays[1];
    data.crdt3 = subsystem.command_retry_delays[2];
    data.cmic = nvme::cmic::multiple_ports | nvme::cmic::multiple_controllers;
    data.oaes = nvme::async_event_bits::namespace_attribute;
    data.acl = 3;
    data.frmw = nvme::frmw::slot1_read_only | nvme::frmw::one_slot;
    data.wctemp = 0x157;
    data.cctemp = 0x175;
    data.sqes = 0x66;
    data.cqes = 0x44;
    data.nn = subsystem.max_namespaces;
    data.mnan = subsystem.max_namespaces;
    data.oncs = nvme::oncs::compare | nvme::oncs::dataset_management | nvme::oncs::write_zeroes;
    // Always: a namespace with a volatile cache may be added later, and hosts ask only once.
    data.vwc = nvme::vwc::present | nvme::vwc::no_broadcast_flush;
    data.ofcs = nvme::ofcs::disconnect;
    return data;
}

nvme::IdentifyNamespace describe_namespace(const NamespaceView& ns) {
    nvme::IdentifyNamespace data;
    const uint64_t blocks = ns.device->block_count();
    const bdev::Geometry& geometry = ns.device->geometry();
    data.nsze = blocks;
    data.ncap = blocks;
    data.nuse = blocks;
    data.nmic = nvme::nmic::shared;
    data.dlfeat = nvme::dlfeat::reads_zeroes | nvme::dlfeat::write_zeroes_deallocates;
    data.nguid = ns.identity.nguid;
    data.eui64 = ns.identity.eui64;
    data.anagrpid = ns.identity.anagrpid;
    data.lbaf[0].lbads = ns.block_shift;
    if (geometry.optimal_blocks > 1 || geometry.unmap_blocks > 1) {
        const auto zero_based = [](uint32_t blocks_at_once) {
            return static_cast<uint16_t>(std::clamp<uint32_t>(blocks_at_once, 1, 0x10000) - 1);
        };
        data.nsfeat = nvme::nsfeat::optimal_performance;
        data.npwg = zero_based(geometry.optimal_blocks);
        data.npwa = zero_based(geometry.optimal_blocks);
        data.npdg = zero_based(geometry.unmap_blocks);
        data.npda = zero_based(geometry.unmap_blocks);
        data.nows = zero_based(geometry.optimal_blocks);
    }
    return data;
}

// CNS 02h and 07h: NSIDs above the one given.
Status list_namespaces(const Controller& controller, uint32_t above, MutableBytes out) {
    if (above >= nvme::broadcast_nsid - 1) return status::invalid_namespace_or_format.with_dnr();
    nvme::NamespaceList list;
    size_t count = 0;
    for (const auto& ns : controller.subsystem().namespaces) {
        if (ns == nullptr || ns->identity.nsid <= above) continue;
        if (count == list.nsid.size()) break;
        list.nsid[count++] = ns->identity.nsid;
    }
    store(out, list);
    return status::success;
}

// CNS 03h.
void describe_ids(const NamespaceView& ns, MutableBytes out) {
    const auto append = [&out](nvme::NamespaceIdType type, Bytes id) {
        store(out, nvme::NamespaceDescriptor{.nidt = type, .nidl = static_cast<uint8_t>(id.size())});
        out = out.subspan(sizeof(nvme::NamespaceDescriptor));
        std::copy(id.begin(), id.end(), out.begin());
        out = out.subspan(id.size());
    };
    const uint8_t csi = static_cast<uint8_t>(nvme::CommandSet::nvm);
    append(nvme::NamespaceIdType::eui64, std::as_bytes(std::span(ns.identity.eui64)));
    append(nvme::NamespaceIdType::nguid, std::as_bytes(std::span(ns.identity.nguid)));
    append(nvme::NamespaceIdType::uuid, std::as_bytes(std::span(ns.identity.uuid.octets())));
    append(nvme::NamespaceIdType::csi, bytes_of(csi));
}

// Data for one namespace: an inactive NSID gives zeroes for CNS 00h (5.17.2.2), an error for the others.
Status of_namespace(const Controller& controller, const nvme::IdentifyRequest& wanted, MutableBytes out) {
    const bool is_valid = wanted.nsid != 0 && wanted.nsid <= controller.subsystem().identity.max_namespaces;
    // FFFFFFFFh asks for what namespaces have in common, which is known with namespace management only.
    if (!is_valid) return status::invalid_namespace_or_format.with_dnr();
    const NamespaceView* ns = controller.subsystem().find(wanted.nsid);
    switch (wanted.cns) {
        case Cns::name_space:
            if (ns != nullptr) store(out, describe_namespace(*ns));
            return status::success;
        case Cns::namespace_descriptors:
            if (ns == nullptr) return status::invalid_namespace_or_format.with_dnr();
            describe_ids(*ns, out);
            return status::success;
        case Cns::io_command_set_namespace:
            if (wanted.csi != nvme::CommandSet::nvm) return status::invalid_field.with_dnr();
            return status::success;  // no protection information: all zero
        case Cns::independent_namespace: {
            if (ns == nullptr) return status::success;
            nvme::IdentifyIndependentNamespace data;
            data.nmic = nvme::nmic::shared;
            data.anagrpid = ns->identity.anagrpid;
            data.nstat = nvme::nstat::ready;
            store(out, data);
            return status::success;
        }
        default: return status::invalid_field.with_dnr();
    }
}

}  // namespace

Status identify(const Controller& controller, Request& request) {
    const auto wanted = nvme::IdentifyRequest::from(request.command);
    const MutableBytes out = request.control_data();
    if (wanted.cns == Cns::controller) {
        store(out, describe_controller(controller));
        return status::success;
    }
    if (controller.is_discovery()) return status::invalid_field.with_dnr();
    switch (wanted.cns) {
        case Cns::active_namespace_list: return list_namespaces(controller, wanted.nsid, out);
        case Cns::io_command_set_active_namespace_list:
            if (wanted.csi != nvme::CommandSet::nvm) return status::invalid_field.with_dnr();
            return list_namespaces(controller, wanted.nsid, out);
        case Cns::io_command_set_controller:
            // No limit on Write Zeroes or Dataset Management beyond what the commands themselves have: all zero.
            return wanted.csi == nvme::CommandSet::nvm ? status::success : status::invalid_field.with_dnr();
        case Cns::io_command_set_combinations: {
            nvme::CommandSetCombinations data;
            data.vector[0] = uint64_t{1} << static_cast<unsigned>(nvme::CommandSet::nvm);
            store(out, data);
            return status::success;
        }
        case Cns::name_space:
        case Cns::namespace_descriptors:
        case Cns::io_command_set_namespace:
        case Cns::independent_namespace: return of_namespace(controller, wanted, out);
        default: return status::invalid_field.with_dnr();
    }
}

}  // namespace weft::nvmf
