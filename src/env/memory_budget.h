// What this process may map for data: pools, RAM disks, receive buffers, and what others count against it. One for the
// process, as its memory is. map_memory() asks it by itself. Any thread; not on the way of an I/O.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace weft::env {

// 0: no limit but the system's. Once, at the start.
void set_memory_budget(uint64_t bytes);
[[nodiscard]] uint64_t memory_budget();
[[nodiscard]] uint64_t memory_taken();

// Errors: no_memory, with what is taken and of how much. `what` is for a person: "a RAM disk of 64 MiB".
Result<void> take_memory(uint64_t bytes, const std::string& what);
void give_memory(uint64_t bytes);

// Memory that is counted as long as this lives.
class MemoryShare {
public:
    MemoryShare() = default;
    MemoryShare(MemoryShare&& other) noexcept;
    MemoryShare& operator=(MemoryShare&& other) noexcept;
    MemoryShare(const MemoryShare&) = delete;
    MemoryShare& operator=(const MemoryShare&) = delete;
    ~MemoryShare();
    // Errors: no_memory.
    static Result<MemoryShare> take(uint64_t bytes, const std::string& what);
    // From now on it is somebody else's to give back.
    void keep() { bytes_ = 0; }

private:
    uint64_t bytes_ = 0;
};

}  // namespace weft::env
