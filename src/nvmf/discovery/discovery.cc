#include "nvmf/discovery/discovery.h"

#include <fmt/format.h>

#include "base/log.h"

namespace weft::nvmf {

Result<TransportId> referral_address(std::string_view trtype, std::string_view adrfam, std::string_view traddr,
                                     std::string_view trsvcid) {
    const bool is_rdma = equal_ignoring_case(trtype, "rdma");
    auto address = normalise(is_rdma ? "TCP" : trtype, adrfam, traddr, trsvcid.empty() ? "8009" : trsvcid);
    if (address && is_rdma) address->trtype = "RDMA";
    return address;
}

std::vector<std::string> DiscoveryFilter::names() const {
    std::vector<std::string> list;
    if (transport) list.emplace_back("transport");
    if (address) list.emplace_back("address");
    if (svcid) list.emplace_back("svcid");
    return list;
}

Result<DiscoveryFilter> discovery_filter_of(const std::vector<std::string>& names) {
    DiscoveryFilter filter;
    for (const std::string& name : names) {
        if (name == "transport") {
            filter.transport = true;
        } else if (name == "address") {
            filter.address = true;
        } else if (name == "svcid") {
            filter.svcid = true;
        } else {
            return fail(Errc::invalid_argument, fmt::format("discovery filter \"{}\": there are transport, address and "
                                                            "svcid",
                                                            log::quoted(name, 32)));
        }
    }
    return filter;
}

Result<DiscoveryFilter> discovery_filter_of(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        const std::string_view name = text.substr(0, comma);
        if (name != "match_any") names.emplace_back(name);
        if (names.size() > 8) break;  // it has only three
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return discovery_filter_of(names);
}

}  // namespace weft::nvmf
