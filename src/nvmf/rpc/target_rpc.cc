// Methods about the target as a whole, and about the data buffers that its transports share out.
#include <fmt/format.h>

#include "nvmf/poll_group.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::nvme::auth::Hash> {
    using enum nvme::auth::Hash;
    static constexpr EnumName<nvme::auth::Hash> values[] = {{"sha256", sha256}, {"sha384", sha384}, {"sha512", sha512}};
};
template <>
struct weft::rpc::EnumNames<weft::nvme::auth::Group> {
    using enum nvme::auth::Group;
    static constexpr EnumName<nvme::auth::Group> values[] = {{"null", null},           {"ffdhe2048", ffdhe2048},
                                                             {"ffdhe3072", ffdhe3072}, {"ffdhe4096", ffdhe4096},
                                                             {"ffdhe6144", ffdhe6144}, {"ffdhe8192", ffdhe8192}};
};

namespace weft::nvmf {

Result<Target*> target_of(const TargetHolder& holder, const std::optional<std::string>& tgt_name) {
    if (holder.target != nullptr && (!tgt_name || *tgt_name == holder.target->name())) return holder.target;
    if (tgt_name) {
        if (Target* other = holder.others.find(*tgt_name)) return other;
    }
    return fail(Errc::no_such_device, "Unable to find a target.");
}

namespace {

struct TargetName {
    std::optional<std::string> tgt_name;
    static constexpr auto fields() { return rpc::fields(rpc::optional("tgt_name", &TargetName::tgt_name, "Target")); }
};

struct SetMaxSubsystems {
    uint32_t max_subsystems = 0;
    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("max_subsystems", &SetMaxSubsystems::max_subsystems, "Subsystems of a target"));
    }
};

struct SetRetryDelays {
    std::optional<uint16_t> crdt1, crdt2, crdt3;
    static constexpr auto fields() {
        using P = SetRetryDelays;
        constexpr const char* text = "A command retry delay time, in 100 ms";
        return rpc::fields(rpc::optional("crdt1", &P::crdt1, text), rpc::optional("crdt2", &P::crdt2, text),
                           rpc::optional("crdt3", &P::crdt3, text));
    }
};

Json to_json(const std::string& trtype, const TransportFigures& figures) {
    return {{"trtype", trtype},
            {"connections", figures.connections},
            {"current_connections", figures.current_connections},
            {"current_connecting", figures.current_connecting},
            {"refused_connections", figures.refused_connections},
            {"displaced_connections", figures.displaced_connections},
            {"timed_out_connections", figures.timed_out_connections},
            {"protocol_errors", figures.terminations},
            {"received_bytes", figures.received_bytes},
            {"sent_bytes", figures.sent_bytes},
            {"requests_in_flight", figures.requests_in_flight},
            {"pending_data_buffer", figures.waiting_for_buffers}};
}

Task<Result<Json>> get_stats(Target& target) {
    Json groups = Json::array();
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        const PollGroupStats stats = group->stats;
        const std::string name = group->name();
        std::vector<std::pair<std::string, TransportFigures>> moved;
        for (const auto& transport : group->transports()) {
            moved.emplace_back(transport->transport().name(), transport->transport_figures());
        }
        co_await resume_on(target.thread());
        Json transports = Json::array();
        for (const auto& [trtype, figures] : moved) transports.push_back(to_json(trtype, figures));
        groups.push_back({{"name", name},
                          {"admin_qpairs", stats.admin_qpairs},
                          {"io_qpairs", stats.io_qpairs},
                          {"current_admin_qpairs", stats.current_admin_qpairs},
                          {"current_io_qpairs", stats.current_io_qpairs},
                          {"current_unassociated_qpairs", stats.current_unassociated_qpairs},
                          {"pending_bdev_io", stats.pending_bdev_io},
                          {"completed_nvme_io", stats.completed_nvme_io},
                          {"transports", std::move(transports)}});
    }
    Json transports = Json::array();
    for (const auto& transport : target.transports()) {
        transports.push_back({{"trtype", transport->name()}, {"refused_by_network", transport->refused_by_network}});
    }
    co_return Json{
        {"tick_rate", env::ns_per_s}, {"poll_groups", std::move(groups)}, {"transports", std::move(transports)}};
}

