// weft rpc: calls to a server that speaks JSON-RPC. Takes the field's rpc.py's command lines too, and is rpc.py when
// it is called by that name.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "app/cli/number_range.h"
#include "app/cli/rpc/rpc_session.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"

namespace weft::cli {

namespace {

// Commands come from a file or from another program. A terminal has none to give, and no more has /dev/null.
bool has_input() {
    std::error_code error;
    const auto type = std::filesystem::status("/dev/stdin", error).type();
    using std::filesystem::file_type;
    return !error && (type == file_type::regular || type == file_type::fifo || type == file_type::socket);
}

class Rpc final : public Subcommand {
public:
    explicit Rpc(bool is_rpc_py) { options_.is_rpc_py = is_rpc_py; }

    CLI::App* declare(CLI::App& app) override {
        sub_ = app.add_subcommand("rpc", "Call a method of a running server");
        sub_->add_option("-s,--socket", options_.server,
                         "Socket of the server: a path, an address, ADDRESS:PORT, or tls://ADDRESS:PORT")
            ->capture_default_str();
        declare_tls_options(*sub_, options_.tls);
        sub_->add_option("-p,--port", options_.port, "Its port, when -s is an address")->capture_default_str();
        sub_->add_option("-t,--timeout", options_.timeout_s, "Seconds to wait for the answer")
            ->check(number_range(0.001, 1e6))
            ->capture_default_str();
        sub_->add_option("-r,--retries", options_.retries, "How often to try again to connect, every 0.2 s")
            ->check(CLI::Range(0, 1'000'000))
            ->capture_default_str();
        sub_->add_flag("-v", options_.is_verbose, "Show requests and answers on standard error");
        sub_->add_option("--verbose", verbosity_, "DEBUG or INFO: as -v; ERROR: not")
            ->check(CLI::IsMember({"DEBUG", "INFO", "ERROR"}));
        sub_->add_option("--plugin", plugin_,
                         "Accepted: the methods of modules are known by what the server says of them");
        sub_->add_flag("--server", is_server_,
                       "Commands from standard input, each answered with **STATUS=n at the end");
        sub_->prefix_command();  // what follows the method is the method's
        sub_->footer(
            "weft rpc [OPTIONS] [METHOD [ARGUMENTS | --param value ... | '{\"json\": \"object\"}']]\n"
            "`weft rpc` alone lists the methods, or does the commands that it reads from a file or a pipe, one a "
            "line.\n"
            "`weft rpc METHOD --help` says what one takes. The command lines of the field's rpc.py work as they are.\n"
            "Example: weft rpc bdev_malloc_create --name Malloc0 --num_blocks 131072 --block_size 512\n"
            "         weft rpc bdev_malloc_create -b Malloc0 64 512");
        return sub_;
    }

    int run() override {
        words_ = sub_->remaining();
        if (!verbosity_.empty()) options_.is_verbose = verbosity_ != "ERROR";
        return run_session({}, [this](Runtime&) { return execute(); });
    }

private:
    Task<int> execute() {
        auto session = co_await RpcSession::connect(options_);
        if (!session) co_return exit_failed;
        if (is_server_) co_return co_await (*session)->run_server();
        if (!words_.empty()) co_return co_await (*session)->run(words_);
        if (has_input()) {
            if (const auto status = co_await (*session)->run_script()) co_return *status;
        }
        co_return co_await (*session)->list();
    }

    CLI::App* sub_ = nullptr;
    RpcOptions options_;
    std::string verbosity_;
    std::string plugin_;
    bool is_server_ = false;
    std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Subcommand> make_rpc(bool is_rpc_py) { return std::make_unique<Rpc>(is_rpc_py); }

}  // namespace weft::cli
