// Methods that change subsystems: create, delete, namespaces, listeners, hosts.
#include <fmt/format.h>

#include "base/hex.h"
#include "nvme/fabrics.h"
#include "nvmf/rpc/auth_rpc.h"
#include "nvmf/rpc/listen_address.h"
#include "nvmf/rpc/qos_rpc.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::nvmf::Concatenation> {
    static constexpr EnumName<nvmf::Concatenation> values[] = {{"off", nvmf::Concatenation::off},
                                                               {"allowed", nvmf::Concatenation::allowed},
                                                               {"required", nvmf::Concatenation::required}};
};

namespace weft::nvmf {

namespace {

// "discovery" is the field's short form.
std::string full_nqn(const std::string& nqn) { return nqn == "discovery" ? std::string(nvme::discovery_nqn) : nqn; }

}  // namespace

Result<Subsystem*> subsystem_of(const TargetHolder& holder, const std::optional<std::string>& tgt_name,
                                const std::string& nqn) {
    auto target = target_of(holder, tgt_name);
    if (!target) return std::unexpected(std::move(target).error());
    if (nqn.size() > nvme::nqn_length_max) {
        return fail(Errc::invalid_argument, fmt::format("nqn: {} bytes, at most 223 are allowed", nqn.size()));
    }
    Subsystem* subsystem = (*target)->find_subsystem(full_nqn(nqn));
    if (subsystem == nullptr)
        return fail(Errc::invalid_argument, fmt::format("Subsystem with NQN '{}' not found", nqn));
    return subsystem;
}

namespace {

struct CreateSubsystem {
    std::string nqn;
    std::optional<std::string> tgt_name, serial_number, model_number, admin_label;
    uint32_t max_namespaces = 32;
    bool allow_any_host = false;
    bool ana_reporting = false;
    uint16_t min_cntlid = 1;
    uint16_t max_cntlid = 0xFFEF;
    std::optional<uint32_t> dmrsl;
    std::optional<uint8_t> wzsl;
    bool passthrough = false;
    bool enable_nssr = false;
    static constexpr auto fields() {
        using P = CreateSubsystem;
        return rpc::fields(
            rpc::required("nqn", &P::nqn, "NQN of the subsystem"), rpc::optional("tgt_name", &P::tgt_name, "Target"),
            rpc::optional("serial_number", &P::serial_number, "At most 20 characters; default: derived, stable"),
            rpc::optional("model_number", &P::model_number, "At most 40 characters"),
            rpc::optional("admin_label", &P::admin_label, "At most 256 characters, for extended discovery entries"),
            rpc::optional("max_namespaces", &P::max_namespaces, "Namespaces it may have; 0 is the default too"),
            rpc::optional("allow_any_host", &P::allow_any_host, "No list of hosts"),
            rpc::optional("ana_reporting", &P::ana_reporting, "Hosts are told in what state each path is (ANA)"),
            rpc::optional("min_cntlid", &P::min_cntlid, "Lowest controller id"),
            rpc::optional("max_cntlid", &P::max_cntlid, "Highest controller id"),
            rpc::optional("dmrsl", &P::dmrsl, "Accepted: every range is deallocated here"),
            rpc::optional("wzsl", &P::wzsl, "Accepted: Write Zeroes has no limit here"),
            rpc::optional("passthrough", &P::passthrough, "Not supported: refused when true"),
            rpc::optional("enable_nssr", &P::enable_nssr, "Not supported: refused when true"));
    }
};

struct SubsystemName {
    std::string nqn;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("nqn", &SubsystemName::nqn, "NQN of the subsystem"),
                           rpc::optional("tgt_name", &SubsystemName::tgt_name, "Target"));
    }
};

struct NamespaceParams {
    std::string bdev_name;
    std::optional<uint32_t> nsid, anagrpid;
    std::optional<std::string> nguid, eui64, ptpl_file;
    std::optional<Uuid> uuid;
    bool no_auto_visible = false;
    bool hide_metadata = false;
    static constexpr auto fields() {
        using P = NamespaceParams;
        return rpc::fields(
            rpc::required("bdev_name", &P::bdev_name, "Block device: name, alias or UUID"),
            rpc::optional("nsid", &P::nsid, "Namespace id; default: the lowest free one"),
            rpc::optional("nguid", &P::nguid, "32 hexadecimal digits; default: derived, stable"),
            rpc::optional("eui64", &P::eui64, "16 hexadecimal digits; default: derived, stable"),
            rpc::optional("uuid", &P::uuid, "Default: the device's"),
            rpc::optional("ptpl_file", &P::ptpl_file, "File that keeps reservations over a restart; one each"),
            rpc::optional("anagrpid", &P::anagrpid, "ANA group; default: the namespace id"),
            rpc::optional("no_auto_visible", &P::no_auto_visible, "Shown to no host but those of nvmf_ns_add_host"),
            rpc::optional("hide_metadata", &P::hide_metadata,
                          "Hosts see plain blocks: protection information is made and checked by the target"));
    }
};

