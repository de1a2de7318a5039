#include "app/daemon/remote_options.h"

#include <CLI/CLI.hpp>

namespace weft::app {

void declare_remote_options(CLI::App& app, RemoteOptions& options) {
    app.add_option("--rpc-tls-cert", options.certificate, "For -r tls://…: the certificate of this target (PEM)");
    app.add_option("--rpc-tls-key", options.key, "Its private key (PEM); readable by nobody else");
    app.add_option("--rpc-tls-ca", options.authority, "The authority that signs clients' certificates (PEM)");
    app.add_option("--rpc-roles", options.roles,
                   "Which certificate may do what: lines of CN=…, DNS:… or URI:…, and read, operate or admin");
    app.add_option("--audit", options.audit,
                   "Append a line of JSON for each RPC call that does more than ask, or is refused, to this file");
}

}  // namespace weft::app
