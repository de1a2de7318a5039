#include "app/daemon/daemon.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "accel/accel_rpc.h"
#include "app/manual/version.h"
#include "app/observe/figures_json.h"
#include "base/log.h"
#include "bdev/bdev_rpc.h"
#include "bdev_modules/crypto/crypto_rpc.h"
#include "bdev_modules/delay/delay_rpc.h"
#include "bdev_modules/error/error_rpc.h"
#include "bdev_modules/file/file_rpc.h"
#include "bdev_modules/malloc/malloc_rpc.h"
#include "bdev_modules/null/null_rpc.h"
#include "bdev_modules/passthru/passthru_rpc.h"
#include "bdev_modules/raid/raid_rpc.h"
#include "bdev_modules/split/split_rpc.h"
#include "bdev_modules/zone_block/zone_block_rpc.h"
#include "bdev_modules/zoned/zoned_rpc.h"
#include "keyring/keyring_rpc.h"
#include "rpc/absent_modules.h"
#include "rpc/config.h"
#include "rpc/json.h"
#include "rpc/legacy_config.h"

namespace weft::app {

namespace {

// Of the control path: the configuration, RPC clients' texts, metrics, the trace, code.
constexpr uint64_t own_memory_bytes = uint64_t{64} << 20;
constexpr env::TimeNs calls_wait_max = 10 * env::ns_per_s;
constexpr const char* stopping_text = "the target is being stopped";

std::set<std::string, std::less<>> allowed_names(std::string_view list) {
    std::set<std::string, std::less<>> names;
    while (!list.empty()) {
        const size_t comma = list.find(',');
        names.emplace(list.substr(0, comma));
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    }
    return names;
}

}  // namespace

Daemon::Daemon(Runtime& runtime, const DaemonOptions& options)
    : runtime_(runtime), options_(options), scheduling_(runtime), remote_(methods_, options.remote) {
    register_log_flags();
    holder_.max_subsystems = options_.max_subsystems;
    holder_.keys = &keys_;
    env::set_memory_budget(options_.memory_bytes);
    if (options_.memory_bytes != 0) {
        // Never refused: the smallest budget is larger.
        auto own = env::MemoryShare::take(own_memory_bytes, "weftd itself");
        if (own) own_memory_ = std::move(*own);
    }
    add_methods();
    add_modules();
}

Daemon::~Daemon() = default;

void Daemon::add_methods() {
    rpc::add_rpc_methods(methods_);
    add_framework_methods(methods_, *this);
    add_thread_methods(methods_, runtime_);
    add_log_methods(methods_);
    add_trace_methods(methods_, tracing_);
    add_state_methods(methods_, *this);
    add_remote_methods(methods_, remote_);
    add_notify_methods(methods_, notifications_);
    bdevs_.on_change = [this](bdev::Change change, const bdev::Device& device) {
        notifications_.note(change, device.name());
    };
    add_sock_methods(methods_, sockets_, [this] {
        holder_.receive_buffer_bytes = sockets_.receive_buffer_bytes();
        holder_.send_buffer_bytes = sockets_.send_buffer_bytes();
        if (keeper_ == nullptr) return;
        for (rpc::ConfigKey& key : SockSettings::config_keys()) keeper_->touched(std::move(key));
    });
    add_scheduler_methods(methods_, scheduling_, [this](const char* kind) {
        if (keeper_ != nullptr) keeper_->touched({kind, "", ""});
    });
    add_figures_method(methods_, {runtime_, bdevs_, holder_});
    keyring::add_keyring_methods(methods_, keys_, runtime_.environment().files());
    keys_.on_change = [this](const std::string& name) {
        if (keeper_ != nullptr) keeper_->touched(keyring::config_key(name));
    };
    accel::add_accel_methods(methods_, {.framework = accel_,
                                        .keyring = keys_,
                                        .files = runtime_.environment().files(),
                                        .runtime = runtime_,
                                        .on_change = [this](rpc::ConfigKey key) {
                                            if (keeper_ != nullptr) keeper_->touched(std::move(key));
                                        }});
    bdevs_.set_io_thread(*runtime_.data_reactors().front()->threads().front());
    bdev::add_bdev_methods(methods_, bdevs_, bdev_options_);
    bdev::add_iostat_methods(methods_, bdevs_);
    bdev::add_histogram_methods(methods_, bdevs_);
    bdev::add_qos_methods(methods_, bdevs_);
    const bool is_concurrent = runtime_.data_reactors().size() > 1;
    bdev::add_malloc_methods(methods_, bdevs_, is_concurrent);
    bdev::add_zoned_methods(methods_, bdevs_);
    bdev::add_null_methods(methods_, bdevs_);
    bdev::add_file_methods(methods_, bdevs_, is_concurrent);
    bdev::add_raid_methods(methods_, raids_, [this] {
        if (keeper_ != nullptr) keeper_->touched({bdev::raid_options_kind, "", ""});
    });
    bdev::add_passthru_methods(methods_, awaited_bdevs_);
    bdev::add_delay_methods(methods_, awaited_bdevs_);
    bdev::add_error_methods(methods_, awaited_bdevs_);
    bdev::add_split_methods(methods_, awaited_bdevs_);
    bdev::add_zone_block_methods(methods_, awaited_bdevs_);
    bdev::add_crypto_methods(methods_, awaited_bdevs_, accel_);
    if (options_.has_target) add_target_methods();
    if (options_.rpcs_allowed) methods_.set_allowed(allowed_names(*options_.rpcs_allowed));
}

void Daemon::add_target_methods() {
    nvmf::add_transport_methods(methods_, holder_);
    nvmf::add_access_methods(methods_, holder_);
    nvmf::add_discovery_methods(methods_, holder_);
    nvmf::add_management_methods(methods_, holder_);
    nvmf::add_target_methods(methods_, holder_);
    nvmf::add_subsystem_methods(methods_, holder_);
    nvmf::add_auth_methods(methods_, holder_);
    nvmf::add_host_qos_methods(methods_, holder_);
    nvmf::add_subsystem_query_methods(methods_, holder_);
    nvmf::add_ana_methods(methods_, holder_);
}

// When all modules have added theirs.
void Daemon::warn_of_unknown_names() const {
    if (!options_.rpcs_allowed) return;
    for (const std::string& name : allowed_names(*options_.rpcs_allowed)) {
        if (!methods_.states_of(name)) WEFT_WARNLOG("--rpcs-allowed: there is no method {}", log::quoted(name, 128));
    }
}

Result<void> Daemon::add_module(LoadedModule module) {
    LoadedModule& kept = loaded_.emplace_back(std::move(module));
    WEFT_TRY(kept.add(module_context_));
    WEFT_NOTICELOG("module {} {} from {}", kept.name(), kept.version(), log::quoted(kept.path()));
    return {};
}

// What modules say besides their devices comes before the last call, which waits for all of it.
Json Daemon::write_bdev_config() const {
    Json entries = bdev::write_config(bdevs_, bdev_options_);
    Json last = std::move(entries.back());
    entries.erase(entries.end() - 1);
    raids_.write_config(entries);
    entries.push_back(std::move(last));
    return entries;
}

void Daemon::add_modules() {
    modules_.add({.name = "scheduler",
                  .depends_on = {},
                  .start = []() -> Task<Result<void>> { co_return Result<void>{}; },
                  .stop = [this] { return scheduling_.stop(); },
                  .write_config = [this](Json& entries) { scheduling_.write_config(entries); }});
    modules_.add({.name = "sock",
                  .depends_on = {},
                  .start = []() -> Task<Result<void>> { co_return Result<void>{}; },
                  .stop = []() -> Task<void> { co_return; },
                  .write_config = [this](Json& entries) { sockets_.write_config(entries); }});
    modules_.add({.name = "keyring",
                  .depends_on = {},
                  .start = []() -> Task<Result<void>> { co_return Result<void>{}; },
                  .stop = [this]() -> Task<void> {
                      keys_.remove_all();
                      co_return;
                  },
                  .write_config = [this](Json& entries) { keyring::write_config(keys_, entries); }});
    modules_.add({.name = "accel",
                  .depends_on = {},
                  .start = [this]() -> Task<Result<void>> {
                      accel_.start();
                      co_return Result<void>{};
                  },
                  .stop = [this] { return accel_.stop(); },
                  .write_config = [this](Json& entries) { accel::write_config(accel_, entries); }});
    modules_.add({.name = "bdev",
                  .depends_on = {"accel"},
                  .start = []() -> Task<Result<void>> { co_return Result<void>{}; },
                  .stop = [this] { return bdevs_.remove_all(); },
                  .write_config = [this](Json& entries) { entries = write_bdev_config(); }});
    if (options_.has_target) add_target_module();
}

void Daemon::add_target_module() {
    modules_.add({.name = "nvmf",
                  .depends_on = {"bdev", "keyring"},
                  .start = [this]() -> Task<Result<void>> {
                      target_ = std::make_unique<nvmf::Target>(runtime_, bdevs_, options_.target_name);
                      target_->set_subsystem_max(holder_.max_subsystems);
                      target_->on_config_change = [this](rpc::ConfigKey key) {
                          if (keeper_ != nullptr) keeper_->touched(std::move(key));
                      };
                      target_->set_command_retry_delays(holder_.command_retry_delays);
                      target_->set_auth_allowed(holder_.auth_allowed);
                      target_->discovery_filter = holder_.discovery_filter;
                      if (holder_.is_restricted_per_listener) {
                          target_->duplicate_host_policy = nvmf::DuplicateHostPolicy::restrict_per_listener;
                      }
                      Result<void> done = co_await target_->start();
                      if (done) {
                          holder_.target = target_.get();
                      } else {
                          co_await target_->stop();
                          target_.reset();
                      }
                      co_return done;
                  },
                  .stop = [this]() -> Task<void> {
                      co_await holder_.others.stop_all();
                      holder_.target = nullptr;
                      co_await target_->stop();
                      target_.reset();
                  },
                  .write_config = [this](Json& entries) { nvmf::write_config(holder_, entries); }});
}

Task<Result<void>> Daemon::start() {
    WEFT_NOTICELOG("Starting Weft v{}", version_text);
    WEFT_NOTICELOG("Total cores available: {}", runtime_.data_reactors().size());
    Result<void> done = co_await bring_up();
    if (!done) co_await stop();
    co_return done;
}

Task<Result<void>> Daemon::bring_up() {
    warn_of_unknown_names();
    WEFT_CO_TRY(co_await start_tracing());
    WEFT_CO_TRY(co_await confine_files());
    if (options_.has_rpc_server) WEFT_CO_TRY(co_await remote_.prepare(options_.rpc_addresses));
    WEFT_CO_TRY(open_pages());
    loads_config_file_ = !options_.config_file.empty();
    is_demo_wanted_ = options_.is_demo;
    if (!options_.state_folder.empty()) WEFT_CO_TRY(co_await open_state());
    // First, when it is a call that starts the rest; last otherwise, so that nobody meets half of a target.
    if (options_.waits_for_rpc) WEFT_CO_TRY(co_await open_rpc_servers());
    if (loads_config_file_) {
        WEFT_CO_TRY(co_await keep_as_one(load_config(), options_.winner == Winner::config_file));
    } else if (!options_.waits_for_rpc) {
        WEFT_CO_TRY(co_await start_framework());
    }
    if (options_.waits_for_rpc) co_return Result<void>{};
    if (is_demo_wanted_) WEFT_CO_TRY(co_await keep_as_one(set_up_demo(), false));
    co_return co_await open_rpc_servers();
}

Task<Result<void>> Daemon::confine_files() {
    if (options_.allowed_folders.empty()) co_return Result<void>{};
    env::Files& files = runtime_.environment().files();
    auto done = co_await offload([&files, &folders = options_.allowed_folders] { return files.confine(folders); });
    if (!done) co_return fail(done.error().code, fmt::format("--allow-path: {}", done.error().message));
    co_return done;
}

// Of what -e names, before anything else happens.
Task<Result<void>> Daemon::start_tracing() {
    if (!options_.tracepoints) co_return Result<void>{};
    if (const auto& absent = options_.tracepoints->absent; !absent.empty()) {
        WEFT_WARNLOG("-e: here are no tracepoints of {}", fmt::join(absent, ", "));
    }
    if (options_.trace_entries == 0) {
        WEFT_WARNLOG("-e: nothing is traced: --num-trace-entries is 0");
        co_return Result<void>{};
    }
    co_return co_await tracing_.switch_on(*options_.tracepoints);
}

Task<void> Daemon::stop() {
    is_stopping_ = true;
    framework_started_.wake_all();
    bdevs_.refuse_more();
    if (pages_ != nullptr) co_await pages_->stop();
    pages_.reset();
    co_await remote_.stop();
    while (is_framework_starting_) co_await framework_started_.wait();
    co_await wait_for_calls();
    co_await remote_.close_audit();
    if (keeper_ != nullptr) co_await keeper_->close();
    co_await modules_.stop();
    for (LoadedModule& module : loaded_) co_await module.stop();
}

// A call uses the modules until it ends, also when nobody is there any more to hear its answer. One that is stuck must
// not keep the target from stopping in order.
Task<void> Daemon::wait_for_calls() {
    const env::Clock& clock = runtime_.environment().clock();
    const env::TimeNs limit = clock.now() + calls_wait_max;
    while (methods_.calls_running() > 0 && clock.now() < limit) co_await sleep_for(env::ns_per_ms);
    if (methods_.calls_running() > 0) WEFT_WARNLOG("{} RPC calls have not ended", methods_.calls_running());
}

Task<Result<void>> Daemon::start_framework() {
    if (is_stopping_) co_return fail(Errc::cancelled, stopping_text);
    if (is_framework_started_ || is_framework_starting_) co_return fail(Errc::busy, "the framework is started already");
    is_framework_starting_ = true;
    Result<void> done = co_await modules_.start();
    if (done) {
        methods_.set_state(rpc::runtime);
        done = co_await restore_state();
    }
    is_framework_starting_ = false;
    is_framework_started_ = done.has_value();
    framework_started_.wake_all();
    co_return done;
}

Task<Result<void>> Daemon::wait_for_framework() {
    while (!is_framework_started_) {
        if (is_stopping_) co_return fail(Errc::cancelled, stopping_text);
        co_await framework_started_.wait();
    }
    co_return Result<void>{};
}

Task<Result<void>> Daemon::open_rpc_servers() {
    if (!options_.has_rpc_server) co_return Result<void>{};
    co_return co_await remote_.listen();
}

// First of all: whoever watches sees a start that takes long, too.
Result<void> Daemon::open_pages() {
    if (options_.metrics_address.empty()) return {};
    auto address = parse_metrics_address(options_.metrics_address);
    if (!address) return std::unexpected(std::move(address).error());
    auto pages = Pages::open({runtime_, bdevs_, holder_}, *address);
    if (!pages) {
        return fail(pages.error().code,
                    fmt::format("--metrics {}: {}", options_.metrics_address, pages.error().message));
    }
    pages_ = std::move(*pages);
    WEFT_NOTICELOG("metrics: http://{}/metrics, status page: http://{}/", env::to_string(pages_->address()),
                   env::to_string(pages_->address()));
    return {};
}

Task<Result<void>> Daemon::load_config() {
    env::Files& files = runtime_.environment().files();
    auto text =
        co_await offload([&files, path = options_.config_file] { return files.read_all(path, config_bytes_max); });
    if (!text) co_return std::unexpected(std::move(text).error());
    if (rpc::is_legacy_config(*text)) {
        WEFT_WARNLOG("{} is an INI file; it is taken as the JSON that `weft convert-config` makes of it",
                     options_.config_file);
        std::vector<std::string> notes;
        auto converted = rpc::convert_legacy_config(*text, notes);
        if (!converted) {
            co_return fail(converted.error().code,
                           fmt::format("{}: {}", options_.config_file, converted.error().message));
        }
        for (const std::string& note : notes) WEFT_NOTICELOG("{}: {}", options_.config_file, note);
        text = dump_json(*converted);
    }
    auto calls = rpc::parse_config(*text);
    if (!calls) {
        co_return fail(calls.error().code, fmt::format("{}: {}", options_.config_file, calls.error().message));
    }
    if (!options_.has_target) {
        std::erase_if(*calls, [](const rpc::ConfigCall& call) { return call.subsystem == "nvmf"; });
    }
    Result<void> done = co_await rpc::apply_config(methods_, std::move(*calls),
                                                   {.ignore_errors = options_.ignores_config_errors,
                                                    .is_within_change = keeper_ != nullptr,
                                                    .reason_to_skip = &rpc::reason_to_skip},
                                                   [this]() -> Task<Result<void>> { return start_framework(); });
    if (!done) co_return fail(done.error().code, fmt::format("{}: {}", options_.config_file, done.error().message));
    co_return Result<void>{};
}

Task<Result<Json>> Daemon::call(std::string method, Json params) {
    // All of the demo is one change.
    rpc::Response response = co_await methods_.call(std::move(method), std::move(params), rpc::CallOf::change);
    if (!response) co_return fail(Errc::invalid_argument, response.error().message);
    co_return std::move(*response);
}

// What a person would type, by the same methods.
Task<Result<void>> Daemon::set_up_demo() {
    const std::string nqn = "nqn.2016-06.io.spdk:cnode1";
    const Json address{{"trtype", "TCP"}, {"traddr", options_.demo_address}, {"trsvcid", options_.demo_port}};
    const std::pair<const char*, Json> calls[] = {
        {"nvmf_create_transport", {{"trtype", "TCP"}}},
        {"bdev_malloc_create", {{"name", "Malloc0"}, {"block_size", 4096}, {"num_blocks", options_.demo_mib * 256}}},
        {"nvmf_create_subsystem", {{"nqn", nqn}, {"allow_any_host", true}, {"serial_number", "WEFTDEMO"}}},
        {"nvmf_subsystem_add_ns", {{"nqn", nqn}, {"namespace", {{"bdev_name", "Malloc0"}}}}},
        {"nvmf_subsystem_add_listener", {{"nqn", nqn}, {"listen_address", address}}},
        {"nvmf_subsystem_add_listener", {{"nqn", "discovery"}, {"listen_address", address}}}};
    for (const auto& [method, params] : calls) {
        auto done = co_await call(method, params);
        if (!done) co_return fail(done.error().code, fmt::format("demo: {}: {}", method, done.error().message));
    }
    WEFT_NOTICELOG("demo: nvme connect -t tcp -a {} -s {} -n {}", options_.demo_address, options_.demo_port, nqn);
    co_return Result<void>{};
}

}  // namespace weft::app