struct AddNamespace {
    std::string nqn;
    NamespaceParams ns;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("nqn", &AddNamespace::nqn, "NQN of the subsystem"),
                           rpc::required("namespace", &AddNamespace::ns, "What to expose"),
                           rpc::optional("tgt_name", &AddNamespace::tgt_name, "Target"));
    }
};

struct RemoveNamespace {
    std::string nqn;
    uint32_t nsid = 0;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("nqn", &RemoveNamespace::nqn, "NQN of the subsystem"),
                           rpc::required("nsid", &RemoveNamespace::nsid, "Namespace id"),
                           rpc::optional("tgt_name", &RemoveNamespace::tgt_name, "Target"));
    }
};

struct ListenerParams {
    std::string nqn;
    ListenAddress listen_address;
    std::optional<std::string> tgt_name, ana_state, sock_impl;
    bool secure_channel = false;
    Concatenation secure_concatenation = Concatenation::off;
    int32_t numa_id = -1;
    std::vector<std::string> hosts;
    static constexpr auto fields() {
        using P = ListenerParams;
        return rpc::fields(rpc::required("nqn", &P::nqn, "NQN of the subsystem, or discovery"),
                           rpc::required("listen_address", &P::listen_address, "Where to listen"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"),
                           rpc::optional("secure_channel", &P::secure_channel, "TLS 1.3 only; hosts need a psk"),
                           rpc::optional("secure_concatenation", &P::secure_concatenation,
                                         "Hosts with a dhchap_key may go on through TLS with a key made by "
                                         "authentication (allowed), or must (required); TLS is their choice, then"),
                           rpc::optional("ana_state", &P::ana_state, "ANA state of all groups; default optimized"),
                           rpc::optional("sock_impl", &P::sock_impl, "Accepted: posix"),
                           rpc::optional("numa_id", &P::numa_id, "Accepted"),
                           rpc::optional("hosts", &P::hosts,
                                         "NQNs of the hosts that may come in here, of those the subsystem allows "
                                         "(default: all of these)"));
    }
};

struct HostParams {
    std::string nqn, host;
    std::optional<std::string> tgt_name, psk, dhchap_key, dhchap_ctrlr_key;
    std::optional<uint64_t> timeout_ms, rw_ios_per_sec, rw_mbytes_per_sec, r_mbytes_per_sec, w_mbytes_per_sec;
    static constexpr auto fields() {
        using P = HostParams;
        return rpc::fields(
            rpc::required("nqn", &P::nqn, "NQN of the subsystem"), rpc::required("host", &P::host, "NQN of the host"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"),
            rpc::optional("psk", &P::psk, "Key of the keyring (NVMeTLSkey-1:...), for TLS"),
            rpc::optional("dhchap_key", &P::dhchap_key, "Name of the key that it must authenticate with"),
            rpc::optional("dhchap_ctrlr_key", &P::dhchap_ctrlr_key,
                          "Name of the key that the controller authenticates with, if the host asks"),
            rpc::optional("timeout_ms", &P::timeout_ms, "Accepted: removal waits for the host's I/O"),
            rpc::optional("rw_ios_per_sec", &P::rw_ios_per_sec,
                          "I/O commands a second, as nvmf_subsystem_set_host_qos_limit has it"),
            rpc::optional("rw_mbytes_per_sec", &P::rw_mbytes_per_sec, "MiB a second of reads and writes"),
            rpc::optional("r_mbytes_per_sec", &P::r_mbytes_per_sec, "MiB a second of reads"),
            rpc::optional("w_mbytes_per_sec", &P::w_mbytes_per_sec, "MiB a second of writes"));
    }
};

struct AllowAnyHost {
    std::string nqn;
    bool allow_any_host = false;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("nqn", &AllowAnyHost::nqn, "NQN of the subsystem"),
                           rpc::required("allow_any_host", &AllowAnyHost::allow_any_host, "Whether to look at no list"),
                           rpc::optional("tgt_name", &AllowAnyHost::tgt_name, "Target"));
    }
};

std::unexpected<Error> unsupported(std::string_view what) {
    return fail(Errc::invalid_argument, fmt::format("{} is not supported", what));
}

