#include "app/cli/rpc/rpc_config.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <set>

#include "app/cli/rpc/rpc_session.h"
#include "app/cli/rpc/rpc_words.h"
#include "app/cli/subcommand.h"
#include "env/environment.h"
#include "reactor/reactor.h"
#include "rpc/absent_modules.h"
#include "rpc/config.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr size_t config_bytes_max = size_t{64} << 20;

Grammar grammar_of_command(std::string_view name) {
    using Kind = GrammarTarget::Kind;
    Grammar grammar{.method = name};
    if (name.starts_with("save")) {
        grammar.options = {{"-i", "indent"},
                           {"--indent", "indent"},
                           {"--with-batches", "with_batches", Kind::flag},
                           {"--no-with-batches", "with_batches", Kind::flag_off}};
        if (name == "save_config") {
            grammar.options.push_back({"-s", "subsystems", Kind::list});
            grammar.options.push_back({"--subsystems", "subsystems", Kind::list});
        } else {
            grammar.options.push_back({"-n", "name"});
            grammar.options.push_back({"--name", "name"});
        }
    } else {
        grammar.options = {{"-j", "json_conf"},
                           {"--json-conf", "json_conf"},
                           {"--json_conf", "json_conf"},
                           {"-i", "include_aliases", Kind::flag},
                           {"--include-aliases", "include_aliases", Kind::flag}};
    }
    return grammar;
}

struct Settings {
    int indent = 2;
    std::set<std::string, std::less<>> subsystems;
    std::string name;
    std::string file;  // empty: standard input
};

Result<Settings> read_settings(std::string_view command, std::span<const std::string> words) {
    const Grammar grammar = grammar_of_command(command);
    const auto arguments = read_words(words, &grammar, nullptr);
    if (!arguments) return std::unexpected(arguments.error());
    Settings settings;
    for (const Argument& argument : *arguments) {
        const std::string value = argument.value.value_or("");
        if (argument.name == "indent") {
            const char* const end = value.data() + value.size();
            const auto [rest, error] = std::from_chars(value.data(), end, settings.indent);
            if (error != std::errc{} || rest != end || settings.indent > 16) {
                return fail(Errc::invalid_argument, fmt::format("-i '{}': a number up to 16 is wanted", value));
            }
        } else if (argument.name == "subsystems") {
            for (std::string_view left = value; !left.empty();) {
                const size_t comma = left.find(',');
                settings.subsystems.emplace(left.substr(0, comma));
                left = comma == std::string_view::npos ? std::string_view{} : left.substr(comma + 1);
            }
        } else if (argument.name == "name") {
            settings.name = value;
        } else if (argument.name == "json_conf") {
            settings.file = value;
        } else if (argument.name != "with_batches" && argument.name != "include_aliases") {
            return fail(Errc::invalid_argument, fmt::format("--{}: no such option", argument.name));
        }
    }
    if (command == "save_subsystem_config" && settings.name.empty()) {
        return fail(Errc::invalid_argument, "-n is missing: the name of the subsystem");
    }
    return settings;
}

