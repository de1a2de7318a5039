// The configuration file, in SPDK's format: the calls that bring a target to its state, in order.
//
//   {"subsystems": [{"subsystem": "bdev", "config": [{"method": "bdev_malloc_create", "params": {…}}, …]}, …]}
//
// An array in place of a call is a batch: its calls may run at the same time. "config" may be null.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reactor/task.h"
#include "rpc/json.h"
#include "rpc/registry.h"

namespace weft::rpc {

struct ConfigCall {
    size_t number = 0;  // of the call in the file, from 1: what messages name
    std::string subsystem;
    std::string method;
    Json params;       // null: none
    size_t batch = 0;  // calls with the same number, which is not 0, stand in one batch
};

// Errors: invalid_argument, naming the place.
Result<std::vector<ConfigCall>> parse_config(std::string_view text);
// Takes the parameters out of `root`.
Result<std::vector<ConfigCall>> parse_config(Json& root);

struct ApplyOptions {
    bool ignore_errors = false;                // log what failed, go on
    bool ignore_unknown_with_warning = false;  // methods that this program does not have
    bool is_within_change = false;             // of the configuration's keeper, which keeps all calls as one
    // Why a method that this program does not have may be left out without harm, as an option of a module that is not
    // there may; empty: it may not. nullptr: none may.
    std::string_view (*reason_to_skip)(std::string_view method) = nullptr;
};

// Calls all that may be called at startup, then `start` (framework start, which sets the registry's state), then the
// rest. `start` is left out when the state is runtime already. The allow list is for clients: it does not count here.
// Errors: of the first call that failed, naming it.
Task<Result<void>> apply_config(Registry& registry, std::vector<ConfigCall> calls, ApplyOptions options,
                                std::move_only_function<Task<Result<void>>()> start);

}  // namespace weft::rpc