Task<Result<Json>> create_subsystem(const TargetHolder& holder, CreateSubsystem params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    if (params.passthrough) co_return unsupported("passthrough");
    if (params.enable_nssr) co_return unsupported("enable_nssr");
    auto made =
        co_await (*target)->create_subsystem({.nqn = params.nqn,
                                              .serial_number = params.serial_number,
                                              .model_number = params.model_number,
                                              .max_namespaces = params.max_namespaces == 0 ? 32 : params.max_namespaces,
                                              .allow_any_host = params.allow_any_host,
                                              .ana_reporting = params.ana_reporting,
                                              .min_cntlid = params.min_cntlid,
                                              .max_cntlid = params.max_cntlid,
                                              .admin_label = params.admin_label.value_or("")});
    if (!made) {
        co_return fail(made.error().code, fmt::format("Unable to create subsystem {}: {}", params.nqn.substr(0, 223),
                                                      made.error().message));
    }
    co_return Json(true);
}

Task<Result<Json>> add_namespace(const TargetHolder& holder, AddNamespace params) {
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    const NamespaceParams& ns = params.ns;
    if (ns.ptpl_file && ns.ptpl_file->empty()) co_return fail(Errc::invalid_argument, "ptpl_file: no file is named");
    NamespaceOptions options{.bdev_name = ns.bdev_name,
                             .uuid = ns.uuid,
                             .anagrpid = ns.anagrpid,
                             .no_auto_visible = ns.no_auto_visible,
                             .hide_metadata = ns.hide_metadata,
                             .ptpl_file = ns.ptpl_file.value_or("")};
    if (ns.nsid && *ns.nsid != 0) options.nsid = ns.nsid;
    if (ns.nguid) {
        std::array<uint8_t, 16> nguid{};
        if (!parse_hex(*ns.nguid, nguid)) co_return fail(Errc::invalid_argument, "nguid: not 32 hexadecimal digits");
        options.nguid = nguid;
    }
    if (ns.eui64) {
        std::array<uint8_t, 8> eui64{};
        if (!parse_hex(*ns.eui64, eui64)) co_return fail(Errc::invalid_argument, "eui64: not 16 hexadecimal digits");
        options.eui64 = eui64;
    }
    auto nsid = co_await (*subsystem)->add_namespace(std::move(options));
    if (!nsid) co_return std::unexpected(std::move(nsid).error());
    co_return Json(*nsid);
}

Task<Result<Json>> add_listener(const TargetHolder& holder, ListenerParams params) {
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    auto ana_state = parse_ana_state(params.ana_state.value_or("optimized"));
    if (!ana_state) co_return std::unexpected(std::move(ana_state).error());
    auto address = params.listen_address.normalised();
    if (!address) co_return std::unexpected(std::move(address).error());
    Transport* transport = (*target_of(holder, params.tgt_name))->find_transport(address->trtype);
    if (transport == nullptr) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("there is no transport {}: call nvmf_create_transport first", address->trtype));
    }
    ListenerOptions options{.is_secure = params.secure_channel,
                            .concatenation = params.secure_concatenation,
                            .ana_state = *ana_state,
                            .hosts = {params.hosts.begin(), params.hosts.end()}};
    WEFT_CO_TRY(co_await (*subsystem)->add_listener(std::move(*address), *transport, std::move(options)));
    co_return Json(true);
}

Task<Result<Json>> remove_listener(const TargetHolder& holder, ListenerParams params) {
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    auto address = params.listen_address.normalised();
    if (!address) co_return std::unexpected(std::move(address).error());
    WEFT_CO_TRY(co_await (*subsystem)->remove_listener(std::move(*address)));
    co_return Json(true);
}

// The key is there before the host is, so that no Connect finds the one without the other.
Task<Result<void>> add_host_with_psk(TargetHolder& holder, Subsystem& subsystem, const HostParams& params,
                                     HostKeys keys, LimitChange limits) {
    Target& target = **target_of(holder, params.tgt_name);
    const std::string& host = params.host;
    if (holder.keys == nullptr) co_return unsupported("psk without a keyring");
    if (subsystem.hosts().contains(host)) co_return co_await subsystem.add_host(host);
    auto psk = co_await HostPsk::open(*holder.keys, target.environment().files(), *params.psk);
    if (!psk) co_return fail(psk.error().code, fmt::format("psk: {}", psk.error().message));
    // Two that add the same host at once: the first has it.
    if (subsystem.hosts().contains(host)) co_return co_await subsystem.add_host(host);
    HostPsks& psks = target.host_psks();
    const std::string nqn = subsystem.nqn();
    psks.set(nqn, host, std::move(*psk));
    auto added = co_await subsystem.add_host(host, std::move(keys), limits);
    if (!added && added.error().code != Errc::already_exists) psks.remove(nqn, host);
    co_return added;
}

