// Tracing of the daemon: the memory that it goes to, and which tracepoints are on. Lives on the app thread; dies when
// no reactor runs any more.
#pragma once

#include <memory>
#include <string>

#include "base/trace.h"
#include "base/trace_selection.h"
#include "env/shared_memory.h"
#include "reactor/runtime.h"
#include "reactor/task.h"

namespace weft::rpc {
class Registry;
}

namespace weft::app {

class Tracing {
public:
    // `entries` for each reactor; 0: there is no tracing.
    Tracing(Runtime& runtime, uint32_t entries);
    Tracing(const Tracing&) = delete;
    Tracing& operator=(const Tracing&) = delete;
    // Removes the file.
    ~Tracing();

    // Switches tracepoints on. The first time this makes the memory. Errors: not_supported without entries; what the
    // system refused, and then nothing is on that was not.
    Task<Result<void>> switch_on(trace::Selection selection);
    static void switch_off(trace::Group group, uint64_t mask);
    // What was traced so far counts no more.
    void clear();
    // Where the memory is from the first tracepoint on; "" without entries.
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    Task<Result<void>> make_memory();

    Runtime& runtime_;
    const uint32_t entries_;
    std::string name_;
    std::string path_;
    bool is_being_made_ = false;
    WaitList made_;
    std::unique_ptr<env::SharedMemory> shared_;
    std::unique_ptr<trace::Memory> memory_;
};

// trace_*
void add_trace_methods(rpc::Registry& registry, Tracing& tracing);

}  // namespace weft::app
