// The world as a reactor sees it: the only way to clock, sockets, files, memory mappings, randomness and
// other threads. make_linux_environment() gives the real one, sim/world.h the simulated one; both run the
// same reactors, because these calls are made per batch and never per I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/mpsc_queue.h"
#include "env/clock.h"
#include "env/files.h"
#include "env/network.h"
#include "env/service_directory.h"
#include "env/shared_memory.h"

namespace weft::env {

// Anonymous memory, unmapped by the destructor. Zero-filled.
class Mapping {
public:
    Mapping() = default;
    Mapping(std::byte* start, size_t size_bytes, int descriptor) : start_(start), size_(size_bytes), fd_(descriptor) {}
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    [[nodiscard]] std::byte* data() const { return start_; }
    [[nodiscard]] size_t size() const { return size_; }
    // The memfd behind it when it was made shared, else -1.
    [[nodiscard]] int descriptor() const { return fd_; }

private:
    std::byte* start_ = nullptr;
    size_t size_ = 0;
    int fd_ = -1;
};

enum class Sharing : uint8_t {
    never,
    always,         // a memfd, so that another process can be given it
    unless_slower,  // a memfd, but where only private memory gets huge pages (as most systems have it)
};

struct MappingOptions {
    std::string name;         // shown in /proc for shared ones
    Sharing sharing = Sharing::never;
    bool huge_pages = true;   // ask for transparent huge pages
};

// Maps `size_bytes` (rounded up to pages) aligned to 2 MiB. Errors: no_memory.
Result<Mapping> map_memory(size_t size_bytes, const MappingOptions& options);

// Gets the memory of the pages in `range` (start page-aligned) from the system now; what they hold stays. Safe while
// others use them. Takes long: a second a gigabyte.
void populate(MutableBytes range);

// Work that may block, done away from the reactors. Owned by who submits it; `work` runs on another OS thread,
// then `done` is called there too and passes the word on (a reactor's post()). In simulation both run inline.
struct OffloadJob {
    std::move_only_function<void()> work;
    std::move_only_function<void()> done;
};

struct ThreadOptions {
    std::string name;  // at most 15 characters are shown by the system
    int cpu = -1;      // pinned to it; -1: any of those the process had at start
};

class Environment {
public:
    Environment() = default;
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    virtual ~Environment() = default;

    virtual Clock& clock() = 0;
    virtual Random& random() = 0;
    virtual Network& network() = 0;
    virtual Files& files() = 0;
    virtual Result<std::unique_ptr<Waiter>> make_waiter() = 0;
    // On the OS thread that will use it: io_uring with a single issuer refuses others. Threads and kernel workers
    // that serve it stay off the CPU the calling thread is pinned to, if there are more.
    virtual Result<std::unique_ptr<FileQueue>> make_file_queue() = 0;
    // Memory for others to read, named `name` (no slashes). What a dead process left under that name is removed.
    // Errors: no_space, permission_denied.
    virtual Result<std::unique_ptr<SharedMemory>> make_shared_memory(const std::string& name, size_t size_bytes) = 0;
    virtual std::unique_ptr<ServiceDirectory> make_service_directory() = 0;
    virtual void offload(OffloadJob job) = 0;
    // Blocks until nothing that was offloaded runs any more, also no `done`: before what these may touch dies.
    virtual void wait_for_offloaded() = 0;
    // Names this machine for stable identifiers (machine-id; a fixed text in simulation).
    virtual std::string machine_id() = 0;
    [[nodiscard]] virtual int process_id() const { return 1; }
    // How many descriptors this process may have open.
    [[nodiscard]] virtual uint32_t descriptors_max() const { return 1U << 20; }
    // Whom this process acts for (effective).
    [[nodiscard]] virtual uint32_t user_id() const { return 0; }
};

// The real one. Errors: what the kernel refused, and what to do about it.
Result<std::unique_ptr<Environment>> make_linux_environment();

}  // namespace weft::env
