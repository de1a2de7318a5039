// The discovery log page (NVMe Base 2.0, 5.16.1.23): which subsystems a host may reach, and where.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "nvme/ascii.h"
#include "nvme/discovery.h"
#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/controller/controller.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::DiscoveryLogEntry;

bool is_wildcard(const TransportId& id) { return id.traddr == "0.0.0.0" || id.traddr == "::"; }

void fill_address(DiscoveryLogEntry& entry, const TransportId& address) {
    entry.trtype = address.trtype == "RDMA" ? nvme::TransportType::rdma : nvme::TransportType::tcp;
    entry.adrfam = address.adrfam == "IPv6" ? nvme::AddressFamily::ipv6 : nvme::AddressFamily::ipv4;
    nvme::fill_ascii(entry.trsvcid, address.trsvcid);
    nvme::fill_ascii(entry.traddr, address.traddr);
}

// TREQ and, of TCP, TSAS: how a host must come. "Not required" with TLS makes libnvme ask for concatenation, also
// where that is required: "required" would make it ask for TLS at once, and for a key.
void fill_security(DiscoveryLogEntry& entry, bool is_secure, Concatenation concatenation) {
    const bool may_be_secure = concatenation != Concatenation::off;
    entry.treq = (is_secure       ? DiscoveryLogEntry::secure_channel_required
                  : may_be_secure ? DiscoveryLogEntry::secure_channel_not_required
                                  : DiscoveryLogEntry::secure_channel_not_specified) |
                 DiscoveryLogEntry::sq_flow_control_disable;
    if (entry.trtype == nvme::TransportType::tcp) {
        entry.tsas[0] = static_cast<uint8_t>(is_secure || may_be_secure ? nvme::TcpSecurityType::tls_1_3
                                                                        : nvme::TcpSecurityType::none);
    }
}

DiscoveryLogEntry describe(const Subsystem& subsystem, std::string_view nqn, const Subsystem::Listener& listener,
                           uint16_t port_id, const TransportId& address) {
    DiscoveryLogEntry entry;
    fill_address(entry, address);
    fill_security(entry, listener.is_secure, listener.concatenation);
    entry.subtype =
        subsystem.identity().is_discovery ? nvme::SubsystemType::current_discovery : nvme::SubsystemType::nvm;
    entry.portid = port_id;
    entry.cntlid = nvme::cntlid_dynamic;
    entry.asqsz = static_cast<uint16_t>(std::min<uint32_t>(listener.transport->options().max_aq_depth, 0xFFFF));
    if (subsystem.identity().is_discovery) entry.eflags = DiscoveryLogEntry::explicit_persistent_connection;
    nvme::fill_nqn_field(entry.subnqn, nqn);
    return entry;
}

DiscoveryLogEntry describe(const Referral& referral) {
    DiscoveryLogEntry entry;
    fill_address(entry, referral.address);
    fill_security(entry, referral.secure_channel, Concatenation::off);
    entry.subtype = nvme::SubsystemType::referral;
    entry.cntlid = nvme::cntlid_dynamic;
    entry.asqsz = nvme::admin_queue_size_min;
    nvme::fill_nqn_field(entry.subnqn, referral.subnqn);
    return entry;
}

// The page as it grows.
class Page {
public:
    explicit Page(bool is_extended) : is_extended_(is_extended), bytes_(sizeof(nvme::DiscoveryLogHeader)) {}

    void add(const DiscoveryLogEntry& entry, std::string_view label) {
        append(bytes_of(entry));
        ++count_;
        if (!is_extended_) return;
        nvme::ExtendedDiscoveryHeader header;
        nvme::ExtendedAttribute attribute;
        const size_t padded = (label.size() + 3) / 4 * 4;
        header.tel =
            static_cast<uint32_t>(sizeof(entry) + sizeof(header) + (padded == 0 ? 0 : sizeof(attribute) + padded));
        header.numexat = padded == 0 ? 0 : 1;
        append(bytes_of(header));
        if (padded == 0) return;
        attribute.type = nvme::ExtendedAttribute::admin_label;
        attribute.length = static_cast<uint16_t>(padded);
        append(bytes_of(attribute));
        append(std::as_bytes(std::span(label)));
        bytes_.resize(bytes_.size() + padded - label.size());
    }
    std::vector<std::byte> take(uint64_t generation) {
        nvme::DiscoveryLogHeader header;
        header.genctr = generation;
        header.numrec = count_;
        if (is_extended_) {
            header.dlpf = nvme::DiscoveryLogHeader::extended;
            header.tdlpl = static_cast<uint32_t>(bytes_.size());
        }
        store(bytes_, header);
        return std::move(bytes_);
    }

private:
    void append(Bytes more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
    const bool is_extended_;
    std::vector<std::byte> bytes_;
    uint64_t count_ = 0;
};

}  // namespace

