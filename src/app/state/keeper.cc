#include "app/state/keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "bdev/bdev_rpc.h"
#include "nvmf/config_keys.h"
#include "rpc/config.h"
#include "rpc/json.h"

namespace weft::state {

Task<Result<std::unique_ptr<Keeper>>> Keeper::open(env::Files& files, rpc::Registry& methods, KeeperOptions options,
                                                   Entry entry) {
    std::unique_ptr<Keeper> keeper(new Keeper(methods, std::move(options), std::move(entry)));
    auto store = co_await Store::open(files, keeper->options_.store);
    if (!store) co_return std::unexpected(std::move(store).error());
    keeper->store_ = std::move(*store);
    if (auto done = keeper->read(keeper->store_->take_payloads()); !done) {
        co_await keeper->store_->close();
        co_return std::unexpected(std::move(done).error());
    }
    keeper->store_->snapshot = [keeper = keeper.get()] { return keeper->document_.to_text(); };
    co_return keeper;
}

Result<void> Keeper::read(const std::vector<std::string>& payloads) {
    for (size_t at = 0; at < payloads.size(); ++at) {
        const auto done = at == 0 ? document_.read_text(payloads[at]) : apply_change(payloads[at], document_);
        if (done) continue;
        // Its checksum is right: another program wrote it, or a later Weft.
        return fail(Errc::protocol_error,
                    fmt::format("--state {}: entry {} of the journal is not understood: {}. Was it written by a later "
                                "Weft? The file skip-recovery in the directory begins with nothing",
                                options_.store.folder, at + 1, done.error().message));
    }
    return {};
}

void Keeper::touched(rpc::ConfigKey key) {
    if (is_restoring_ || is_closed_) return;
    const bool went = entry_(key).is_null();
    Touch& touch = touched_[std::move(key)];
    touch.order = ++touches_;
    touch.went |= went;
}

std::string Keeper::collect() {
    std::vector<std::pair<rpc::ConfigKey, Touch>> list(touched_.begin(), touched_.end());
    touched_.clear();
    std::ranges::sort(list, {}, [](const auto& touched) { return touched.second.order; });
    Change change;
    for (const auto& [key, touch] : list) {
        const Json entry = entry_(key);
        if ((entry.is_null() || touch.went) && document_.erase(key)) change.erase(key);
        if (!entry.is_null() && document_.put(key, entry)) change.put(*document_.find(key));
    }
    return change.empty() ? std::string() : change.to_text();
}

std::optional<Error> Keeper::refusal() const {
    if (is_closed_) return Error{Errc::cancelled, "the target is being stopped"};
    if (is_restoring_) return Error{Errc::busy, "the configuration is being restored from the state directory"};
    if (store_->failure().empty()) return std::nullopt;
    return Error{
        Errc::io_error,
        fmt::format("the configuration cannot be changed, since changes cannot be kept: {}. The target goes on "
                    "serving; mend the file system of {} and start weftd again",
                    store_->failure(), options_.store.folder)};
}

Task<rpc::Response> Keeper::change(std::string method, Task<rpc::Response> call) {
    uint64_t number = 0;
    std::optional<rpc::Response> response;
    {
        const auto guard = co_await changing_.lock();
        if (auto refused = refusal()) co_return std::unexpected(rpc::RpcError(std::move(*refused)));
        response.emplace(co_await call);
        if (is_closed_) co_return std::move(*response);
        // What is set without a room that reports it is named as the method that sets it.
        if (method == bdev::options_kind || method == nvmf::max_subsystems_kind || method == nvmf::retry_delays_kind ||
            method == nvmf::set_config_kind) {
            touched({method, "", ""});
        }
        if (const std::string payload = collect(); !payload.empty()) store_->append(payload);
        // Also when nothing changed: "exists already" may speak of a change that is not on the medium yet.
        number = store_->last_taken();
    }
    Result<void> kept = co_await store_->wait(number);
    if (kept || !*response) co_return std::move(*response);
    co_return std::unexpected(rpc::RpcError(Error{
        Errc::io_error, fmt::format("{} was done, but it may be gone after a restart, since it could not be kept: {}",
                                    method, kept.error().message)}));
}

Task<Result<void>> Keeper::keep_as_one(Task<Result<void>> work, bool is_anew) {
    const auto guard = co_await changing_.lock();
    Document before;
    if (is_anew) std::swap(before, document_);
    Result<void> done = co_await work;
    if (!done || is_closed_) {
        touched_.clear();
        if (is_anew) document_ = std::move(before);
        co_return done;
    }
    touched({bdev::options_kind, "", ""});
    touched({nvmf::max_subsystems_kind, "", ""});
    touched({nvmf::retry_delays_kind, "", ""});
    touched({nvmf::set_config_kind, "", ""});
    const std::string payload = collect();
    if (is_anew) {
        auto aside = co_await store_->set_aside("replaced");
        if (!aside) co_return std::unexpected(std::move(aside).error());
        WEFT_NOTICELOG("state: replaced by the configuration file; the state before is kept as {}", *aside);
        co_return co_await store_->compact();
    }
    if (payload.empty()) co_return done;
    co_return co_await store_->wait(store_->append(payload));
}

Task<Result<void>> Keeper::restore() {
    std::vector<rpc::ConfigCall> calls = document_.calls();
    const bool is_startup = methods_.state() == rpc::startup;
    std::erase_if(calls, [&](const rpc::ConfigCall& call) {
        const auto states = methods_.states_of(call.method);
        return (states && includes(*states, rpc::startup)) != is_startup;
    });
    if (calls.empty()) co_return Result<void>{};
    const auto guard = co_await changing_.lock();
    is_restoring_ = true;
    const size_t count = calls.size();
    // What stands on other bdevs, or is found on them, is there when namespaces want it.
    const auto shows = std::ranges::find(calls, "nvmf_subsystem_add_ns", &rpc::ConfigCall::method);
    if (shows != calls.end() && methods_.states_of("bdev_wait_for_examine")) {
        calls.insert(shows, {.number = shows->number, .method = "bdev_wait_for_examine"});
    }
    Result<void> done = co_await rpc::apply_config(methods_, std::move(calls),
                                                   {.ignore_errors = options_.skips_failed, .is_within_change = true},
                                                   []() -> Task<Result<void>> { co_return Result<void>{}; });
    is_restoring_ = !done;
    if (!done) {
        co_return fail(
            done.error().code,
            fmt::format("--state {}: {}. Nothing of the state is lost: mend what is wrong and start again, or start "
                        "with --state-skip-failed to go on without what fails",
                        options_.store.folder, done.error().message));
    }
    if (is_startup) co_return Result<void>{};
    const size_t failed = missing().size();
    WEFT_NOTICELOG("state: {} entries restored from {}", count - std::min(count, failed), options_.store.folder);
    if (failed > 0) {
        WEFT_WARNLOG(
            "state: {} entries could not be applied, see above; they stay in the state and are tried at the "
            "next start, until weft_forget_missing is called",
            failed);
    }
    co_return Result<void>{};
}

std::vector<rpc::ConfigKey> Keeper::missing() const {
    std::vector<rpc::ConfigKey> list;
    for (rpc::ConfigKey& key : document_.keys()) {
        if (entry_(key).is_null()) list.push_back(std::move(key));
    }
    return list;
}

void Keeper::forget_missing() {
    for (rpc::ConfigKey& key : missing()) touched(std::move(key));
}

Task<void> Keeper::close() {
    is_closed_ = true;
    co_await store_->close();
}

}  // namespace weft::state
