#include "rpc/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/audit_log.h"
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
    if (is_adding_foreign_) {
        const auto is_taken = [this](const std::string& name) { return find(name) != nullptr; };
        const bool is_unnamed = spec.name.empty();
        if (is_unnamed || is_taken(spec.name) || std::ranges::any_of(spec.aliases, is_taken)) {
            if (taken_name_.empty()) taken_name_ = is_unnamed ? "\"\"" : spec.name;
            return;
        }
    }
    WEFT_ASSERT(find(spec.name) == nullptr);
    std::string name = spec.name;
    auto method = std::make_unique<Method>(Method{std::move(spec), params, std::move(call)});
    for (const std::string& alias : method->spec.aliases) {
        WEFT_ASSERT(find(alias) == nullptr && alias != name);
        aliases_.emplace(alias, Alias{.method = method.get()});
    }
    methods_.emplace(std::move(name), std::move(method));
}

Result<void> Registry::add_foreign(std::move_only_function<Result<void>()> add) {
    struct Guard {
        explicit Guard(bool& its_flag) : flag(its_flag) { flag = true; }
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        ~Guard() { flag = false; }
        bool& flag;
    };
    taken_name_.clear();
    const Guard guard(is_adding_foreign_);
    WEFT_TRY(add());
    if (taken_name_.empty()) return {};
    return fail(Errc::already_exists,
                fmt::format("there is a method {}, or one of its aliases, already", log::quoted(taken_name_)));
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

Registry::Method* Registry::visible(std::string_view name, Role role) const {
    Method* const method = is_allowed(name) ? find(name) : nullptr;
    return method != nullptr && role >= method->spec.role ? method : nullptr;
}

// The same words for what there is not and for what the caller may not know of.
RpcError Registry::not_found(std::string_view name, Role role) const {
    std::vector<std::string_view> known;
    for (const auto& [known_name, method] : methods_) {
        if (visible(known_name, role) != nullptr) known.push_back(known_name);
    }
    const std::string_view near = nearest_spelling(name, known);
    std::string message = fmt::format("Method not found: {}", log::quoted(name, 128));
    if (!near.empty()) message += fmt::format("; did you mean {}?", near);
    if (role != Role::admin) {
        message += fmt::format("; rpc_get_methods lists what your role, {}, may call", to_string(role));
    }
    return {code::method_not_found, std::move(message)};
}

Task<Response> Registry::call(std::string method_name, Json params, CallOf caller, const Caller& who) {
    const bool is_client = caller == CallOf::client;
    Method* const method = is_client ? visible(method_name, who.role) : find(method_name);
    Response response = co_await perform(method_name, method, params, caller, who);
    if (is_client && audit_ != nullptr && (method == nullptr || method->spec.role != Role::read)) {
        audit_->note(who, method == nullptr ? method_name : method->spec.name, params,
                     response ? 0 : response.error().code);
    }
    co_return response;
}

Task<Response> Registry::perform(std::string_view method_name, Method* method, const Json& params, CallOf caller,
                                 const Caller& who) {
    if (caller == CallOf::client && who.role == Role::none) {
        co_return fail_code(code::no_role,
                            fmt::format("{} has no role here: whoever runs the target must list it in the "
                                        "file of --rpc-roles",
                                        who.name.empty() ? "this certificate" : log::quoted(who.name)));
    }
    if (method == nullptr) co_return std::unexpected(not_found(method_name, who.role));

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
    struct Running {  // also when there is no memory to call it
        uint32_t& count;
        ~Running() { --count; }
    } const running{++calls_running_};
    const bool is_kept = method->spec.changes_config && keeper_ != nullptr && caller != CallOf::change;
    Task<Response> task =
        is_kept ? keeper_->change(method->spec.name, method->call(params, who)) : method->call(params, who);
    Response response = co_await task;
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

std::vector<MethodDescription> Registry::descriptions(Role role) const {
    std::vector<MethodDescription> list;
    for (const auto& [name, method] : methods_) {
        if (visible(name, role) == nullptr) continue;
        list.push_back({.name = name,
                        .role = method->spec.role,
                        .text = method->spec.text,
                        .states = method->spec.states,
                        .aliases = method->spec.aliases,
                        .params = describe_params(method->params),
                        .result = method->spec.result,
                        .changes_config = method->spec.changes_config,
                        .words = method->spec.words});
    }
    return list;
}

std::optional<States> Registry::states_of(std::string_view method) const {
    const Method* found = find(method);
    if (found == nullptr) return std::nullopt;
    return found->spec.states;
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

Task<Result<Json>> get_methods(const Registry& registry, GetMethods params, Role role) {
    std::set<std::string> names;
    for (const MethodDescription& method : registry.descriptions(role)) {
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

Task<Result<Json>> describe_methods(const Registry& registry, DescribeMethods params, Role role) {
    Json list = Json::array();
    for (const MethodDescription& method : registry.descriptions(role)) {
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
    registry.add<GetMethods>(
        {.name = "rpc_get_methods",
         .role = Role::read,
         .text = "Lists the methods that can be called",
         .states = startup | runtime,
         .aliases = {"get_rpc_methods"},
         .result = "[string]: names, sorted"},
        [&registry](GetMethods params, const Caller& who) { return get_methods(registry, params, who.role); });
    registry.add<DescribeMethods>({.name = "weft_describe_methods",
                                   .role = Role::read,
                                   .text = "What methods are for, take and answer: for help and for tools",
                                   .states = startup | runtime,
                                   .result = "[object]: name, role, text, states, aliases, params, result"},
                                  [&registry](DescribeMethods params, const Caller& who) {
                                      return describe_methods(registry, std::move(params), who.role);
                                  });
}

}  // namespace weft::rpc
