#include "app/cli/rpc/rpc_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "app/cli/rpc/rpc_address.h"
#include "app/cli/rpc/rpc_arguments.h"
#include "app/cli/rpc/rpc_config.h"
#include "app/cli/rpc/rpc_grammar.h"
#include "app/cli/rpc/rpc_words.h"
#include "app/cli/subcommand.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr env::TimeNs retry_after = 200 * env::ns_per_ms;
constexpr size_t line_bytes_max = size_t{1} << 20;

void say_help_for(const Error& error, const std::string& server) {
    fmt::print(stderr, "weft: {}\n", error.message);
    switch (error.code) {
        case Errc::connection_refused:
        case Errc::not_found:
            fmt::print(stderr, "Is weftd running, and is {} its socket? -s names another.\n", server);
            break;
        case Errc::permission_denied:
            if (server.starts_with("tls://")) break;
            fmt::print(stderr, "The socket's file says who may use it: run this as the user that weftd runs as.\n");
            break;
        default: break;
    }
}

std::string rpc_py_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

// rpc.py prints what was asked for, nothing when something was only done, and the names of what was made bare.
void print_as_rpc_py(std::string_view method, const Json& result) {
    const bool is_made = method.ends_with("_create") || canonical_name(method).ends_with("_create");
    if (is_made && result.is_string()) {
        fmt::print("{}\n", result.get<std::string>());
    } else if (result.is_structured() || result.is_string()) {
        fmt::print("{}\n", rpc_py_text(result));
    }
}

}  // namespace

Task<Result<std::unique_ptr<RpcSession>>> RpcSession::connect(RpcOptions options) {
    auto server = co_await RpcServer::find(options.server, options.tls, parse_rpc_address, options.port);
    if (!server) {
        fmt::print(stderr, "weft: {}\n", server.error().message);
        co_return std::unexpected(std::move(server).error());
    }
    const auto timeout = static_cast<env::TimeNs>(options.timeout_s * 1e9);
    for (uint32_t attempt = 0;; ++attempt) {
        auto client = co_await server->connect(timeout);
        if (client) {
            co_return std::unique_ptr<RpcSession>(new RpcSession(std::move(options), std::move(*client)));
        }
        if (attempt >= options.retries) {
            say_help_for(client.error(), options.server);
            co_return std::unexpected(std::move(client).error());
        }
        co_await sleep_for(retry_after);
    }
}

Task<rpc::Response> RpcSession::request(std::string method, Json params) {
    if (options_.is_verbose) {
        fmt::print(stderr, "request: {} {}\n", method, params.is_null() ? "" : dump_json_pretty(params));
    }
    rpc::Response answer = co_await client_->request(std::move(method), std::move(params), timeout());
    if (options_.is_verbose && answer) fmt::print(stderr, "response: {}\n", dump_json_pretty(*answer));
    co_return answer;
}

int RpcSession::report(const std::string& method, const Json& params, const rpc::RpcError& error) const {
    if (!options_.is_rpc_py) {
        fmt::print(stderr, "weft: {}: {} (code {})\n", method, error.message, error.code);
        return exit_failed;
    }
    Json request = params.is_object() ? params : Json::object();
    request["method"] = method;
    request["req_id"] = 1;
    const Json response{{"code", error.code}, {"message", error.message}};
    fmt::print("request:\n{}\nGot JSON-RPC error response\nresponse:\n{}\n", rpc_py_text(request),
               rpc_py_text(response));
    return exit_failed;
}

Task<int> RpcSession::list() {
    const rpc::Response answer = co_await request("rpc_get_methods", Json());
    if (!answer) co_return report("rpc_get_methods", Json(), answer.error());
    for (const Json& name : *answer) {
        if (name.is_string()) fmt::print("{}\n", name.get<std::string>());
    }
    co_return exit_ok;
}

Task<int> RpcSession::run(std::vector<std::string> words) {
    const std::string method = words.front();
    const std::span<const std::string> rest = std::span(words).subspan(1);
    if (is_config_command(method)) co_return co_await run_config_command(*this, method, rest);
    co_return co_await call(method, rest);
}

