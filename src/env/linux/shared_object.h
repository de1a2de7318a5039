// A shared library that becomes part of this program while it starts. Before privileges are dropped: afterwards no
// memory may be made that is code. Blocks.
#pragma once

#include <string>

#include "base/result.h"

namespace weft::env {

inline constexpr size_t shared_object_bytes_max = size_t{512} << 20;

// The bytes of the file, of which nothing has run. Errors: those of reading; invalid_argument when it is no shared
// library for this machine, or empty, or larger than shared_object_bytes_max; permission_denied when anybody may write
// it.
Result<std::string> read_shared_object(const std::string& path);

// Stays in the process until it ends: there is no unloading.
class SharedObject {
public:
    // Maps the file, finds all that it wants of this program and of other libraries, and runs its constructors.
    // Errors: invalid_argument with what the system says, as the first name that it did not find.
    static Result<SharedObject> load(const std::string& path);
    // What the library, or one that it needs, calls `name`; nullptr when there is no such name.
    [[nodiscard]] void* find(const char* name) const;

private:
    explicit SharedObject(void* handle) : handle_(handle) {}
    void* handle_;
};

}  // namespace weft::env