void print_json(const Json& json, int indent) {
    fmt::print("{}\n", indent < 0 ? dump_json(json) : json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

// With those that they depend on.
void add_dependencies(const Json& subsystems, std::set<std::string, std::less<>>& names) {
    for (bool has_grown = true; has_grown;) {
        has_grown = false;
        for (const Json& one : subsystems) {
            if (!names.contains(one.value("subsystem", ""))) continue;
            for (const Json& needed : one.value("depends_on", Json::array())) {
                if (needed.is_string()) has_grown |= names.insert(needed.get<std::string>()).second;
            }
        }
    }
}

Task<int> save(RpcSession& session, Settings settings) {
    const rpc::Response subsystems = co_await session.request("framework_get_subsystems", Json());
    if (!subsystems) co_return session.report("framework_get_subsystems", Json(), subsystems.error());
    add_dependencies(*subsystems, settings.subsystems);
    Json list = Json::array();
    for (const Json& one : *subsystems) {
        const std::string name = one.value("subsystem", "");
        if (!settings.subsystems.empty() && !settings.subsystems.contains(name)) continue;
        const Json params{{"name", name}};
        rpc::Response config = co_await session.request("framework_get_config", params);
        if (!config) co_return session.report("framework_get_config", params, config.error());
        list.push_back({{"subsystem", name}, {"config", std::move(*config)}});
    }
    print_json(Json{{"subsystems", std::move(list)}}, settings.indent);
    co_return exit_ok;
}

Task<int> save_subsystem(RpcSession& session, Settings settings) {
    const Json params{{"name", settings.name}};
    rpc::Response config = co_await session.request("framework_get_config", params);
    if (!config) co_return session.report("framework_get_config", params, config.error());
    print_json(Json{{"subsystem", settings.name}, {"config", std::move(*config)}}, settings.indent);
    co_return exit_ok;
}

Task<Result<std::string>> read_file(const std::string& path) {
    if (!path.empty() && path != "-") {
        env::Files& files = Reactor::current().environment().files();
        co_return co_await offload([&files, &path] { return files.read_all(path, config_bytes_max); });
    }
    std::string text;
    for (;;) {
        auto line = co_await read_input_line();
        if (!line) co_return std::unexpected(std::move(line).error());
        if (!*line) co_return text;
        text += **line + "\n";
        if (text.size() > config_bytes_max) co_return fail(Errc::invalid_argument, "more than 64 MiB");
    }
}

// Calls what may be called now, starts the framework if it has not started, and calls the rest. What may not be called
// any more is skipped, and told; so are options of modules that are not there.
class Loader {
public:
    Loader(RpcSession& session, std::vector<rpc::ConfigCall> calls)
        : session_(session), calls_(std::move(calls)), done_(calls_.size()) {}

    Task<int> run() {
        int status = co_await pass();
        if (status == exit_ok && now_.contains("framework_start_init")) {
            const rpc::Response started = co_await session_.request("framework_start_init", Json());
            if (!started) co_return session_.report("framework_start_init", Json(), started.error());
            status = co_await pass();
        }
        if (status != exit_ok) co_return status;
        for (size_t at = 0; at < calls_.size(); ++at) {
            if (!done_[at]) status = co_await tell_left_out(calls_[at]);
            if (status != exit_ok) co_return status;
        }
        co_return exit_ok;
    }

private:
    Task<int> pass() {
        const Json params{{"current", true}, {"include_aliases", true}};
        rpc::Response methods = co_await session_.request("rpc_get_methods", params);
        if (!methods) co_return session_.report("rpc_get_methods", params, methods.error());
        now_.clear();
        for (const Json& name : *methods) {
            if (name.is_string()) now_.insert(name.get<std::string>());
        }
        for (size_t at = 0; at < calls_.size(); ++at) {
            if (done_[at] || !now_.contains(calls_[at].method)) continue;
            done_[at] = true;
            const rpc::Response answer = co_await session_.request(calls_[at].method, calls_[at].params);
            if (!answer) co_return session_.report(calls_[at].method, calls_[at].params, answer.error());
        }
        co_return exit_ok;
    }

    Task<int> tell_left_out(const rpc::ConfigCall& call) {
        const std::string where = fmt::format("entry {} ({})", call.number, call.method);
        if (const std::string_view reason = rpc::reason_to_skip(call.method); !reason.empty()) {
            fmt::print(stderr, "weft: {}: skipped: {}\n", where, reason);
            co_return exit_ok;
        }
        const rpc::Response all = co_await session_.request("rpc_get_methods", Json{{"include_aliases", true}});
        if (!all) co_return session_.report("rpc_get_methods", Json(), all.error());
        for (const Json& name : *all) {
            if (name != Json(call.method)) continue;
            fmt::print(stderr, "weft: {}: skipped: it may only be called before the framework starts\n", where);
            co_return exit_ok;
        }
        fmt::print(stderr, "weft: {}: the server has no such method\n", where);
        co_return exit_failed;
    }

    RpcSession& session_;
    std::vector<rpc::ConfigCall> calls_;
    std::vector<bool> done_;
    std::set<std::string, std::less<>> now_;
};

Task<int> load(RpcSession& session, Settings settings, bool is_one_subsystem) {
    auto text = co_await read_file(settings.file);
    if (!text) {
        fmt::print(stderr, "weft: {}\n", text.error().message);
        co_return exit_failed;
    }
    // One subsystem's file is an element of the list.
    auto calls = rpc::parse_config(is_one_subsystem ? fmt::format("{{\"subsystems\":[{}]}}", *text) : *text);
    if (!calls) {
        fmt::print(stderr, "weft: {}\n", calls.error().message);
        co_return exit_failed;
    }
    Loader loader(session, std::move(*calls));
    co_return co_await loader.run();
}

}  // namespace

bool is_config_command(std::string_view name) {
    return name == "save_config" || name == "load_config" || name == "save_subsystem_config" ||
           name == "load_subsystem_config";
}

Task<int> run_config_command(RpcSession& session, std::string name, std::span<const std::string> words) {
    auto settings = read_settings(name, words);
    if (!settings) {
        fmt::print(stderr, "weft: {}: {}\n", name, settings.error().message);
        co_return exit_failed;
    }
    if (name == "save_config") co_return co_await save(session, std::move(*settings));
    if (name == "save_subsystem_config") co_return co_await save_subsystem(session, std::move(*settings));
    co_return co_await load(session, std::move(*settings), name == "load_subsystem_config");
}

}  // namespace weft::cli
