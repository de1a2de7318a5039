// The block devices of a configuration file, in this process: for the subcommands that use devices without a target.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/cli/session.h"
#include "app/daemon/daemon.h"

namespace CLI {
class App;
}

namespace weft::cli {

struct DeviceOptions {
    std::string config_file;
    std::vector<std::string> module_files;
    std::vector<std::string> rpc_addresses;  // where it is served; none: nowhere
};

// Declares -c and --module.
void add_device_options(CLI::App& app, DeviceOptions& options);

// Makes the devices, without a target, runs `body` on the app thread, and takes all down again. Returns the exit code
// of `body`, or 1 with a message on standard error. `prepare` is called before the start: for methods of one's own;
// may be empty.
int run_with_devices(const SessionOptions& session, const DeviceOptions& options,
                     std::move_only_function<Task<int>(app::Daemon& daemon)> body,
                     std::move_only_function<void(app::Daemon& daemon)> prepare = {});

}  // namespace weft::cli
