#include "rpc/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/json.h"
#include "rpc/server.h"
#include "rpc/spelling.h"

namespace weft::rpc {

namespace {
log::Flag rpc_flag("rpc");
}

struct Registry::Method {
    MethodSpec spec;
    const Type& params;
    Call call;
};

Registry::Registry() = default;
Registry::~Registry() = default;

void Registry::insert(MethodSpec spec, const Type& params, Call call) {
    WEFT_ASSERT(find(spec.name) == nullptr);
    std::string name = spec.name;
    auto method = std::make_unique<Method>(Method{std::move(spec), params, std::move(call)});
    for (const std::string& alias : method->spec.aliases) {
        WEFT_ASSERT(find(alias) == nullptr && alias != name);
        aliases_.emplace(alias, Alias{.method = method.get()});
    }
    methods_.emplace(std::move(name), std::move(method));
}

Registry::Method* Registry::find(std::string_view name) const {
    if (const auto at = methods_.find(name); at != methods_.end()) return at->second.get();
    const auto at = aliases_.find(name);
    return at == aliases_.end() ? nullptr : at->second.method;
}

// As an operator reads it: the list names methods, by their own name or by the alias that is called.
bool Registry::is_allowed(std::string_view name) const {
    if (!allowed_ || allowed_->contains(name)) return true;
    const auto at = aliases_.find(name);
    return at != aliases_.end() && allowed_->contains(at->second.method->spec.name);
}

RpcError Registry::not_found(std::string_view name) const {
    std::vector<std::string_view> known;
    for (const auto& [known_name, method] : methods_) {
        if (is_allowed(known_name)) known.push_back(known_name);
    }
    const std::string_view near = nearest_spelling(name, known);
    std::string message = fmt::format("Method not found: {}", log::quoted(name, 128));
    if (!near.empty()) message += fmt::format("; did you mean {}?", near);
    return {code::method_not_found, std::move(message)};
}

Task<Response> Registry::call(std::string method_name, Json params, CallOf caller) {
    Method* method = caller != CallOf::client || is_allowed(method_name) ? find(method_name) : nullptr;
    if (method == nullptr) co_return std::unexpected(not_found(method_name));

    if (const auto alias = aliases_.find(method_name); alias != aliases_.end() && !alias->second.warned) {
        alias->second.warned = true;
        WEFT_WARNLOG("RPC method {} is deprecated, use {}", method_name, method->spec.name);
    }
    if (!includes(method->spec.states, state_)) {
        co_return fail_code(
            code::wrong_state,
            state_ == States::startup
                ? "Method may only be called after framework is initialized using framework_start_init RPC."
                : "Method may only be called before framework is initialized. Use --wait-for-rpc command line "
                  "parameter and then issue this RPC before the framework_start_init RPC.");
    }
    WEFT_INFOLOG(rpc_flag, "{} called", method->spec.name);
    ++calls_running_;
    const bool is_kept = method->spec.changes_config && keeper_ != nullptr && caller != CallOf::change;
    Task<Response> task = is_kept ? keeper_->change(method->spec.name, method->call(params)) : method->call(params);
    Response response = co_await task;
    --calls_running_;
    if (!response) {
        WEFT_INFOLOG(rpc_flag, "{} failed: {} {}", method->spec.name, response.error().code,
                     log::quoted(response.error().message));
    }
    co_return response;
}

void Registry::set_state(States state) {
    WEFT_ASSERT(state != States::any);
    state_ = state;
}

std::vector<MethodDescription> Registry::descriptions() const {
    std::vector<MethodDescription> list;
    for (const auto& [name, method] : methods_) {
        if (!is_allowed(name)) continue;
        list.push_back({.name = name,
                        .text = method->spec.text,
                        .states = method->spec.states,
                        .aliases = method->spec.aliases,
                        .params = describe_params(method->params),
                        .result = method->spec.result,
                        .changes_config = method->spec.changes_config});
    }
    return list;
}

std::optional<States> Registry::states_of(std::string_view name) const {
    const Method* method = find(name);
    if (method == nullptr) return std::nullopt;
    return method->spec.states;
}

namespace {

struct GetMethods {
    bool current = false;
    bool include_aliases = false;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::optional("current", &GetMethods::current, "Only methods that may be called now"),
            rpc::optional("include_aliases", &GetMethods::include_aliases, "Earlier names of methods too"));
    }
};

Task<Result<Json>> get_methods(const Registry& registry, GetMethods params) {
    std::set<std::string> names;
    for (const MethodDescription& method : registry.descriptions()) {
        if (params.current && !includes(method.states, registry.state())) continue;
        names.insert(method.name);
        if (params.include_aliases) names.insert(method.aliases.begin(), method.aliases.end());
    }
    co_return Json(names);
}

struct DescribeMethods {
    std::optional<std::string> method;

    static constexpr auto fields() {
        return rpc::fields(rpc::optional("method", &DescribeMethods::method,
                                         "One method, by its name or an earlier one; default: all"));
    }
};

Task<Result<Json>> describe_methods(const Registry& registry, DescribeMethods params) {
    Json list = Json::array();
    for (const MethodDescription& method : registry.descriptions()) {
        const bool is_wanted = !params.method || method.name == *params.method ||
                               std::ranges::find(method.aliases, *params.method) != method.aliases.end();
        if (is_wanted) list.push_back(json_of(method));
    }
    co_return list;
}

}  // namespace

void register_log_flags() { log::register_flag(rpc_flag); }

void add_rpc_methods(Registry& registry) {
    register_log_flags();
    registry.add<GetMethods>({.name = "rpc_get_methods",
                              .text = "Lists the methods that can be called",
                              .states = startup | runtime,
                              .aliases = {"get_rpc_methods"},
                              .result = "[string]: names, sorted"},
                             [&registry](GetMethods params) { return get_methods(registry, params); });
    registry.add<DescribeMethods>(
        {.name = "weft_describe_methods",
         .text = "What methods are for, take and answer: for help and for tools",
         .states = startup | runtime,
         .result = "[object]: name, text, states, aliases, params, result"},
        [&registry](DescribeMethods params) { return describe_methods(registry, std::move(params)); });
}

}  // namespace weft::rpc
