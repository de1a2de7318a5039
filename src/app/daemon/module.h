// Parts of the daemon that start and stop, each after those it depends on. The order follows from what they declare.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reactor/task.h"
#include "rpc/json_fwd.h"

namespace weft::app {

struct Module {
    std::string name;                      // as framework_get_subsystems shows it
    std::vector<std::string> depends_on;
    std::function<Task<Result<void>>()> start;
    std::function<Task<void>()> stop;
    std::function<void(Json& entries)> write_config;  // {method, params} entries; may be empty
};

// Lives on the app thread.
class Modules {
public:
    // Before start().
    void add(Module module) { modules_.push_back(std::move(module)); }
    // Starts all, dependencies first. When one fails, those already started are stopped again and its error is
    // returned with its name. Errors: also invalid_argument for a dependency that is missing or circular.
    Task<Result<void>> start();
    // Stops what was started, in reverse order.
    Task<void> stop();
    // In the order in which they start; before start(), as they were added.
    [[nodiscard]] const std::vector<Module>& all() const { return modules_; }

private:
    [[nodiscard]] Result<void> sort();
    std::vector<Module> modules_;
    size_t started_ = 0;
};

}  // namespace weft::app
