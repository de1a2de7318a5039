// Methods about the target as a whole, and about the data buffers that its transports share out.
#include <fmt/format.h>

#include "nvmf/poll_group.h"
#include "nvmf/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

Result<Target*> target_of(const TargetHolder& holder, const std::optional<std::string>& tgt_name) {
    if (holder.target == nullptr || (tgt_name && *tgt_name != holder.target->name())) {
        return fail(Errc::no_such_device, "Unable to find a target.");
    }
    return holder.target;
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

Task<Result<Json>> get_stats(Target& target) {
    Json groups = Json::array();
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        const PollGroupStats stats = group->stats;
        const std::string name = group->name();
        co_await resume_on(target.thread());
        Json transports = Json::array();
        for (const auto& transport : target.transports()) transports.push_back({{"trtype", transport->name()}});
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
    co_return Json{{"tick_rate", env::ns_per_s}, {"poll_groups", std::move(groups)}};
}

struct SetConfig {
    std::optional<Json> admin_cmd_passthru, discovery_filters, dhchap_digests, dhchap_dhgroups;
    std::optional<std::string> poll_groups_mask, discovery_filter, dup_host_policy;
    static constexpr auto fields() {
        using P = SetConfig;
        return rpc::fields(
            rpc::optional("admin_cmd_passthru", &P::admin_cmd_passthru, "Accepted: nothing is passed through"),
            rpc::optional("poll_groups_mask", &P::poll_groups_mask, "Not supported: the core mask -m decides"),
            rpc::optional("discovery_filter", &P::discovery_filter, "Only match_any"),
            rpc::optional("discovery_filters", &P::discovery_filters, "Only an empty set"),
            rpc::optional("dhchap_digests", &P::dhchap_digests, "Accepted: there is no authentication yet"),
            rpc::optional("dhchap_dhgroups", &P::dhchap_dhgroups, "Accepted: there is no authentication yet"),
            rpc::optional("dup_host_policy", &P::dup_host_policy, "Only allow"));
    }
};

Task<Result<Json>> set_config(SetConfig params) {
    if (params.poll_groups_mask) {
        co_return fail(Errc::invalid_argument, "poll_groups_mask is not supported: give weftd -m the CPUs to use");
    }
    if (params.discovery_filter && *params.discovery_filter != "match_any") {
        co_return fail(Errc::invalid_argument, "discovery_filter: only match_any is supported");
    }
    if (params.discovery_filters && !params.discovery_filters->empty()) {
        co_return fail(Errc::invalid_argument, "discovery_filters: only the empty set is supported");
    }
    if (params.dup_host_policy && *params.dup_host_policy != "allow") {
        co_return fail(Errc::invalid_argument, "dup_host_policy: only allow is supported");
    }
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
                             .states = rpc::startup},
                            [](SetConfig params) { return set_config(std::move(params)); });
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
