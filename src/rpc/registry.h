// The RPC methods of the program: main() adds them, servers and the configuration loader call them.
//
//   Task<Result<Json>> add_namespace(nvmf::Target& target, AddNamespace params) {
//       …
//       co_return Json(nsid);
//   }
//
//   registry.add<AddNamespace>({.name = "nvmf_subsystem_add_ns",
//                               .text = "Exposes a block device as a namespace",
//                               .result = "u32: the namespace's id"},
//                              [&target](AddNamespace params) { return add_namespace(target, std::move(params)); });
//
// The handler may be a coroutine itself, and have captures: its frames refer to the lambda, which the registry keeps at
// one address, and never replaces, until it dies. But the registry does not wait for calls in flight: whoever owns it
// sees to it that none is resumed afterwards (rpc::Server::stop(), then the end of the reactor).
//
// What a handler answers: a value; fail(Errc::invalid_argument, …), which the client sees as -32602; any other
// fail(), which it sees as the negative errno; or, when the handler returns Task<Response>, rpc::fail_code().
// Lives on one thread (app_thread), outlives every call. Includes nlohmann: headers say `class Registry;`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reactor/task.h"
#include "rpc/caller.h"
#include "rpc/describe.h"
#include "rpc/error.h"
#include "rpc/json.h"
#include "rpc/params.h"

namespace weft::rpc {

struct MethodSpec {
    std::string name;
    Role role = Role::admin;  // the least that may call it; what nobody thought about is the administrator's
    std::string text;
    States states = runtime;
    std::vector<std::string> aliases;  // earlier names: taken, with one warning in the log each
    std::string result = "true";
    Codes codes = {};  // of handlers that return Task<Result<Json>>; wrong parameters are always -32602
    // What it does is part of save_config, and so of the state directory.
    bool changes_config = false;
    // How rpc.py writes the parameters on a command line, where that is not --NAME VALUE: words as in
    // app/cli/rpc/rpc_grammar.cc ("pool lun block_size -u=uuid"). For modules, whose methods no client knows.
    std::string words;
};

// Who keeps the configuration (app/state): changes run through it.
class ConfigKeeper {
public:
    ConfigKeeper() = default;
    ConfigKeeper(const ConfigKeeper&) = delete;
    ConfigKeeper& operator=(const ConfigKeeper&) = delete;
    virtual ~ConfigKeeper() = default;

    // Runs `call`, of a method that changes the configuration, or refuses it; ends when what it changed is kept.
    virtual Task<Response> change(std::string method, Task<Response> call) = 0;
};

// Whose call it is. The allow list counts for clients only.
enum class CallOf : uint8_t {
    client,
    file,  // of a configuration file
    change,  // one of many that make up a change, which is kept as a whole
};

class AuditLog;

class Registry {
public:
    Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    ~Registry();

    // P is a struct with fields(), see rpc/params.h; NoParams for none. The handler's captures live as long as the
    // registry; its parameters until the task ends, whether it takes them by value or by reference.
    template <class P>
    void add(MethodSpec spec, std::move_only_function<Task<Result<Json>>(P&&)> handler);
    template <class P>
    void add(MethodSpec spec, std::move_only_function<Task<Response>(P&&)> handler);

    // A handler that answers each caller differently. The caller lives until the task ends.
    template <class P>
    void add(MethodSpec spec, std::move_only_function<Task<Result<Json>>(P&&, const Caller&)> handler);

    // Runs `add`, in which a module adds methods whose names may be taken: those are not added. Errors: those of `add`;
    // already_exists, naming the first.
    Result<void> add_foreign(std::move_only_function<Result<void>()> add);

    // Never fails otherwise than by its Response. `who` counts for clients only, and outlives the task: a method that
    // its role may not call is one that there is not.
    Task<Response> call(std::string method, Json params, CallOf caller = CallOf::client,
                        const Caller& who = own_program);
    // How many have not ended.
    [[nodiscard]] uint32_t calls_running() const { return calls_running_; }

    // startup until set_state(runtime).
    [[nodiscard]] States state() const { return state_; }
    void set_state(States state);

