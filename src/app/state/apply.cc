#include "app/state/apply.h"

#include <fmt/format.h>

#include "base/log.h"
#include "rpc/json.h"

namespace weft::state {

namespace {

Task<Result<void>> run(rpc::Registry& methods, std::vector<rpc::ConfigCall> calls) {
    for (rpc::ConfigCall& call : calls) {
        const std::string doing = fmt::format("{} {}", call.method, dump_json(call.params));
        if (call.method == "nvmf_subsystem_add_ns") {
            // What stands on other bdevs, or is found on them, is there when a namespace wants it.
            static_cast<void>(co_await methods.call("bdev_wait_for_examine", Json(), rpc::CallOf::change));
        }
        rpc::Response answer = co_await methods.call(call.method, std::move(call.params), rpc::CallOf::change);
        if (answer) continue;
        Error error = rpc::to_error(std::move(answer).error());
        co_return fail(error.code, fmt::format("{}: {}", doing, error.message));
    }
    co_return Result<void>{};
}

// Plans from what runs now.
Task<Result<Plan>> go_to(rpc::Registry& methods, const std::function<Result<Document>()>& running,
                         const Document& wanted) {
    auto now = running();
    if (!now) co_return std::unexpected(std::move(now).error());
    auto plan = make_plan(*now, wanted);
    if (!plan) co_return plan;
    WEFT_CO_TRY(co_await run(methods, plan->calls));
    // A parameter that no entry keeps would be a difference for ever.
    now = running();
    if (!now) co_return std::unexpected(std::move(now).error());
    const auto left = make_plan(*now, wanted);
    if (!left) co_return std::unexpected(left.error());
    if (left->differences.empty()) co_return plan;
    co_return fail(Errc::not_supported,
                   fmt::format("this target does not keep what the file says: {}", left->differences.front().text));
}

}  // namespace

Task<Result<Plan>> apply(rpc::Registry& methods, std::function<Result<Document>()> running, Document wanted) {
    const auto before = running();
    if (!before) co_return std::unexpected(before.error());
    if (const auto possible = make_plan(*before, wanted); !possible) co_return std::unexpected(possible.error());
    auto plan = co_await go_to(methods, running, wanted);
    if (plan) co_return plan;
    const Error error = std::move(plan).error();
    const auto back = co_await go_to(methods, running, *before);
    if (back) co_return fail(error.code, fmt::format("{}. All is as it was before", error.message));
    WEFT_ERRLOG("a configuration that failed could not be undone: {}", log::quoted(back.error().message, 1024));
    co_return fail(error.code, fmt::format("{}. It could not be undone either: {}. See what runs with save_config",
                                           error.message, back.error().message));
}

Result<Document> document_of(const Json& entries) {
    Document document;
    for (const Json& entry : entries) {
        if (entry.value("method", "") == "bdev_wait_for_examine") continue;
        const auto key = key_of(entry);
        if (!key) return std::unexpected(key.error());
        document.put(*key, entry);
    }
    return document;
}

}  // namespace weft::state