Task<Result<Json>> change_host(TargetHolder& holder, HostParams params, bool is_added) {
    if (!is_added && (params.psk || params.dhchap_key || params.dhchap_ctrlr_key)) {
        co_return fail(Errc::invalid_argument, "a host is removed with its keys: name none");
    }
    const LimitChange limits = LimitParams{.rw_ios_per_sec = params.rw_ios_per_sec,
                                           .rw_mbytes_per_sec = params.rw_mbytes_per_sec,
                                           .r_mbytes_per_sec = params.r_mbytes_per_sec,
                                           .w_mbytes_per_sec = params.w_mbytes_per_sec}
                                   .change();
    if (!is_added && !limits.is_empty()) {
        co_return fail(Errc::invalid_argument, "a host is removed with its limits: name none");
    }
    auto keys = co_await find_host_keys(holder, params.dhchap_key, params.dhchap_ctrlr_key);
    if (!keys) co_return std::unexpected(std::move(keys).error());
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    if (is_added && params.psk) {
        WEFT_CO_TRY(co_await add_host_with_psk(holder, **subsystem, params, std::move(*keys), limits));
    } else if (is_added) {
        WEFT_CO_TRY(co_await (*subsystem)->add_host(params.host, std::move(*keys), limits));
    } else {
        WEFT_CO_TRY(co_await (*subsystem)->remove_host(params.host));
    }
    co_return Json(true);
}

// Where it is reached, and by whom.
void add_reach_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<ListenerParams>({.name = "nvmf_subsystem_add_listener",
                                  .role = rpc::Role::operate,
                                  .text = "Lets hosts reach a subsystem at an address",
                                  .codes = refused_as_invalid,
                                  .changes_config = true},
                                 [&holder](ListenerParams params) { return add_listener(holder, std::move(params)); });
    registry.add<ListenerParams>(
        {.name = "nvmf_subsystem_remove_listener",
         .role = rpc::Role::operate,
         .text = "Ends that, and the controllers that came that way",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](ListenerParams params) { return remove_listener(holder, std::move(params)); });
    registry.add<HostParams>({.name = "nvmf_subsystem_add_host",
                              .role = rpc::Role::operate,
                              .text = "Allows a host",
                              .codes = refused_as_internal,
                              .changes_config = true},
                             [&holder](HostParams params) { return change_host(holder, std::move(params), true); });
    registry.add<HostParams>({.name = "nvmf_subsystem_remove_host",
                              .role = rpc::Role::operate,
                              .text = "Forbids a host and ends its controllers",
                              .codes = refused_as_internal,
                              .changes_config = true},
                             [&holder](HostParams params) { return change_host(holder, std::move(params), false); });
    registry.add<AllowAnyHost>({.name = "nvmf_subsystem_allow_any_host",
                                .role = rpc::Role::operate,
                                .text = "Whether any host may use a subsystem",
                                .codes = refused_as_internal,
                                .changes_config = true},
                               [&holder](AllowAnyHost params) -> Task<Result<Json>> {
                                   auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
                                   if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
                                   WEFT_CO_TRY(co_await (*subsystem)->set_allow_any_host(params.allow_any_host));
                                   co_return Json(true);
                               });
}

}  // namespace

void add_subsystem_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<CreateSubsystem>(
        {.name = "nvmf_create_subsystem",
         .role = rpc::Role::operate,
         .text = "Makes an empty subsystem",
         .aliases = {"nvmf_subsystem_create"},
         .codes = refused_as_internal,
         .changes_config = true},
        [&holder](CreateSubsystem params) { return create_subsystem(holder, std::move(params)); });
    registry.add<SubsystemName>(
        {.name = "nvmf_delete_subsystem",
         .role = rpc::Role::operate,
         .text = "Ends a subsystem's controllers and removes it",
         .aliases = {"delete_nvmf_subsystem"},
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](SubsystemName params) -> Task<Result<Json>> {
            auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
            if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
            if ((*subsystem)->identity().is_discovery) {
                co_return fail(Errc::invalid_argument, "the discovery subsystem cannot be deleted");
            }
            WEFT_CO_TRY(co_await (*target_of(holder, params.tgt_name))->delete_subsystem((*subsystem)->nqn()));
            co_return Json(true);
        });
    registry.add<AddNamespace>({.name = "nvmf_subsystem_add_ns",
                                .role = rpc::Role::operate,
                                .text = "Exposes a block device as a namespace",
                                .result = "u32: the namespace's id",
                                .codes = refused_as_invalid,
                                .changes_config = true},
                               [&holder](AddNamespace params) { return add_namespace(holder, std::move(params)); });
    registry.add<RemoveNamespace>({.name = "nvmf_subsystem_remove_ns",
                                   .role = rpc::Role::operate,
                                   .text = "Takes a namespace away; the device stays",
                                   .codes = refused_as_invalid,
                                   .changes_config = true},
                                  [&holder](RemoveNamespace params) -> Task<Result<Json>> {
                                      auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
                                      if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
                                      WEFT_CO_TRY(co_await (*subsystem)->remove_namespace(params.nsid));
                                      co_return Json(true);
                                  });
    add_reach_methods(registry, holder);
}

}  // namespace weft::nvmf
