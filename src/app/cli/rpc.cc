// weft rpc: one call to a server that speaks JSON-RPC.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/cli/rpc_address.h"
#include "app/cli/rpc_arguments.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "rpc/client.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

class Rpc final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        sub_ = app.add_subcommand("rpc", "Call a method of a running server");
        sub_->add_option("-s,--socket", socket_, "Socket of the server: a path, or ADDRESS:PORT")
            ->capture_default_str();
        sub_->add_option("-t,--timeout", timeout_s_, "Seconds to wait for the answer")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        sub_->prefix_command();  // what follows the method is the method's
        sub_->footer(
            "weft rpc [OPTIONS] [METHOD [--param value ... | '{\"json\": \"object\"}']]\n"
            "`weft rpc` alone lists the methods, `weft rpc METHOD --help` says what one takes.\n"
            "Example: weft rpc bdev_malloc_create --name Malloc0 --num_blocks 131072 --block_size 512");
        return sub_;
    }

    int run() override {
        words_ = sub_->remaining();
        return run_session({}, [this](Runtime&) { return execute(); });
    }

private:
    int report(const Error& error) {
        fmt::print(stderr, "weft: {}\n", error.message);
        switch (error.code) {
            case Errc::connection_refused:
            case Errc::not_found:
                fmt::print(stderr, "Is weftd running, and is {} its socket? -s names another.\n", socket_);
                break;
            case Errc::permission_denied:
                fmt::print(stderr, "The socket's file says who may use it: run this as the user that weftd runs as.\n");
                break;
            default: break;
        }
        return exit_failed;
    }

    Task<int> execute() {
        auto address = parse_rpc_address(socket_);
        if (!address) co_return report(address.error());
        auto client = co_await rpc::Client::connect(*address, timeout());
        if (!client) co_return report(client.error());
        if (words_.empty()) co_return co_await list(**client);
        co_return co_await call(**client);
    }

    [[nodiscard]] env::TimeNs timeout() const { return static_cast<env::TimeNs>(timeout_s_ * 1e9); }

    Task<int> list(rpc::Client& client) {
        rpc::Response answer = co_await client.request("rpc_get_methods", Json(), timeout());
        if (!answer) co_return report({Errc::io_error, answer.error().message});
        for (const Json& name : *answer) {
            if (name.is_string()) fmt::print("{}\n", name.get<std::string>());
        }
        co_return exit_ok;
    }

    Task<int> call(rpc::Client& client) {
        const std::string method = words_.front();
        const std::span<const std::string> rest = std::span(words_).subspan(1);
        const bool wants_help =
            std::ranges::any_of(rest, [](const auto& word) { return word == "--help" || word == "-h"; });
        const bool is_json = rest.size() == 1 && (rest[0].starts_with('{') || rest[0].starts_with('['));
        std::optional<rpc::MethodDescription> description;
        if (wants_help || (!rest.empty() && !is_json)) {
            // Servers other than weftd do not have this method: then values are what they look like.
            const Json params = {{"method", method}};
            const rpc::Response answer = co_await client.request("weft_describe_methods", params, timeout());
            if (answer) description = description_of(*answer, method);
        }
        if (wants_help) co_return help(method, description);
        auto params = rpc_params(rest, description);
        if (!params) co_return report({params.error().code, fmt::format("{}: {}", method, params.error().message)});
        const rpc::Response answer = co_await client.request(method, std::move(*params), timeout());
        if (!answer) {
            fmt::print(stderr, "weft: {}: {} (code {})\n", method, answer.error().message, answer.error().code);
            co_return exit_failed;
        }
        fmt::print("{}\n", dump_json_pretty(*answer));
        co_return exit_ok;
    }

    static int help(const std::string& method, const std::optional<rpc::MethodDescription>& description) {
        if (description) {
            fmt::print("{}", rpc::to_help(*description));
            return exit_ok;
        }
        fmt::print(stderr, "weft: the server has no description of '{}'; `weft rpc` lists its methods\n", method);
        return exit_failed;
    }

    CLI::App* sub_ = nullptr;
    std::string socket_ = default_rpc_socket;
    double timeout_s_ = 60;
    std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Subcommand> make_rpc() { return std::make_unique<Rpc>(); }

}  // namespace weft::cli
