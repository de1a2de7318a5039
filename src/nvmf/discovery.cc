// The discovery log page (NVMe Base 2.0, 5.16.1.23): which subsystems a host may reach, and where.
#include "nvme/discovery.h"

#include <algorithm>
#include <charconv>

#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvmf/controller.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

bool is_wildcard(const TransportId& id) { return id.traddr == "0.0.0.0" || id.traddr == "::"; }

nvme::DiscoveryLogEntry describe(const Subsystem& subsystem, const Subsystem::Listener& listener, uint16_t port_id,
                                 const TransportId& address) {
    nvme::DiscoveryLogEntry entry;
    entry.trtype = nvme::TransportType::tcp;
    entry.adrfam = address.adrfam == "IPv6" ? nvme::AddressFamily::ipv6 : nvme::AddressFamily::ipv4;
    entry.subtype =
        subsystem.identity().is_discovery ? nvme::SubsystemType::current_discovery : nvme::SubsystemType::nvm;
    // "Not specified": libnvme takes "not required" for a wish and asks the kernel for TLS.
    entry.treq =
        nvme::DiscoveryLogEntry::secure_channel_not_specified | nvme::DiscoveryLogEntry::sq_flow_control_disable;
    entry.portid = port_id;
    entry.cntlid = nvme::cntlid_dynamic;
    entry.asqsz = static_cast<uint16_t>(std::min<uint32_t>(listener.transport->options().max_aq_depth, 0xFFFF));
    if (subsystem.identity().is_discovery) entry.eflags = nvme::DiscoveryLogEntry::explicit_persistent_connection;
    nvme::fill_ascii(entry.trsvcid, address.trsvcid);
    nvme::fill_ascii(entry.traddr, address.traddr);
    nvme::fill_nqn_field(entry.subnqn, subsystem.nqn());
    entry.tsas[0] = static_cast<uint8_t>(nvme::TcpSecurityType::none);
    return entry;
}

}  // namespace

std::vector<std::byte> Target::discovery_log(std::string_view hostnqn, const TransportId& local) const {
    // Subsystems that listen on one address share its port id.
    std::map<TransportId, uint16_t> port_ids;
    std::vector<nvme::DiscoveryLogEntry> entries;
    for (const auto& [nqn, subsystem] : subsystems_) {
        for (const Subsystem::Listener& listener : subsystem->listeners()) {
            const auto port_id = port_ids.try_emplace(listener.address, static_cast<uint16_t>(port_ids.size())).first;
            if (subsystem->state() == SubsystemState::inactive || !subsystem->allows_host(hostnqn)) continue;
            TransportId address = listener.address;
            if (is_wildcard(address)) {
                // Name the address that the host used; when it came by the other family, one it could use.
                if (local.adrfam == address.adrfam) {
                    address.traddr = local.traddr;
                } else {
                    const auto family = address.adrfam == "IPv6" ? env::Family::ipv6 : env::Family::ipv4;
                    const auto mine = environment().network().local_addresses(family);
                    if (mine.empty()) continue;
                    address.traddr = mine.front().host;
                }
            }
            entries.push_back(describe(*subsystem, listener, port_id->second, address));
        }
    }
    nvme::DiscoveryLogHeader header;
    header.genctr = generation_;
    header.numrec = entries.size();
    std::vector<std::byte> page(sizeof(header) + entries.size() * sizeof(nvme::DiscoveryLogEntry));
    store(page, header);
    std::ranges::copy(std::as_bytes(std::span(entries)), page.begin() + sizeof(header));
    return page;
}

void Target::discovery_changed() {
    ++generation_;
    if (state_ == TargetState::running) spawn(tell_discovery_controllers());
}

Task<void> Target::tell_discovery_controllers() {
    for (PollGroup* group : poll_groups()) {
        co_await resume_on(group->thread());
        for (const auto& [uid, controller] : group->controllers()) controller->discovery_log_changed();
    }
    co_await resume_on(thread());
}

}  // namespace weft::nvmf
