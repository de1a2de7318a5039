// One connection to an RPC server, and the commands that go over it: from the command line, or line by line from
// standard input.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/cli/rpc/rpc_connect.h"
#include "rpc/client.h"
#include "rpc/describe.h"

namespace weft::cli {

struct RpcOptions {
    std::string server = "/var/tmp/spdk.sock";  // a path, an address with -p, ADDRESS:PORT, tls://ADDRESS:PORT
    uint16_t port = 5260;                       // for a server that is an address
    TlsOptions tls;
    double timeout_s = 60;
    uint32_t retries = 0;      // attempts to connect after the first, 0.2 s apart
    bool is_verbose = false;   // requests and answers on standard error
    bool is_rpc_py = false;    // print as the field's rpc.py does
};

class RpcSession {
public:
    // Errors: those of connecting, said on standard error too.
    static Task<Result<std::unique_ptr<RpcSession>>> connect(RpcOptions options);

    // A method and its parameters as words; prints the answer. Returns the exit code.
    Task<int> run(std::vector<std::string> words);
    // Commands from standard input, one a line, until one fails; "#" begins a comment. nullopt: there was none.
    Task<std::optional<int>> run_script();
    // The same for rpc.py's --server: each answer ends with a line "**STATUS=n", and failures end nothing.
    Task<int> run_server();
    // The names of the methods there are, one a line.
    Task<int> list();

    // One call, told on standard error when verbose.
    Task<rpc::Response> request(std::string method, Json params);
    // Says what the server answered, in the form that was asked for. Returns the exit code.
    int report(const std::string& method, const Json& params, const rpc::RpcError& error) const;
    [[nodiscard]] const RpcOptions& options() const { return options_; }

private:
    RpcSession(RpcOptions options, std::unique_ptr<rpc::Client> client)
        : options_(std::move(options)), client_(std::move(client)) {}
    [[nodiscard]] env::TimeNs timeout() const { return static_cast<env::TimeNs>(options_.timeout_s * 1e9); }
    // Whether the server has it; true when it does not say.
    Task<bool> knows(const std::string& method);
    Task<int> call(const std::string& method, std::span<const std::string> words);

    const RpcOptions options_;
    std::unique_ptr<rpc::Client> client_;
};

// A line of standard input without its end; nullopt at the end. Errors: invalid_argument for one of more than 1 MiB.
Task<Result<std::optional<std::string>>> read_input_line();

}  // namespace weft::cli