// The classes of admin commands that the field's targets hand to an NVMe drive behind a namespace. There is no such
// device here, so that none may be asked for: a host would be told of a drive that is not there.
struct AdminPassthru {
    bool identify_ctrlr = false, identify_uuid_list = false, get_log_page = false, get_set_features = false,
         sanitize = false, security_send_recv = false, fw_update = false, nvme_mi = false, vendor_specific = false;
    static constexpr auto fields() {
        using P = AdminPassthru;
        constexpr const char* text = "Not supported: refused when true";
        return rpc::fields(rpc::optional("identify_ctrlr", &P::identify_ctrlr, text),
                           rpc::optional("identify_uuid_list", &P::identify_uuid_list, text),
                           rpc::optional("get_log_page", &P::get_log_page, text),
                           rpc::optional("get_set_features", &P::get_set_features, text),
                           rpc::optional("sanitize", &P::sanitize, text),
                           rpc::optional("security_send_recv", &P::security_send_recv, text),
                           rpc::optional("fw_update", &P::fw_update, text), rpc::optional("nvme_mi", &P::nvme_mi, text),
                           rpc::optional("vendor_specific", &P::vendor_specific, text));
    }
    [[nodiscard]] bool wants_any() const {
        return identify_ctrlr || identify_uuid_list || get_log_page || get_set_features || sanitize ||
               security_send_recv || fw_update || nvme_mi || vendor_specific;
    }
};

struct SetConfig {
    std::optional<AdminPassthru> admin_cmd_passthru;
    std::optional<std::vector<std::string>> discovery_filters;
    std::optional<std::vector<nvme::auth::Hash>> dhchap_digests;
    std::optional<std::vector<nvme::auth::Group>> dhchap_dhgroups;
    std::optional<std::string> poll_groups_mask, discovery_filter, dup_host_policy;
    static constexpr auto fields() {
        using P = SetConfig;
        return rpc::fields(
            rpc::optional("admin_cmd_passthru", &P::admin_cmd_passthru,
                          "Admin commands handed to a drive: none may be asked for, all must be false"),
            rpc::optional("poll_groups_mask", &P::poll_groups_mask, "Not supported: the core mask -m decides"),
            rpc::optional("discovery_filter", &P::discovery_filter,
                          "Older form of discovery_filters: match_any, or names with commas between"),
            rpc::optional(
                "discovery_filters", &P::discovery_filters,
                "Hosts are shown what has these in common with the address they asked at: transport, address, "
                "svcid (default: all there is)"),
            rpc::optional("dhchap_digests", &P::dhchap_digests, "Hashes that authentication may use"),
            rpc::optional("dhchap_dhgroups", &P::dhchap_dhgroups, "DH groups that authentication may use"),
            rpc::optional("dup_host_policy", &P::dup_host_policy,
                          "allow, or restrict_per_listener: a host has one controller of a subsystem at a listener"));
    }
};

// A bit for each; `all` when there is no list. Errors: an empty list would let nobody in.
template <class T>
Result<uint32_t> bits_of(const char* name, const std::optional<std::vector<T>>& list, uint32_t all) {
    if (!list) return all;
    if (list->empty()) return fail(Errc::invalid_argument, std::string(name) + ": name at least one");
    uint32_t bits = 0;
    for (const T one : *list) bits |= 1U << static_cast<uint8_t>(one);
    return bits;
}

Task<Result<Json>> set_config(TargetHolder& holder, SetConfig params) {
    if (params.admin_cmd_passthru && params.admin_cmd_passthru->wants_any()) {
        co_return fail(Errc::invalid_argument,
                       "admin_cmd_passthru: no bdev takes NVMe admin commands, so that none can be passed through; a "
                       "program may take over opcodes in C++ (docs/embedding.md)");
    }
    if (params.poll_groups_mask) {
        co_return fail(Errc::invalid_argument, "poll_groups_mask is not supported: give weftd -m the CPUs to use");
    }
    if (params.discovery_filter && params.discovery_filters) {
        co_return fail(Errc::invalid_argument, "give discovery_filters or the older discovery_filter, not both");
    }
    auto filter = params.discovery_filters  ? discovery_filter_of(*params.discovery_filters)
                  : params.discovery_filter ? discovery_filter_of(*params.discovery_filter)
                                            : Result<DiscoveryFilter>(holder.discovery_filter);
    if (!filter) co_return std::unexpected(std::move(filter).error());
    const std::string policy = params.dup_host_policy.value_or("");
    if (!policy.empty() && policy != "allow" && policy != "restrict_per_listener") {
        co_return fail(Errc::invalid_argument, "dup_host_policy: there are allow and restrict_per_listener");
    }
    const auto hashes = bits_of("dhchap_digests", params.dhchap_digests, holder.auth_allowed.hashes);
    if (!hashes) co_return std::unexpected(hashes.error());
    const auto groups = bits_of("dhchap_dhgroups", params.dhchap_dhgroups, holder.auth_allowed.groups);
    if (!groups) co_return std::unexpected(groups.error());
    holder.auth_allowed = {.hashes = *hashes, .groups = *groups};
    holder.discovery_filter = *filter;
    if (!policy.empty()) holder.is_restricted_per_listener = policy == "restrict_per_listener";
    co_return Json(true);
}

