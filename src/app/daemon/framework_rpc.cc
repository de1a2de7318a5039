// framework_* and spdk_*: the process as a whole.
#include <fmt/format.h>

#include <csignal>

#include "app/daemon/daemon.h"
#include "app/manual/version.h"
#include "rpc/json.h"

namespace weft::app {

namespace {

struct ConfigParams {
    std::string name;
    bool with_batches = false;
    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("name", &ConfigParams::name, "Name from framework_get_subsystems"),
            rpc::optional("with_batches", &ConfigParams::with_batches, "Accepted: there are no batches"));
    }
};

enum class KillSignal : uint8_t { sigint, sigterm, sigquit, sighup, sigkill, sigusr1 };

struct KillParams {
    KillSignal sig_name = KillSignal::sigterm;
    static constexpr auto fields();
};

}  // namespace
}  // namespace weft::app

template <>
struct weft::rpc::EnumNames<weft::app::KillSignal> {
    using Signal = weft::app::KillSignal;
    static constexpr weft::rpc::EnumName<Signal> values[] = {
        {"SIGINT", Signal::sigint}, {"SIGTERM", Signal::sigterm}, {"SIGQUIT", Signal::sigquit},
        {"SIGHUP", Signal::sighup}, {"SIGKILL", Signal::sigkill}, {"SIGUSR1", Signal::sigusr1}};
};

namespace weft::app {
namespace {

constexpr auto KillParams::fields() {
    return rpc::fields(rpc::required("sig_name", &KillParams::sig_name, "SIGINT, SIGTERM or SIGQUIT stop in order"));
}

Json version() {
    return {{"version", fmt::format("Weft v{}", version_text)},
            {"fields", {{"major", version_major}, {"minor", version_minor}, {"patch", version_patch}, {"suffix", ""}}}};
}

Task<Result<Json>> kill_instance(Daemon& daemon, KillParams params) {
    switch (params.sig_name) {
        case KillSignal::sigint:
        case KillSignal::sigterm:
        case KillSignal::sigquit: daemon.on_stop_request(SIGTERM); co_return Json(true);
        case KillSignal::sigkill: std::raise(SIGKILL); co_return Json(true);
        case KillSignal::sighup:
        case KillSignal::sigusr1: co_return Json(true);  // nothing is bound to them
    }
    co_return Json(true);
}

}  // namespace

void add_framework_methods(rpc::Registry& registry, Daemon& daemon) {
    registry.add<rpc::NoParams>({.name = "spdk_get_version",
                                 .role = rpc::Role::read,
                                 .text = "Name and version of the program",
                                 .states = rpc::States::any,
                                 .aliases = {"get_spdk_version"},
                                 .result = "object"},
                                [](rpc::NoParams) -> Task<Result<Json>> { co_return version(); });
    registry.add<rpc::NoParams>({.name = "framework_start_init",
                                 .role = rpc::Role::admin,
                                 .text = "Starts the modules (with --wait-for-rpc)",
                                 .states = rpc::startup},
                                [&daemon](rpc::NoParams) -> Task<Result<Json>> {
                                    WEFT_CO_TRY(co_await daemon.start_framework());
                                    co_return Json(true);
                                });
    registry.add<rpc::NoParams>({.name = "framework_wait_init",
                                 .role = rpc::Role::read,
                                 .text = "Answers when the modules have started",
                                 .states = rpc::States::any},
                                [&daemon](rpc::NoParams) -> Task<Result<Json>> {
                                    WEFT_CO_TRY(co_await daemon.wait_for_framework());
                                    co_return Json(true);
                                });
    registry.add<rpc::NoParams>({.name = "framework_get_subsystems",
                                 .role = rpc::Role::read,
                                 .text = "The modules, in the order of their start",
                                 .result = "array"},
                                [&daemon](rpc::NoParams) -> Task<Result<Json>> {
                                    Json list = Json::array();
                                    for (const Module& module : daemon.modules().all()) {
                                        list.push_back({{"subsystem", module.name}, {"depends_on", module.depends_on}});
                                    }
                                    co_return list;
                                });
    registry.add<ConfigParams>({.name = "framework_get_config",
                                .role = rpc::Role::read,
                                .text = "The calls that make a module's configuration again",
                                .result = "array"},
                               [&daemon](ConfigParams params) -> Task<Result<Json>> {
                                   for (const Module& module : daemon.modules().all()) {
                                       if (module.name != params.name) continue;
                                       Json entries = Json::array();
                                       if (module.write_config) module.write_config(entries);
                                       co_return entries;
                                   }
                                   co_return fail(Errc::invalid_argument,
                                                  fmt::format("Subsystem '{}' not found", params.name.substr(0, 64)));
                               });
    registry.add<KillParams>({.name = "spdk_kill_instance", .role = rpc::Role::admin, .text = "Stops the program"},
                             [&daemon](KillParams params) { return kill_instance(daemon, params); });
}

}  // namespace weft::app
