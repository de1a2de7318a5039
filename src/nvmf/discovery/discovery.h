// What the discovery log is made from beside the subsystems: referrals to other discovery services, and filters.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "nvmf/transport_id.h"

namespace weft::nvmf {

// Another discovery service that hosts are told of (NVMe Base 2.0, 5.16.1.23, SUBTYPE 1).
struct Referral {
    TransportId address;  // also of transports that we do not have: see referral_address()
    std::string subnqn;
    bool secure_channel = false;  // hosts must come there through TLS
    bool allow_any_host = true;   // otherwise only `hosts` are told
    std::set<std::string, std::less<>> hosts;

    [[nodiscard]] bool is_shown_to(std::string_view hostnqn) const { return allow_any_host || hosts.contains(hostnqn); }
};

inline constexpr size_t referrals_max = 256;

// As normalise(), for TCP and RDMA; the port of discovery services is 8009 when none is given. Errors:
// invalid_argument.
Result<TransportId> referral_address(std::string_view trtype, std::string_view adrfam, std::string_view traddr,
                                     std::string_view trsvcid);

// Which entries a host is shown: those that have these in common with the address that it asked at.
struct DiscoveryFilter {
    bool transport = false;
    bool address = false;
    bool svcid = false;

    [[nodiscard]] bool matches(const TransportId& entry, const TransportId& asked_at) const {
        return (!transport || entry.trtype == asked_at.trtype) &&
               (!address || (entry.adrfam == asked_at.adrfam && entry.traddr == asked_at.traddr)) &&
               (!svcid || entry.trsvcid == asked_at.trsvcid);
    }
    [[nodiscard]] std::vector<std::string> names() const;
    friend bool operator==(const DiscoveryFilter&, const DiscoveryFilter&) = default;
};
// From its names: "transport", "address", "svcid". Errors: invalid_argument.
Result<DiscoveryFilter> discovery_filter_of(const std::vector<std::string>& names);
// From the older form: "match_any", or names with commas between.
Result<DiscoveryFilter> discovery_filter_of(std::string_view text);

// Who reads the log, where, and how much of it.
struct DiscoveryQuery {
    std::string hostnqn;
    TransportId listener;  // through which the host came
    TransportId local;     // the address it reached there
    bool is_extended = false;    // EXTDLPE: entries with attributes
    bool is_port_local = false;  // PLEO: of this listener only
    bool is_unfiltered = false;  // ALLSUBE: whatever the filter says; what the host may not use stays hidden
};

}  // namespace weft::nvmf
