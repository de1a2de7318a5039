// Which target, and as whom: the options that all NVMe subcommands share.
#pragma once

#include "nvme_host/target_options.h"

namespace CLI {
class App;
}

namespace weft::cli {

using nvme_host::controller_options;
using nvme_host::TargetOptions;

// `with_short_trtype`: -t is free for --trtype.
void add_target_options(CLI::App& app, TargetOptions& options, bool with_short_trtype);

// Prints "weft: message" and, where it is known, what to do about it. Returns the exit code.
int report(const Error& error, const TargetOptions& given);

}  // namespace weft::cli
