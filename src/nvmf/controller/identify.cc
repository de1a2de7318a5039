#include "nvmf/controller/identify.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "bdev/zones.h"
#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvme/identify.h"
#include "nvme/identify_controller.h"
#include "nvme/identify_namespace.h"
#include "nvme/zoned.h"
#include "nvmf/controller/controller.h"
#include "nvmf/io/copy.h"
#include "nvmf/io/fused.h"

namespace weft::nvmf {

namespace {

using nvme::Cns;
using nvme::Status;
namespace status = nvme::status;

uint8_t mdts_of(uint32_t max_io_size) { return static_cast<uint8_t>(std::bit_width(max_io_size / 4096) - 1); }

// NVMe Base 2.0, 8.1.
void describe_ana(const SubsystemIdentity& subsystem, nvme::IdentifyController& data) {
    namespace anacap = nvme::anacap;
    data.cmic = static_cast<uint8_t>(data.cmic | nvme::cmic::ana_reporting);
    data.oaes = data.oaes | nvme::async_event_bits::ana_change;
    // What a host waits for the end of a transition, in seconds.
    data.anatt = 10;
    // A namespace may be moved to another group at any time: its ANAGRPID is not constant.
    data.anacap =
        anacap::optimized | anacap::non_optimized | anacap::inaccessible | anacap::persistent_loss | anacap::change;
    data.anagrpmax = subsystem.max_namespaces;
    data.nanagrpid = subsystem.max_namespaces;
}

// What hosts may do with reservations (8.19).
uint8_t reservation_capabilities(const NamespaceView& ns) {
    namespace rescap = nvme::rescap;
    constexpr unsigned all = rescap::write_exclusive | rescap::exclusive_access |
                             rescap::write_exclusive_registrants_only | rescap::exclusive_access_registrants_only |
                             rescap::write_exclusive_all_registrants | rescap::exclusive_access_all_registrants |
                             rescap::ignore_existing_key_1_3;
    return static_cast<uint8_t>(all | (ns.can_persist ? rescap::persist_through_power_loss : 0U));
}

// Of the namespaces that there are, those with zones left out: how many can do it, and how many cannot.
struct Ability {
    size_t can = 0;
    size_t cannot = 0;
};
Ability ability(const Controller& controller, bdev::Op op) {
    Ability found;
    for (const auto& ns : controller.subsystem().namespaces) {
        if (ns == nullptr || ns->device->zones() != nullptr) continue;
        ++(ns->device->accepts(op) ? found.can : found.cannot);
    }
    return found;
}

// Whether there is a namespace whose tuples are not the common eight bytes.
bool has_wide_guards(const Controller& controller) {
    return std::ranges::any_of(controller.subsystem().namespaces, [](const auto& ns) {
        return ns != nullptr && ns->metadata.has_tuple() && ns->metadata.guard != bdev::Guard::crc16;
    });
}

nvme::IdentifyController describe_controller(const Controller& controller) {
    const SubsystemIdentity& subsystem = controller.subsystem().identity;
    const TransportOptions& options = controller.options();
    nvme::IdentifyController data;
    nvme::fill_ascii(data.sn, subsystem.serial_number);
    nvme::fill_ascii(data.mn, subsystem.model_number);
    nvme::fill_ascii(data.fr, firmware_revision);
    const std::string& unique_nqn = controller.subsystem().unique_nqn;
    nvme::fill_nqn_field(data.subnqn, unique_nqn.empty() ? subsystem.nqn : unique_nqn);
    data.rab = 6;
    data.mdts = mdts_of(options.max_io_size);
    data.cntlid = controller.identity().cntlid;
    data.ver = target_version().raw;
    data.ctratt = nvme::ctratt::host_identifier_128 | nvme::ctratt::traffic_based_keep_alive |
                  (has_wide_guards(controller) ? nvme::ctratt::extended_lba_formats : 0);
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
    data.oacs = nvme::oacs::get_lba_status;
    data.oncs = nvme::oncs::compare | nvme::oncs::dataset_management | nvme::oncs::write_zeroes |
                nvme::oncs::save_and_select | nvme::oncs::timestamp | nvme::oncs::verify | nvme::oncs::copy |
                nvme::oncs::reservations;
    if (subsystem.ana_reporting) describe_ana(subsystem, data);
    const Ability spoils = ability(controller, bdev::Op::write_uncorrectable);
    if (spoils.can > 0 && spoils.cannot == 0) data.oncs = data.oncs | nvme::oncs::write_uncorrectable;
    if (ability(controller, bdev::Op::compare_and_write).cannot == 0) {
        data.fuses = nvme::fuses::compare_and_write;
    }
    data.ocfs = nvme::copy_formats::format_0 | nvme::copy_formats::format_1;
    // Always: a namespace with a volatile cache may be added later, and hosts ask only once.
    data.vwc = nvme::vwc::present | nvme::vwc::no_broadcast_flush;
    data.ofcs = nvme::ofcs::disconnect;
    data.oncs = static_cast<uint16_t>(data.oncs & ~options.masked_oncs);
    data.fuses = static_cast<uint16_t>(data.fuses & ~options.masked_fuses);
    return data;
}

nvme::IdentifyNamespace describe_namespace(const NamespaceView& ns, const TransportOptions& options) {
    nvme::IdentifyNamespace data;
    const uint64_t blocks = ns.device->block_count();
    const bdev::Geometry& geometry = ns.device->geometry();
    data.nsze = blocks;
    data.ncap = blocks;
    data.nuse = blocks;
    data.nmic = nvme::nmic::shared;
    data.rescap = reservation_capabilities(ns);
    if (ns.device->supports(bdev::Op::unmap)) {
        data.dlfeat = nvme::dlfeat::reads_zeroes | nvme::dlfeat::write_zeroes_deallocates;
    }
    data.nguid = ns.identity.nguid;
    data.eui64 = ns.identity.eui64;
    data.anagrpid = ns.identity.anagrpid;
    data.lbaf[0].lbads = ns.block_shift;
    if (const bdev::ProtectionFormat& format = ns.metadata; format.metadata_bytes != 0 && !ns.identity.hide_metadata) {
        data.lbaf[0].ms = format.metadata_bytes;
        data.flbas = nvme::flbas::extended;
        data.mc = nvme::mc::extended;
        if (format.has_tuple()) {
            const auto type = static_cast<uint8_t>(format.type);
            data.dpc = static_cast<uint8_t>(1U << (type - 1)) |
                       (format.is_first ? nvme::dpc::first_bytes : nvme::dpc::last_bytes);
            data.dps = static_cast<uint8_t>(type | (format.is_first ? nvme::dps::first_bytes : 0));
        }
    }
    // NAWUN and NAWUPF: a block, as AWUN and AWUPF.
    data.nsfeat = nvme::nsfeat::atomic_fields;
    data.nacwu = static_cast<uint16_t>(std::max(fused_bytes_max(options) >> ns.block_shift, 1U) - 1);
    data.mssrl = copy_range_blocks_max(ns.block_shift);
    data.mcl = copy_blocks_max(ns.block_shift);
    data.msrc = copy_ranges_max - 1;
    if (geometry.optimal_blocks > 1 || geometry.unmap_blocks > 1) {
        const auto zero_based = [](uint32_t blocks_at_once) {
            return static_cast<uint16_t>(std::clamp<uint32_t>(blocks_at_once, 1, 0x10000) - 1);
        };
        data.nsfeat |= nvme::nsfeat::optimal_performance;
        data.npwg = zero_based(geometry.optimal_blocks);
        data.npwa = zero_based(geometry.optimal_blocks);
        data.npdg = zero_based(geometry.unmap_blocks);
        data.npda = zero_based(geometry.unmap_blocks);
        data.nows = zero_based(geometry.optimal_blocks);
    }
    return data;
}

nvme::CommandSet command_set_of(const NamespaceView& ns) {
    return ns.device->zones() != nullptr ? nvme::CommandSet::zoned : nvme::CommandSet::nvm;
}

bool has_zoned(const Controller& controller) {
    return std::ranges::any_of(controller.subsystem().namespaces, [](const auto& ns) {
        return ns != nullptr && command_set_of(*ns) == nvme::CommandSet::zoned;
    });
}

// CNS 05h, CSI 00h.
nvme::IdentifyNvmNamespace describe_protection(const NamespaceView& ns) {
    nvme::IdentifyNvmNamespace data;
    const bdev::ProtectionFormat& format = ns.metadata;
    if (!format.has_tuple() || ns.identity.hide_metadata) return data;
    const uint8_t storage_bits = format.storage_tag_bits();
    data.lbstm = (uint64_t{1} << storage_bits) - 1;
    if (storage_bits != 0) data.pic = nvme::pic::storage_tag_check_read;  // STCR of Copy
    data.elbaf[0] = static_cast<uint32_t>(format.guard) << nvme::elbaf::format_shift | storage_bits;
    return data;
}

// CNS 05h, CSI 02h.
nvme::IdentifyZonedNamespace describe_zones(const bdev::Zones& zones) {
    const bdev::ZoneGeometry& geometry = zones.zone_geometry();
    const auto zero_based = [](uint32_t limit) {
        return limit == 0 ? nvme::IdentifyZonedNamespace::no_limit : limit - 1;
    };
    nvme::IdentifyZonedNamespace data;
    data.ozcs = nvme::ozcs::reads_across_zones;
    data.mar = zero_based(geometry.active_max);
    data.mor = zero_based(geometry.open_max);
    data.lbafe[0].zsze = geometry.zone_blocks;
    return data;
}

// CNS 02h and 07h: NSIDs above the one given; those of one command set only, if one is asked for.
Status list_namespaces(const Controller& controller, uint32_t above, MutableBytes out,
                       std::optional<nvme::CommandSet> csi = {}) {
    if (above >= nvme::broadcast_nsid - 1) return status::invalid_namespace_or_format.with_dnr();
    nvme::NamespaceList list;
    size_t count = 0;
    const auto nsid_max = static_cast<uint32_t>(controller.subsystem().namespaces.size());
    for (uint32_t nsid = above + 1; nsid <= nsid_max && count < list.nsid.size(); ++nsid) {
        const NamespaceView* ns = controller.find_namespace(nsid);
        if (ns == nullptr || (csi && command_set_of(*ns) != *csi)) continue;
        list.nsid[count++] = nsid;
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
    const uint8_t csi = static_cast<uint8_t>(command_set_of(ns));
    append(nvme::NamespaceIdType::eui64, std::as_bytes(std::span(ns.identity.eui64)));
    append(nvme::NamespaceIdType::nguid, std::as_bytes(std::span(ns.identity.nguid)));
    append(nvme::NamespaceIdType::uuid, std::as_bytes(std::span(ns.identity.uuid.octets())));
    append(nvme::NamespaceIdType::csi, bytes_of(csi));
}

bool is_known(nvme::CommandSet csi) { return csi == nvme::CommandSet::nvm || csi == nvme::CommandSet::zoned; }

// Data for one namespace: an inactive NSID gives zeroes for CNS 00h (5.17.2.2), an error for the others.
Status of_namespace(const Controller& controller, const nvme::IdentifyRequest& wanted, MutableBytes out) {
    const bool is_valid = wanted.nsid != 0 && wanted.nsid <= controller.subsystem().identity.max_namespaces;
    // FFFFFFFFh asks for what namespaces have in common, which is known with namespace management only.
    if (!is_valid) return status::invalid_namespace_or_format.with_dnr();
    const NamespaceView* ns = controller.find_namespace(wanted.nsid);
    switch (wanted.cns) {
        case Cns::allocated_namespace:
        case Cns::name_space:
            if (ns != nullptr) store(out, describe_namespace(*ns, controller.options()));
            return status::success;
        case Cns::namespace_descriptors:
            if (ns == nullptr) return status::invalid_namespace_or_format.with_dnr();
            describe_ids(*ns, out);
            return status::success;
        case Cns::io_command_set_namespace:
            if (!is_known(wanted.csi)) return status::invalid_field.with_dnr();
            if (ns == nullptr) return status::success;
            if (wanted.csi == nvme::CommandSet::nvm) {
                store(out, describe_protection(*ns));
                return status::success;
            }
            // A namespace has the data of its own command set (4.1.5.1).
            if (command_set_of(*ns) != wanted.csi) return status::invalid_io_command_set.with_dnr();
            store(out, describe_zones(*ns->device->zones()));
            return status::success;
        case Cns::independent_namespace: {
            if (ns == nullptr) return status::success;
            nvme::IdentifyIndependentNamespace data;
            data.nmic = nvme::nmic::shared;
            data.rescap = reservation_capabilities(*ns);
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
            if (!is_known(wanted.csi)) return status::invalid_field.with_dnr();
            return list_namespaces(controller, wanted.nsid, out, wanted.csi);
        case Cns::io_command_set_controller:
            // No limit on Verify, Write Zeroes, Write Uncorrectable, Dataset Management or Zone Append (ZASL) beyond
            // what the commands themselves and MDTS have: all zero.
            return is_known(wanted.csi) ? status::success : status::invalid_field.with_dnr();
        case Cns::io_command_set_combinations: {
            nvme::CommandSetCombinations data;
            data.vector[0] = uint64_t{1} << static_cast<unsigned>(nvme::CommandSet::nvm);
            if (has_zoned(controller)) {
                data.vector[0] = data.vector[0] | uint64_t{1} << static_cast<unsigned>(nvme::CommandSet::zoned);
            }
            store(out, data);
            return status::success;
        }
        // Whatever is allocated is active.
        case Cns::allocated_namespace_list: return list_namespaces(controller, wanted.nsid, out);
        case Cns::allocated_namespace:
        case Cns::name_space:
        case Cns::namespace_descriptors:
        case Cns::io_command_set_namespace:
        case Cns::independent_namespace: return of_namespace(controller, wanted, out);
        // 14h, 15h and 18h are for virtualization and domains, which OACS and CTRATT say are not there.
        default: return status::invalid_field.with_dnr();
    }
}

}  // namespace weft::nvmf
