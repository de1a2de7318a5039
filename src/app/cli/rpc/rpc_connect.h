// Connecting to a server of JSON-RPC, plain or through TLS: what all subcommands that call one share.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "env/address.h"
#include "net/tls.h"
#include "reactor/task.h"
#include "rpc/client.h"

namespace CLI {
class App;
}

namespace weft::cli {

// Files in PEM, by option or by the environment (WEFT_TLS_CERT …).
struct TlsOptions {
    std::string certificate;
    std::string key;
    std::string authority;
    std::string name;  // what the server's certificate is for; empty: the address
};
void declare_tls_options(CLI::App& sub, TlsOptions& options);

// Where a server is, and what connecting takes; made once, used for as many connections as one likes.
class RpcServer {
public:
    // `text`: "tls://ADDRESS:PORT", else what `plain` makes an address of. Blocks, to read files. Errors:
    // invalid_argument, those of files.
    static Task<Result<RpcServer>> find(const std::string& text, const TlsOptions& options,
                                        Result<env::Address> (*plain)(const std::string& text, uint16_t port),
                                        uint16_t port = 0);
    Task<Result<std::unique_ptr<rpc::Client>>> connect(env::TimeNs timeout) const;

private:
    env::Address address_;
    std::unique_ptr<net::TlsContext> context_;  // null: plain
    std::string name_;
};

}  // namespace weft::cli
