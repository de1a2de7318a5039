// Shared memory of the kernel: files in /dev/shm.
#pragma once

#include "env/shared_memory.h"

namespace weft::env {

// See Environment::make_shared_memory.
Result<std::unique_ptr<SharedMemory>> make_linux_shared_memory(const std::string& name, size_t size_bytes);

}  // namespace weft::env
