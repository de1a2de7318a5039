// trace_*: which tracepoints are on, with the field's names, masks and answers. None of it is configuration.
#include <fmt/format.h>

#include "app/daemon/tracing.h"
#include "rpc/json.h"
#include "rpc/registry.h"

namespace weft::app {

namespace {

constexpr uint64_t all_points = ~uint64_t{0};
constexpr const char* group_text = "A tracepoint group, or all: trace_get_tpoint_group_mask lists them";

struct GroupParams {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &GroupParams::name, group_text)); }
};

struct MaskParams {
    std::string name;
    uint64_t tpoint_mask = 0;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &MaskParams::name, group_text),
                           rpc::required("tpoint_mask", &MaskParams::tpoint_mask,
                                         "A bit for each tracepoint of the group, by its tpoint_id"));
    }
};

std::string hexadecimal(uint64_t mask) { return fmt::format("0x{:x}", mask); }

Result<std::vector<trace::Group>> groups_of(const std::string& name) {
    auto named = trace::groups_named(name);
    if (!named) return fail(named.error().code, "name: " + named.error().message);
    return named;
}

Task<Result<Json>> switch_on(Tracing& tracing, std::string name, uint64_t mask) {
    const auto named = groups_of(name);
    if (!named) co_return std::unexpected(named.error());
    trace::Selection selection;
    for (const trace::Group group : *named) selection.masks[static_cast<size_t>(group)] = mask;
    WEFT_CO_TRY(co_await tracing.switch_on(std::move(selection)));
    co_return Json(true);
}

Task<Result<Json>> switch_off(std::string name, uint64_t mask) {
    const auto named = groups_of(name);
    if (!named) co_return std::unexpected(named.error());
    for (const trace::Group group : *named) Tracing::switch_off(group, mask);
    co_return Json(true);
}

Json group_masks() {
    Json answer = {{"tpoint_group_mask", hexadecimal(trace::group_mask())}};
    for (const trace::GroupInfo& info : trace::groups) {
        Json points = Json::array();
        const uint64_t mask = trace::mask_of(info.group);
        for (const trace::PointInfo& point : trace::points) {
            if (trace::group_of(point.point) != info.group) continue;
            points.push_back({{"name", point.name},
                              {"tpoint_id", trace::index_of(point.point)},
                              {"enabled", trace::is_on(point.point)}});
        }
        answer[std::string(info.name)] = {{"enabled", mask != 0},
                                          {"mask", hexadecimal(uint64_t{1} << static_cast<size_t>(info.group))},
                                          {"tpoint_mask", hexadecimal(mask)},
                                          {"tpoints", std::move(points)}};
    }
    return answer;
}

Json information(const Tracing& tracing) {
    Json answer = {{"tpoint_shm_path", tracing.path()}, {"tpoint_group_mask", hexadecimal(trace::group_mask())}};
    for (const trace::GroupInfo& info : trace::groups) {
        answer[std::string(info.name)] = {{"mask", hexadecimal(uint64_t{1} << static_cast<size_t>(info.group))},
                                          {"tpoint_mask", hexadecimal(trace::mask_of(info.group))}};
    }
    return answer;
}

}  // namespace

void add_trace_methods(rpc::Registry& registry, Tracing& tracing) {
    registry.add<GroupParams>(
        {.name = "trace_enable_tpoint_group",
         .role = rpc::Role::operate,
         .text = "Switches all tracepoints of a group on",
         .states = rpc::States::any},
        [&tracing](GroupParams params) { return switch_on(tracing, std::move(params.name), all_points); });
    registry.add<GroupParams>({.name = "trace_disable_tpoint_group",
                               .role = rpc::Role::operate,
                               .text = "Switches all tracepoints of a group off",
                               .states = rpc::States::any},
                              [](GroupParams params) { return switch_off(std::move(params.name), all_points); });
    registry.add<MaskParams>(
        {.name = "trace_set_tpoint_mask",
         .role = rpc::Role::operate,
         .text = "Switches tracepoints of a group on; others stay as they are",
         .states = rpc::States::any},
        [&tracing](MaskParams params) { return switch_on(tracing, std::move(params.name), params.tpoint_mask); });
    registry.add<MaskParams>({.name = "trace_clear_tpoint_mask",
                              .role = rpc::Role::operate,
                              .text = "Switches tracepoints of a group off; others stay as they are",
                              .states = rpc::States::any},
                             [](MaskParams params) { return switch_off(std::move(params.name), params.tpoint_mask); });
    registry.add<rpc::NoParams>({.name = "trace_get_tpoint_group_mask",
                                 .role = rpc::Role::read,
                                 .text = "Tracepoint groups, their tracepoints, and which are on",
                                 .states = rpc::States::any,
                                 .result = "object"},
                                [](rpc::NoParams) -> Task<Result<Json>> { co_return group_masks(); });
    registry.add<rpc::NoParams>({.name = "trace_clear",
                                 .role = rpc::Role::operate,
                                 .text = "Forgets what was traced so far",
                                 .states = rpc::runtime},
                                [&tracing](rpc::NoParams) -> Task<Result<Json>> {
                                    tracing.clear();
                                    co_return Json(true);
                                });
    registry.add<rpc::NoParams>(
        {.name = "trace_get_info",
         .role = rpc::Role::read,
         .text = "The file of the trace, there once a tracepoint was switched on, and the masks of the groups",
         .states = rpc::States::any,
         .result = "object"},
        [&tracing](rpc::NoParams) -> Task<Result<Json>> { co_return information(tracing); });
}

}  // namespace weft::app
