// Memory with a name, that other processes can read while its owner lives, and that is still there when its owner was
// killed.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::env {

// Zero-filled, all of it taken from the system at once. Unmapped by the destructor, which takes the name away too.
class SharedMemory {
public:
    SharedMemory() = default;
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    virtual ~SharedMemory() = default;

    // Aligned to a page.
    [[nodiscard]] virtual MutableBytes bytes() const = 0;
    [[nodiscard]] virtual const std::string& path() const = 0;
};

// Where memory named `name` is to be found: a file.
std::string shared_memory_path(const std::string& name);

// A file that somebody else may be writing, mapping or cutting off, read in pieces.
class FileView {
public:
    FileView() = default;
    FileView(const FileView&) = delete;
    FileView& operator=(const FileView&) = delete;
    virtual ~FileView() = default;

    virtual Result<uint64_t> size_bytes() = 0;
    // Fills `into` from `offset`; fewer bytes only where the file ends. Returns how many.
    virtual Result<size_t> read(uint64_t offset, MutableBytes into) = 0;
};

// For reading; an ordinary file. Errors: what the system refused; invalid_argument when it is something else.
Result<std::unique_ptr<FileView>> open_file_view(const std::string& path);

}  // namespace weft::env