    // Only these can be called or seen by clients from now on (--rpcs-allowed); names that nobody adds do no harm.
    void set_allowed(std::set<std::string, std::less<>> names) { allowed_ = std::move(names); }

    // Changes of the configuration run through `keeper` from now on, which lives longer; nullptr: as other calls.
    void set_keeper(ConfigKeeper* keeper) { keeper_ = keeper; }

    // Calls of clients that do more than ask, and those that are refused, are noted there from now on; nullptr:
    // nowhere.
    void set_audit(AuditLog* audit) { audit_ = audit; }

    // By name. The allow list counts, and what `role` may call.
    [[nodiscard]] std::vector<MethodDescription> descriptions(Role role = Role::admin) const;
    // When `method`, or what it is an alias of, may be called; nullopt: there is no such method. The allow list does
    // not count.
    [[nodiscard]] std::optional<States> states_of(std::string_view method) const;

private:
    using Call = std::move_only_function<Task<Response>(const Json& params, const Caller& who)>;
    struct Method;

    void insert(MethodSpec spec, const Type& params, Call call);
    [[nodiscard]] Method* find(std::string_view name) const;
    [[nodiscard]] bool is_allowed(std::string_view name) const;
    // The method, if a client of that role may know of it.
    [[nodiscard]] Method* visible(std::string_view name, Role role) const;
    [[nodiscard]] RpcError not_found(std::string_view name, Role role) const;
    // `method` is null when there is none that may be called.
    Task<Response> perform(std::string_view name, Method* method, const Json& params, CallOf caller, const Caller& who);

    States state_ = States::startup;
    bool is_adding_foreign_ = false;
    std::string taken_name_;  // by add_foreign(): the first
    uint32_t calls_running_ = 0;
    ConfigKeeper* keeper_ = nullptr;
    AuditLog* audit_ = nullptr;
    std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
    struct Alias {
        Method* method = nullptr;
        bool warned = false;
    };
    std::map<std::string, Alias, std::less<>> aliases_;
    std::optional<std::set<std::string, std::less<>>> allowed_;
};

// rpc_get_methods, weft_describe_methods.
void add_rpc_methods(Registry& registry);

namespace registry_detail {

// Decodes, calls, and keeps the parameters until the handler is done. R is Result<Json> or Response.
template <class R, class P, class Handler, class... More>
Task<Response> invoke(Handler& handler, const Json& json, Codes codes, More&... more) {
    P params{};
    if (auto done = decode(type_of<P>(), json, &params); !done) co_return std::unexpected(std::move(done).error());
    R result = co_await handler(std::move(params), more...);
    if constexpr (std::is_same_v<R, Response>) {
        co_return result;
    } else {
        if (!result) co_return std::unexpected(error_of(std::move(result).error(), codes));
        co_return std::move(*result);
    }
}

}  // namespace registry_detail

template <class P>
void Registry::add(MethodSpec spec, std::move_only_function<Task<Result<Json>>(P&&)> handler) {
    const Codes codes = spec.codes;
    insert(std::move(spec), type_of<P>(),
           [handler = std::move(handler), codes](const Json& json, const Caller&) mutable {
               return registry_detail::invoke<Result<Json>, P>(handler, json, codes);
           });
}

template <class P>
void Registry::add(MethodSpec spec, std::move_only_function<Task<Result<Json>>(P&&, const Caller&)> handler) {
    const Codes codes = spec.codes;
    insert(std::move(spec), type_of<P>(),
           [handler = std::move(handler), codes](const Json& json, const Caller& who) mutable {
               return registry_detail::invoke<Result<Json>, P>(handler, json, codes, who);
           });
}

template <class P>
void Registry::add(MethodSpec spec, std::move_only_function<Task<Response>(P&&)> handler) {
    insert(std::move(spec), type_of<P>(), [handler = std::move(handler)](const Json& json, const Caller&) mutable {
        return registry_detail::invoke<Response, P>(handler, json, {});
    });
}

}  // namespace weft::rpc
