// The daemon and its state directory: what counts at a start, and what is applied when.
#include <fmt/format.h>

#include "accel/accel_rpc.h"
#include "app/daemon/daemon.h"
#include "base/log.h"
#include "keyring/keyring_rpc.h"
#include "rpc/json.h"

namespace weft::app {

Json Daemon::config_entries() const {
    Json entries = Json::array();
    for (const Module& module : modules_.all()) {
        if (!module.write_config) continue;
        Json own = Json::array();
        module.write_config(own);
        for (Json& entry : own) entries.push_back(std::move(entry));
    }
    return entries;
}

Task<Result<void>> Daemon::open_state() {
    auto keeper = co_await state::Keeper::open(
        runtime_.environment().files(), methods_,
        {.store = {.folder = options_.state_folder}, .skips_failed = options_.skips_failed_state},
        [this](const rpc::ConfigKey& key) {
            Json entry = sockets_.config_entry(key);
            if (entry.is_null()) entry = scheduling_.config_entry(key);
            if (entry.is_null()) entry = keyring::config_entry(keys_, key);
            if (entry.is_null()) entry = raids_.config_entry(key);
            if (entry.is_null()) entry = accel::config_entry(accel_, key);
            if (entry.is_null()) entry = bdev::config_entry(bdevs_, bdev_options_, key);
            return entry.is_null() ? nvmf::config_entry(holder_, key) : std::move(entry);
        });
    if (!keeper) co_return std::unexpected(std::move(keeper).error());
    keeper_ = std::move(*keeper);
    bdevs_.on_config_change = [this](const std::string& name) {
        keeper_->touched(bdev::bdev_key(name));
        keeper_->touched(bdev::histogram_key(name));
        keeper_->touched(bdev::qos_key(name));
    };
    methods_.set_keeper(keeper_.get());
    if (keeper_->is_empty()) co_return Result<void>{};

    // What would be made is there from the last time.
    if (std::exchange(is_demo_wanted_, false)) {
        WEFT_NOTICELOG("--demo: the state in {} is not empty, and counts", options_.state_folder);
    }
    if (loads_config_file_ && options_.winner == Winner::none) {
        co_return fail(
            Errc::invalid_argument,
            fmt::format("the state in {} is not empty, and {} says something else perhaps: start with "
                        "--state-wins to go on with the state, or with --config-wins to replace it by the file",
                        options_.state_folder, options_.config_file));
    }
    if (loads_config_file_ && options_.winner == Winner::config_file) co_return Result<void>{};
    if (std::exchange(loads_config_file_, false)) {
        WEFT_NOTICELOG("the state in {} counts, {} is not read (--state-wins)", options_.state_folder,
                       options_.config_file);
    }
    co_return co_await restore_state();
}

// After a failure the modules are stopped, so that a client that waits can mend what is wrong and start them again.
Task<Result<void>> Daemon::restore_state() {
    if (keeper_ == nullptr) co_return Result<void>{};
    Result<void> done = co_await keeper_->restore();
    if (done || methods_.state() == rpc::startup) co_return done;
    co_await modules_.stop();
    methods_.set_state(rpc::startup);
    keeper_->end_failed_restore();
    co_return done;
}

Task<Result<void>> Daemon::reload() {
    // Whoever may no longer call must not stay because a configuration is wrong, and the other way round.
    Result<void> remote = co_await remote_.reload();
    if (options_.config_file.empty() && (remote_.has_files() || !remote)) co_return remote;
    if (!remote) WEFT_ERRLOG("reload: {}; certificates and roles are as they were", remote.error().message);
    if (options_.config_file.empty()) co_return fail(Errc::invalid_argument, "weftd was started without -c FILE");
    if (methods_.state() != rpc::runtime) co_return fail(Errc::busy, "the framework is not started");
    env::Files& files = runtime_.environment().files();
    auto text =
        co_await offload([&files, path = options_.config_file] { return files.read_all(path, config_bytes_max); });
    if (!text) co_return std::unexpected(std::move(text).error());
    Json params{{"config", std::move(*text)}};
    const rpc::Response answer = co_await methods_.call("weft_apply_config", std::move(params), rpc::CallOf::file);
    if (!answer) co_return fail(Errc::invalid_argument, answer.error().message);
    const Json& changes = (*answer)["changes"];
    for (const Json& change : changes)
        WEFT_NOTICELOG("reload: {}", log::quoted(change["text"].get<std::string>(), 256));
    WEFT_NOTICELOG("reload: {}: {} changes", options_.config_file, changes.size());
    co_return Result<void>{};
}

Task<Result<void>> Daemon::keep_as_one(Task<Result<void>> work, bool is_anew) {
    if (keeper_ == nullptr) co_return co_await work;
    co_return co_await keeper_->keep_as_one(std::move(work), is_anew);
}

}  // namespace weft::app