Task<int> RpcSession::call(const std::string& method, std::span<const std::string> words) {
    const bool wants_help =
        std::ranges::any_of(words, [](const auto& word) { return word == "--help" || word == "-h"; });
    const bool is_json = words.size() == 1 && (words[0].starts_with('{') || words[0].starts_with('['));
    std::optional<rpc::MethodDescription> description;
    if (wants_help || (!words.empty() && !is_json)) {
        // Servers other than weftd do not have this method: then values are what they look like.
        const Json params = {{"method", method}};
        const rpc::Response answer = co_await client_->request("weft_describe_methods", params, timeout());
        if (answer) description = description_of(*answer, method);
    }
    if (wants_help) {
        if (description) {
            fmt::print("{}", rpc::to_help(*description));
            co_return exit_ok;
        }
        fmt::print(stderr, "weft: the server has no description of '{}'; `weft rpc` lists its methods\n", method);
        co_return exit_failed;
    }
    auto params = rpc_params(words, method, description);
    if (!params) {
        // Nobody knows a misspelt method's forms: what the server says of its name helps more.
        if (!description && !co_await knows(method)) {
            const rpc::Response answer = co_await request(method, Json());
            if (!answer) co_return report(method, Json(), answer.error());
        }
        fmt::print(stderr, "weft: {}: {}\n", method, params.error().message);
        co_return exit_failed;
    }
    const rpc::Response answer = co_await request(method, *params);
    if (!answer) co_return report(method, *params, answer.error());
    if (options_.is_rpc_py) {
        print_as_rpc_py(method, *answer);
    } else {
        fmt::print("{}\n", dump_json_pretty(*answer));
    }
    co_return exit_ok;
}

Task<bool> RpcSession::knows(const std::string& method) {
    const rpc::Response names =
        co_await client_->request("rpc_get_methods", Json{{"include_aliases", true}}, timeout());
    co_return !names || std::ranges::find(*names, Json(method)) != names->end();
}

Task<std::optional<int>> RpcSession::run_script() {
    bool is_empty = true;
    for (;;) {
        auto line = co_await read_input_line();
        if (line && !*line) co_return is_empty ? std::nullopt : std::optional(exit_ok);
        is_empty = false;
        auto words = line ? split_line(**line) : Result<std::vector<std::string>>(std::unexpected(line.error()));
        if (!words) {
            fmt::print(stderr, "weft: standard input: {}\n", words.error().message);
            co_return exit_failed;
        }
        if (words->empty() || words->front().starts_with('#')) continue;
        if (const int status = co_await run(std::move(*words)); status != exit_ok) {
            fmt::print(stderr, "weft: the command was: {}\n", **line);
            co_return status;
        }
    }
}

Task<int> RpcSession::run_server() {
    for (;;) {
        auto line = co_await read_input_line();
        if (line && !*line) co_return exit_ok;
        auto words = line ? split_line(**line) : Result<std::vector<std::string>>(std::unexpected(line.error()));
        int status = exit_failed;
        if (!words) {
            fmt::print(stderr, "weft: standard input: {}\n", words.error().message);
        } else if (!words->empty()) {
            status = co_await run(std::move(*words));
        }
        fmt::print("**STATUS={}\n", status);
        std::fflush(stdout);
        if (!line) co_return exit_failed;
    }
}

Task<Result<std::optional<std::string>>> read_input_line() {
    return offload([]() -> Result<std::optional<std::string>> {
        std::string line;
        for (int byte = std::fgetc(stdin); byte != EOF && byte != '\n'; byte = std::fgetc(stdin)) {
            if (line.size() == line_bytes_max) return fail(Errc::invalid_argument, "a line of more than 1 MiB");
            line += static_cast<char>(byte);
        }
        if (line.empty() && std::feof(stdin) != 0) return std::nullopt;
        return line;
    });
}

}  // namespace weft::cli
