// Methods about discovery: referrals, and the discovery subsystem's own name.
#include <fmt/format.h>

#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

struct ReferralAddress {
    std::string trtype;
    std::optional<std::string> adrfam;
    std::string traddr;
    std::optional<std::string> trsvcid;
    static constexpr auto fields() {
        using P = ReferralAddress;
        return rpc::fields(rpc::required("trtype", &P::trtype, "Transport type: TCP or RDMA"),
                           rpc::optional("adrfam", &P::adrfam, "IPv4 or IPv6; default: told from traddr"),
                           rpc::required("traddr", &P::traddr, "Numeric address"),
                           rpc::optional("trsvcid", &P::trsvcid, "Port; default 8009"));
    }
};

struct AddReferral {
    ReferralAddress address;
    std::optional<std::string> tgt_name, subnqn;
    bool secure_channel = false;
    bool allow_any_host = true;
    std::vector<std::string> hosts;
    static constexpr auto fields() {
        using P = AddReferral;
        return rpc::fields(
            rpc::required("address", &P::address, "Where the other discovery service is"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"),
            rpc::optional("subnqn", &P::subnqn, "Its NQN; default: the well-known one"),
            rpc::optional("secure_channel", &P::secure_channel, "Hosts must come there through TLS"),
            rpc::optional("allow_any_host", &P::allow_any_host, "Every host is told of it, not only `hosts`"),
            rpc::optional("hosts", &P::hosts, "NQNs of the hosts that are told, without allow_any_host"));
    }
};

struct RemoveReferral {
    ReferralAddress address;
    std::optional<std::string> tgt_name, subnqn;
    static constexpr auto fields() {
        using P = RemoveReferral;
        return rpc::fields(rpc::required("address", &P::address, "As it was added"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"),
                           rpc::optional("subnqn", &P::subnqn, "As it was added"));
    }
};

struct TargetName {
    std::optional<std::string> tgt_name;
    static constexpr auto fields() { return rpc::fields(rpc::optional("tgt_name", &TargetName::tgt_name, "Target")); }
};

struct SetDiscoveryNqn {
    std::string discovery_nqn;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("discovery_nqn", &SetDiscoveryNqn::discovery_nqn, "NQN; empty: only the well-known one"),
            rpc::optional("tgt_name", &SetDiscoveryNqn::tgt_name, "Target"));
    }
};

Result<TransportId> address_of(const ReferralAddress& given) {
    return referral_address(given.trtype, given.adrfam.value_or(""), given.traddr, given.trsvcid.value_or(""));
}

std::string subnqn_of(const std::optional<std::string>& given) {
    return given && *given != "discovery" ? *given : std::string(nvme::discovery_nqn);
}

Json to_json(const TransportId& id) {
    return {{"trtype", id.trtype}, {"adrfam", id.adrfam}, {"traddr", id.traddr}, {"trsvcid", id.trsvcid}};
}

Task<Result<Json>> add_referral(const TargetHolder& holder, AddReferral params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    auto address = address_of(params.address);
    if (!address) co_return std::unexpected(std::move(address).error());
    WEFT_CO_TRY((*target)->add_referral({.address = std::move(*address),
                                         .subnqn = subnqn_of(params.subnqn),
                                         .secure_channel = params.secure_channel,
                                         .allow_any_host = params.allow_any_host,
                                         .hosts = {params.hosts.begin(), params.hosts.end()}}));
    co_return Json(true);
}

Task<Result<Json>> remove_referral(const TargetHolder& holder, RemoveReferral params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    auto address = address_of(params.address);
    if (!address) co_return std::unexpected(std::move(address).error());
    WEFT_CO_TRY((*target)->remove_referral(*address, subnqn_of(params.subnqn)));
    co_return Json(true);
}

Task<Result<Json>> get_referrals(const TargetHolder& holder, TargetName params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    Json list = Json::array();
    for (const Referral& referral : (*target)->referrals()) list.push_back(referral_params(referral));
    co_return list;
}

Task<Result<Json>> publish(const TargetHolder& holder, TargetName params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    WEFT_CO_TRY(co_await (*target)->announcer().start());
    (*target)->config_changed({announcement_kind, "", ""});
    co_return Json(true);
}

Task<Result<Json>> stop_publishing(const TargetHolder& holder, TargetName params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    if (!(*target)->announcer().is_on()) {
        co_return fail(Errc::not_found, "mDNS: the discovery service is not announced");
    }
    co_await (*target)->announcer().stop();
    (*target)->config_changed({announcement_kind, "", ""});
    co_return Json(true);
}

}  // namespace

Json referral_params(const Referral& referral) {
    Json json{{"address", to_json(referral.address)},
              {"secure_channel", referral.secure_channel},
              {"subnqn", referral.subnqn}};
    if (!referral.allow_any_host) {
        json["allow_any_host"] = false;
        json["hosts"] = referral.hosts;
    }
    return json;
}

void add_discovery_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<AddReferral>({.name = "nvmf_discovery_add_referral",
                               .role = rpc::Role::operate,
                               .text = "Tells hosts of another discovery service",
                               .codes = refused_as_invalid,
                               .changes_config = true},
                              [&holder](AddReferral params) { return add_referral(holder, std::move(params)); });
    registry.add<RemoveReferral>(
        {.name = "nvmf_discovery_remove_referral",
         .role = rpc::Role::operate,
         .text = "Tells them of it no more",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](RemoveReferral params) { return remove_referral(holder, std::move(params)); });
    registry.add<TargetName>({.name = "nvmf_discovery_get_referrals",
                              .role = rpc::Role::read,
                              .text = "The other discovery services that hosts are told of",
                              .result = "array",
                              .codes = refused_as_internal},
                             [&holder](TargetName params) { return get_referrals(holder, std::move(params)); });
    registry.add<TargetName>({.name = "nvmf_publish_mdns_prr",
                              .role = rpc::Role::operate,
                              .text = "Announces the discovery service to the network by mDNS, through avahi-daemon",
                              .codes = refused_as_internal,
                              .changes_config = true},
                             [&holder](TargetName params) { return publish(holder, std::move(params)); });
    registry.add<TargetName>({.name = "nvmf_stop_mdns_prr",
                              .role = rpc::Role::operate,
                              .text = "Announces it no more",
                              .codes = refused_as_internal,
                              .changes_config = true},
                             [&holder](TargetName params) { return stop_publishing(holder, std::move(params)); });
    registry.add<SetDiscoveryNqn>(
        {.name = "nvmf_discovery_set_nqn",
         .role = rpc::Role::operate,
         .text = "Gives the discovery subsystem a name of its own, by which it is reached and "
                 "shown beside the well-known one",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](SetDiscoveryNqn params) -> Task<Result<Json>> {
            auto target = target_of(holder, params.tgt_name);
            if (!target) co_return std::unexpected(std::move(target).error());
            WEFT_CO_TRY(co_await (*target)->set_discovery_nqn(std::move(params.discovery_nqn)));
            co_return Json(true);
        });
}

}  // namespace weft::nvmf
