// The reactors of one run of the command line: a control reactor on the calling OS thread, and, for loads, data
// reactors on threads of their own.
#pragma once

#include <functional>
#include <vector>

#include "reactor/runtime.h"

namespace weft::cli {

struct SessionOptions {
    std::vector<size_t> data_cpus;          // one pinned data reactor each
    env::TimeNs data_spin = 2 * env::ns_per_s;   // a load generator does not sleep between two answers
};

// Runs `body` on the control reactor's thread until it ends; returns its exit code, or 1 with a message on
// standard error when there can be no reactors.
int run_session(const SessionOptions& options, std::move_only_function<Task<int>(Runtime& runtime)> body);

}  // namespace weft::cli
