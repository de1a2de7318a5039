// Methods about who may come: networks of a transport, hosts of a listener.
#include <fmt/format.h>

#include "base/log.h"
#include "nvme/fabrics.h"
#include "nvmf/access/transport_access.h"
#include "nvmf/rpc/listen_address.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

struct NetworkParams {
    std::string trtype, blockservice;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = NetworkParams;
        return rpc::fields(
            rpc::required("trtype", &P::trtype, "Transport type: TCP"),
            rpc::required("blockservice", &P::blockservice, "IPv4 or IPv6 network, as 172.17.29.0/24 or fd00:17::/64"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

struct TransportName {
    std::string trtype;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("trtype", &TransportName::trtype, "Transport type: TCP"),
                           rpc::optional("tgt_name", &TransportName::tgt_name, "Target"));
    }
};

struct ListenerHosts {
    std::string nqn;
    ListenAddress listen_address;
    std::vector<std::string> hosts;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = ListenerHosts;
        return rpc::fields(
            rpc::required("nqn", &P::nqn, "NQN of the subsystem, or discovery"),
            rpc::required("listen_address", &P::listen_address, "One of its listeners"),
            rpc::required("hosts", &P::hosts,
                          "NQNs of the hosts that may come in there, instead of those so far; empty: all "
                          "that may use the subsystem"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

struct NamespaceHost {
    std::string nqn;
    uint32_t nsid = 0;
    std::string host;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = NamespaceHost;
        return rpc::fields(rpc::required("nqn", &P::nqn, "NQN of the subsystem"),
                           rpc::required("nsid", &P::nsid, "Namespace id, of one added with no_auto_visible"),
                           rpc::required("host", &P::host, "NQN of the host"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

struct Place {
    Target* target;
    Transport* transport;
};

Result<Place> transport_of(const TargetHolder& holder, const std::optional<std::string>& tgt_name,
                           const std::string& trtype) {
    auto target = target_of(holder, tgt_name);
    if (!target) return std::unexpected(std::move(target).error());
    Transport* transport = (*target)->find_transport(trtype);
    if (transport != nullptr) return Place{*target, transport};
    return fail(Errc::invalid_argument,
                fmt::format("there is no transport {}: call nvmf_create_transport first", log::quoted(trtype, 32)));
}

Task<Result<Json>> change_network(const TargetHolder& holder, NetworkParams params, bool is_added) {
    const auto where = transport_of(holder, params.tgt_name, params.trtype);
    if (!where) co_return std::unexpected(where.error());
    const auto network = Network::parse(params.blockservice);
    if (!network) co_return fail(Errc::invalid_argument, "blockservice: " + network.error().message);
    if (is_added) {
        WEFT_CO_TRY(allow_network(*where->target, *where->transport, *network));
    } else {
        WEFT_CO_TRY(co_await forbid_network(*where->target, *where->transport, *network));
    }
    co_return Json(true);
}

Task<Result<Json>> get_networks(const TargetHolder& holder, TransportName params) {
    const auto where = transport_of(holder, params.tgt_name, params.trtype);
    if (!where) co_return std::unexpected(where.error());
    Json list = Json::array();
    for (const Network& network : where->transport->networks.networks()) list.push_back(network.to_string());
    co_return list;
}

Task<Result<Json>> change_namespace_host(const TargetHolder& holder, NamespaceHost params, bool is_shown) {
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    WEFT_CO_TRY(co_await (*subsystem)->set_namespace_host(params.nsid, std::move(params.host), is_shown));
    co_return Json(true);
}

Task<Result<Json>> set_listener_hosts(const TargetHolder& holder, ListenerHosts params) {
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    auto address = params.listen_address.normalised();
    if (!address) co_return std::unexpected(std::move(address).error());
    WEFT_CO_TRY(
        co_await (*subsystem)->set_listener_hosts(std::move(*address), {params.hosts.begin(), params.hosts.end()}));
    co_return Json(true);
}

}  // namespace

void add_access_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<NetworkParams>(
        {.name = "nvmf_put_blockservice2transport",
         .role = rpc::Role::operate,
         .text = "Lets hosts of a network come to a transport: from the first one on, only those "
                 "of its networks may",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](NetworkParams params) { return change_network(holder, std::move(params), true); });
    registry.add<NetworkParams>(
        {.name = "nvmf_remove_blockservice2transport",
         .role = rpc::Role::operate,
         .text = "Ends that, and the connections of its hosts; without any network, all may come",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](NetworkParams params) { return change_network(holder, std::move(params), false); });
    registry.add<TransportName>({.name = "nvmf_get_blockservice2transport",
                                 .role = rpc::Role::read,
                                 .text = "The networks whose hosts may come to a transport; none: all may",
                                 .result = "array",
                                 .codes = refused_as_invalid},
                                [&holder](TransportName params) { return get_networks(holder, std::move(params)); });
    registry.add<ListenerHosts>(
        {.name = "nvmf_subsystem_listener_set_hosts",
         .role = rpc::Role::operate,
         .text = "Which of a subsystem's hosts may come in at a listener; ends the controllers of others there",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](ListenerHosts params) { return set_listener_hosts(holder, std::move(params)); });
    registry.add<NamespaceHost>(
        {.name = "nvmf_ns_add_host",
         .role = rpc::Role::operate,
         .text = "Shows a namespace to a host's controllers, those that are there and those to come",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](NamespaceHost params) { return change_namespace_host(holder, std::move(params), true); });
    registry.add<NamespaceHost>(
        {.name = "nvmf_ns_remove_host",
         .role = rpc::Role::operate,
         .text = "Hides it from them, when their commands to it have ended",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](NamespaceHost params) { return change_namespace_host(holder, std::move(params), false); });
}

}  // namespace weft::nvmf