struct IobufOptions {
    std::optional<uint64_t> small_pool_count, large_pool_count;
    std::optional<uint32_t> small_bufsize, large_bufsize;
    std::optional<bool> enable_numa;
    static constexpr auto fields() {
        using P = IobufOptions;
        constexpr const char* why = "Accepted: each transport has a pool of its own, see nvmf_create_transport";
        return rpc::fields(rpc::optional("small_pool_count", &P::small_pool_count, why),
                           rpc::optional("large_pool_count", &P::large_pool_count, why),
                           rpc::optional("small_bufsize", &P::small_bufsize, why),
                           rpc::optional("large_bufsize", &P::large_bufsize, why),
                           rpc::optional("enable_numa", &P::enable_numa, "Accepted"));
    }
};

Task<Result<Json>> get_buffer_stats(Target& target) {
    BufferCacheStats total;
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        const BufferCacheStats stats = group->buffer_stats();
        total.from_cache += stats.from_cache;
        total.from_shared += stats.from_shared;
        total.waited += stats.waited;
    }
    co_await resume_on(target.thread());
    const Json none{{"cache", 0}, {"main", 0}, {"retry", 0}, {"cache_size", 0}};
    uint32_t reserve = 0;
    const auto group_count = static_cast<uint32_t>(target.poll_groups().size());
    for (const auto& transport : target.transports()) reserve += transport->options().buffers_per_group(group_count);
    const Json large{
        {"cache", total.from_cache}, {"main", total.from_shared}, {"retry", total.waited}, {"cache_size", reserve}};
    co_return Json::array({{{"module", "nvmf_TCP"}, {"small_pool", none}, {"large_pool", large}}});
}

}  // namespace

void add_target_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<TargetName>({.name = "nvmf_get_stats",
                              .role = rpc::Role::read,
                              .text = "Counters of each poll group",
                              .result = "object",
                              .codes = refused_as_internal},
                             [&holder](TargetName params) -> Task<Result<Json>> {
                                 auto target = target_of(holder, params.tgt_name);
                                 if (!target) co_return std::unexpected(std::move(target).error());
                                 co_return co_await get_stats(**target);
                             });
    registry.add<rpc::NoParams>(
        {.name = "nvmf_get_targets", .role = rpc::Role::read, .text = "Names of the targets", .result = "array"},
        [&holder](rpc::NoParams) -> Task<Result<Json>> {
            Json names = Json::array();
            if (holder.target != nullptr) names.push_back(holder.target->name());
            for (std::string& name : holder.others.names()) names.push_back(std::move(name));
            co_return names;
        });
    registry.add<SetMaxSubsystems>({.name = "nvmf_set_max_subsystems",
                                    .role = rpc::Role::operate,
                                    .text = "How many subsystems a target may have",
                                    .states = rpc::startup,
                                    .changes_config = true},
                                   [&holder](SetMaxSubsystems params) -> Task<Result<Json>> {
                                       if (params.max_subsystems == 0)
                                           co_return fail(Errc::invalid_argument, "max_subsystems must be at least 1");
                                       holder.max_subsystems = params.max_subsystems;
                                       co_return Json(true);
                                   });
    registry.add<SetRetryDelays>({.name = "nvmf_set_crdt",
                                  .role = rpc::Role::operate,
                                  .text = "What controllers tell of when to retry",
                                  .states = rpc::startup,
                                  .changes_config = true},
                                 [&holder](SetRetryDelays params) -> Task<Result<Json>> {
                                     auto& delays = holder.command_retry_delays;
                                     delays = {params.crdt1.value_or(delays[0]), params.crdt2.value_or(delays[1]),
                                               params.crdt3.value_or(delays[2])};
                                     co_return Json(true);
                                 });
    registry.add<SetConfig>({.name = "nvmf_set_config",
                             .role = rpc::Role::operate,
                             .text = "Options of the target; those that would do something else than now are refused",
                             .states = rpc::startup,
                             .changes_config = true},
                            [&holder](SetConfig params) { return set_config(holder, std::move(params)); });
    registry.add<IobufOptions>({.name = "iobuf_set_options",
                                .role = rpc::Role::operate,
                                .text = "Accepted for the field's files",
                                .states = rpc::startup},
                               [](IobufOptions) -> Task<Result<Json>> { co_return Json(true); });
    registry.add<rpc::NoParams>({.name = "iobuf_get_stats",
                                 .role = rpc::Role::read,
                                 .text = "How requests got their data buffers",
                                 .result = "array"},
                                [&holder](rpc::NoParams) -> Task<Result<Json>> {
                                    if (holder.target == nullptr) co_return Json::array();
                                    co_return co_await get_buffer_stats(*holder.target);
                                });
}

}  // namespace weft::nvmf
