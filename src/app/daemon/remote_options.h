// The options of remote control: TLS, roles, audit.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace weft::app {

struct RemoteOptions {
    // Names of files in PEM; all or none.
    std::string certificate;
    std::string key;
    std::string authority;
    std::string roles;
    std::string audit;  // empty: nothing is written down
};

void declare_remote_options(CLI::App& app, RemoteOptions& options);

}  // namespace weft::app
