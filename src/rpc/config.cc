#include "rpc/config.h"

#include <fmt/format.h>

#include "base/log.h"

namespace weft::rpc {

namespace {

std::unexpected<Error> refuse(std::string_view where, std::string_view reason) {
    return fail(Errc::invalid_argument, fmt::format("configuration: {}: {}", where, reason));
}

class ConfigReader {
public:
    Result<std::vector<ConfigCall>> read(Json& root);

private:
    Result<void> read_subsystem(Json& subsystem, size_t number);
    Result<void> read_entry(Json& entry, size_t batch);
    [[nodiscard]] std::string where() const { return fmt::format("entry {} ({})", calls_.size() + 1, subsystem_); }

    std::vector<ConfigCall> calls_;
    std::string subsystem_;
    size_t batches_ = 0;
};

Result<std::vector<ConfigCall>> ConfigReader::read(Json& root) {
    if (!root.is_object()) return refuse("the file", "expected an object");
    const auto subsystems = root.find("subsystems");
    if (subsystems == root.end()) return refuse("the file", "\"subsystems\" is missing");
    if (!subsystems->is_array()) return refuse("subsystems", "expected an array");
    for (size_t at = 0; at < subsystems->size(); ++at) WEFT_TRY(read_subsystem((*subsystems)[at], at + 1));
    return std::move(calls_);
}

Result<void> ConfigReader::read_subsystem(Json& subsystem, size_t number) {
    const std::string place = fmt::format("subsystem {}", number);
    if (!subsystem.is_object()) return refuse(place, "expected an object");
    const auto name = subsystem.find("subsystem");
    if (name == subsystem.end() || !name->is_string()) return refuse(place, "\"subsystem\" must be a string");
    subsystem_ = name->get<std::string>();
    const auto config = subsystem.find("config");
    if (config == subsystem.end() || config->is_null()) return {};
    if (!config->is_array()) return refuse(place, "\"config\" must be an array or null");
    for (Json& entry : *config) {
        if (!entry.is_array()) {
            WEFT_TRY(read_entry(entry, 0));
            continue;
        }
        ++batches_;
        for (Json& member : entry) WEFT_TRY(read_entry(member, batches_));
    }
    return {};
}

Result<void> ConfigReader::read_entry(Json& entry, size_t batch) {
    if (!entry.is_object()) return refuse(where(), "expected an object with \"method\"");
    ConfigCall call = {.number = calls_.size() + 1, .subsystem = subsystem_, .batch = batch};
    for (auto& [name, value] : entry.items()) {
        if (name == "method" && value.is_string()) {
            call.method = value.get<std::string>();
        } else if (name == "params") {
            call.params = std::move(value);
        } else {
            return refuse(where(), fmt::format("\"{}\" is not expected here", log::quoted(name, 64)));
        }
    }
    if (call.method.empty()) return refuse(where(), "\"method\" is missing");
    calls_.push_back(std::move(call));
    return {};
}

// Runs calls in order, those of one batch at the same time.
class Applier {
public:
    Applier(Registry& registry, std::vector<ConfigCall> calls, ApplyOptions options)
        : registry_(registry), calls_(std::move(calls)), done_(calls_.size()), options_(options) {}

    // What can be called now and was not yet. With `all`, the rest too, to hear what is wrong with it.
    Task<Result<void>> run(bool all);

private:
    Task<Result<void>> run_one(ConfigCall& call);
    Task<Result<void>> run_batch(std::vector<ConfigCall*> batch);

    Registry& registry_;
    std::vector<ConfigCall> calls_;
    std::vector<bool> done_;
    const ApplyOptions options_;
};

Task<Result<void>> Applier::run(bool all) {
    for (size_t at = 0; at < calls_.size();) {
        const size_t number = calls_[at].batch;
        std::vector<ConfigCall*> batch;
        do {
            const auto states = registry_.states_of(calls_[at].method);
            const bool now = states && includes(*states, registry_.state());
            if (!done_[at] && (all || now)) {
                done_[at] = true;
                batch.push_back(&calls_[at]);
            }
            ++at;
        } while (number != 0 && at < calls_.size() && calls_[at].batch == number);
        WEFT_CO_TRY(co_await run_batch(std::move(batch)));
    }
    co_return Result<void>{};
}

Task<Result<void>> Applier::run_batch(std::vector<ConfigCall*> batch) {
    std::vector<Result<void>> outcomes(batch.size());
    Gate gate;
    for (size_t at = 0; at < batch.size(); ++at) WEFT_ASSERT(gate.try_enter());
    for (size_t at = 0; at < batch.size(); ++at) {
        spawn([](Applier& self, ConfigCall& call, Result<void>& outcome, Gate& left) -> Task<void> {
            outcome = co_await self.run_one(call);
            left.leave();
        }(*this, *batch[at], outcomes[at], gate));
    }
    co_await gate.close();
    for (Result<void>& outcome : outcomes) WEFT_CO_TRY(std::move(outcome));
    co_return Result<void>{};
}

Task<Result<void>> Applier::run_one(ConfigCall& call) {
    const std::string where = fmt::format("entry {} ({})", call.number, log::quoted(call.method, 128));
    if (!registry_.states_of(call.method)) {
        const std::string_view reason =
            options_.reason_to_skip == nullptr ? std::string_view{} : options_.reason_to_skip(call.method);
        if (!reason.empty()) {
            WEFT_WARNLOG("configuration: {}: skipped: {}", where, reason);
            co_return Result<void>{};
        }
        if (options_.ignore_unknown_with_warning) {
            WEFT_WARNLOG("configuration: {}: there is no such method; ignored", where);
            co_return Result<void>{};
        }
    }
    const CallOf caller = options_.is_within_change ? CallOf::change : CallOf::file;
    Response response = co_await registry_.call(call.method, std::move(call.params), caller);
    if (response) co_return Result<void>{};
    Error error = to_error(std::move(response).error());
    error.message = fmt::format("configuration: {}: {}", where, error.message);
    if (!options_.ignore_errors) co_return std::unexpected(std::move(error));
    WEFT_ERRLOG("{}", log::quoted(error.message, 1024));
    co_return Result<void>{};
}

}  // namespace

Result<std::vector<ConfigCall>> parse_config(std::string_view text) {
    auto root = parse_json(text, large_json_limits);
    if (!root) return fail(Errc::invalid_argument, "configuration: " + root.error().message);
    return ConfigReader().read(*root);
}

Result<std::vector<ConfigCall>> parse_config(Json& root) { return ConfigReader().read(root); }

Task<Result<void>> apply_config(Registry& registry, std::vector<ConfigCall> calls, ApplyOptions options,
                                std::move_only_function<Task<Result<void>>()> start) {
    Applier applier(registry, std::move(calls), options);
    if (registry.state() == States::startup) {
        WEFT_CO_TRY(co_await applier.run(false));
        WEFT_CO_TRY(co_await start());
    }
    co_return co_await applier.run(true);
}

}  // namespace weft::rpc