// Where a host that asked at `local` reaches a wildcard listener: at the address that it used; when it came by the
// other family, at one that it could use. Empty: nowhere.
std::optional<TransportId> Target::reachable_address(const Subsystem::Listener& listener,
                                                     const TransportId& local) const {
    TransportId address = listener.address;
    if (!is_wildcard(address)) return address;
    if (local.adrfam == address.adrfam) {
        address.traddr = local.traddr;
        return address;
    }
    const auto family = address.adrfam == "IPv6" ? env::Family::ipv6 : env::Family::ipv4;
    const auto mine = environment().network().local_addresses(family);
    if (mine.empty()) return std::nullopt;
    // Hosts of the transport's networks most likely reach us in one of them.
    const auto best =
        std::ranges::find_if(mine, [&](const env::Address& own) { return listener.transport->networks.admits(own); });
    address.traddr = best == mine.end() ? mine.front().host : best->host;
    return address;
}

std::vector<std::byte> Target::discovery_log(const DiscoveryQuery& query) const {
    // Subsystems that listen on one address share its port id.
    std::map<TransportId, uint16_t> port_ids;
    Page page(query.is_extended);
    for (const auto& [nqn, subsystem] : subsystems_) {
        const bool is_hidden = subsystem->state() == SubsystemState::inactive || !subsystem->allows_host(query.hostnqn);
        const bool is_discovery = subsystem->identity().is_discovery;
        for (const Subsystem::Listener& listener : subsystem->listeners()) {
            const auto port_id = port_ids.try_emplace(listener.address, static_cast<uint16_t>(port_ids.size())).first;
            if (is_hidden || !listener.admits(query.hostnqn)) continue;
            if (query.is_port_local && listener.address != query.listener) continue;
            const auto address = reachable_address(listener, query.local);
            if (!address) continue;
            if (!query.is_unfiltered && !discovery_filter.matches(*address, query.local)) continue;
            page.add(describe(*subsystem, is_discovery ? discovery_nqn() : nqn, listener, port_id->second, *address),
                     subsystem->identity().admin_label);
        }
    }
    for (const Referral& referral : referrals_) {
        if (referral.is_shown_to(query.hostnqn)) page.add(describe(referral), {});
    }
    return page.take(generation_);
}

void Target::discovery_changed() {
    ++generation_;
    announcer_.refresh();
    if (state_ == TargetState::running) spawn(tell_discovery_controllers());
}

Task<void> Target::tell_discovery_controllers() {
    for (PollGroup* group : poll_groups()) {
        co_await resume_on(group->thread());
        for (const auto& [uid, controller] : group->controllers()) controller->discovery_log_changed();
    }
    co_await resume_on(thread());
}

// As the field has it: one that is there already is a success.
Result<void> Target::add_referral(Referral referral) {
    if (!nvme::is_valid_nqn(referral.subnqn)) {
        return fail(Errc::invalid_argument, fmt::format("subnqn \"{}\" is not an NQN", log::quoted(referral.subnqn)));
    }
    for (const std::string& host : referral.hosts) {
        if (nvme::is_valid_nqn(host)) continue;
        return fail(Errc::invalid_argument, fmt::format("host \"{}\" is not an NQN", log::quoted(host)));
    }
    const auto same = std::ranges::find_if(referrals_, [&](const Referral& mine) {
        return mine.address == referral.address && mine.subnqn == referral.subnqn;
    });
    if (same != referrals_.end()) return {};
    if (referrals_.size() == referrals_max) {
        return fail(Errc::too_many, fmt::format("there are {} referrals already", referrals_max));
    }
    referrals_.push_back(std::move(referral));
    config_changed(referral_key(referrals_.back().address, referrals_.back().subnqn));
    discovery_changed();
    return {};
}

Result<void> Target::remove_referral(const TransportId& address, std::string_view subnqn) {
    const auto found = std::ranges::find_if(
        referrals_, [&](const Referral& mine) { return mine.address == address && mine.subnqn == subnqn; });
    if (found == referrals_.end()) {
        return fail(Errc::not_found, fmt::format("there is no referral to {}:{}", address.traddr, address.trsvcid));
    }
    const auto key = referral_key(found->address, found->subnqn);
    referrals_.erase(found);
    config_changed(key);
    discovery_changed();
    return {};
}

Task<Result<void>> Target::set_discovery_nqn(std::string nqn) {
    if (!nqn.empty() && !nvme::is_valid_nqn(nqn)) {
        co_return fail(Errc::invalid_argument, fmt::format("\"{}\" is not an NQN", log::quoted(nqn)));
    }
    if (subsystems_.contains(nqn) && nqn != nvme::discovery_nqn) {
        co_return fail(Errc::already_exists, fmt::format("subsystem {} exists", nqn));
    }
    unique_discovery_nqn_ = nqn == nvme::discovery_nqn ? "" : nqn;
    const std::string reported = unique_discovery_nqn_;
    const uint32_t id = find_subsystem(nvme::discovery_nqn)->identity().id;
    for (PollGroup* group : poll_groups()) {
        co_await resume_on(group->thread());
        if (SubsystemView* view = group->subsystem(id)) view->unique_nqn = reported;
    }
    co_await resume_on(thread());
    config_changed({discovery_nqn_kind, "", ""});
    discovery_changed();
    co_return Result<void>{};
}

}  // namespace weft::nvmf
