// log_*: levels and flags of the log.
#include "app/daemon/daemon.h"
#include "base/log.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::log::Level> {
    static constexpr weft::rpc::EnumName<weft::log::Level> values[] = {{"ERROR", weft::log::Level::error},
                                                                       {"WARNING", weft::log::Level::warning},
                                                                       {"NOTICE", weft::log::Level::notice},
                                                                       {"INFO", weft::log::Level::info},
                                                                       {"DEBUG", weft::log::Level::debug}};
};

namespace weft::app {

namespace {

struct LevelParam {
    log::Level level = log::Level::notice;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("level", &LevelParam::level, "ERROR, WARNING, NOTICE, INFO or DEBUG"));
    }
};

struct FlagParam {
    std::string flag;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("flag", &FlagParam::flag, "A component, or all"));
    }
};

struct EnabledParam {
    bool enabled = true;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("enabled", &EnabledParam::enabled, "Whether lines begin with the time"));
    }
};

void add_flag_method(rpc::Registry& registry, const char* name, const char* text, bool on) {
    registry.add<FlagParam>({.name = name, .role = rpc::Role::admin, .text = text, .states = rpc::States::any},
                            [on](FlagParam params) -> Task<Result<Json>> {
                                if (!log::set_flag(params.flag, on)) {
                                    co_return fail(Errc::invalid_argument, "flag: there is no such log flag");
                                }
                                co_return Json(true);
                            });
}

}  // namespace

void add_log_methods(rpc::Registry& registry) {
    registry.add<LevelParam>({.name = "log_set_print_level",
                              .role = rpc::Role::admin,
                              .text = "What is printed: this level and above",
                              .states = rpc::States::any},
                             [](LevelParam params) -> Task<Result<Json>> {
                                 log::set_print_level(params.level);
                                 co_return Json(true);
                             });
    registry.add<rpc::NoParams>(
        {.name = "log_get_print_level",
         .role = rpc::Role::read,
         .text = "The level of what is printed",
         .states = rpc::States::any,
         .result = "string"},
        [](rpc::NoParams) -> Task<Result<Json>> { co_return Json(log::name_of(log::print_level())); });
    registry.add<LevelParam>({.name = "log_set_level",
                              .role = rpc::Role::admin,
                              .text = "The level for the system's log",
                              .states = rpc::States::any},
                             [](LevelParam params) -> Task<Result<Json>> {
                                 log::set_system_level(params.level);
                                 co_return Json(true);
                             });
    registry.add<rpc::NoParams>(
        {.name = "log_get_level",
         .role = rpc::Role::read,
         .text = "The level for the system's log",
         .states = rpc::States::any,
         .result = "string"},
        [](rpc::NoParams) -> Task<Result<Json>> { co_return Json(log::name_of(log::system_level())); });
    add_flag_method(registry, "log_set_flag", "Lets a component talk", true);
    add_flag_method(registry, "log_clear_flag", "Silences a component", false);
    registry.add<rpc::NoParams>({.name = "log_get_flags",
                                 .role = rpc::Role::read,
                                 .text = "Components and whether they talk",
                                 .states = rpc::States::any,
                                 .result = "object"},
                                [](rpc::NoParams) -> Task<Result<Json>> {
                                    Json flags = Json::object();
                                    for (const log::FlagState& flag : log::flags())
                                        flags[std::string(flag.name)] = flag.is_set;
                                    co_return flags;
                                });
    registry.add<EnabledParam>(
        {.name = "log_enable_timestamps", .role = rpc::Role::admin, .text = "Whether lines begin with the time"},
        [](EnabledParam params) -> Task<Result<Json>> {
            log::set_timestamps(params.enabled);
            co_return Json(true);
        });
}

}  // namespace weft::app
