// Anonymous memory by mmap. Nothing touches it here: pages come when they are first used, on the node of
// the core that uses them, and memory that is never used costs nothing.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "env/environment.h"
#include "env/linux/descriptor.h"
#include "env/memory_budget.h"

namespace weft::env {

namespace {

constexpr size_t huge_page_bytes = size_t{2} << 20;

size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// The choice in brackets of a file like "always within_size [advise] never".
std::string choice_in(const char* path) {
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        if (word.starts_with('[') && word.ends_with(']')) return word.substr(1, word.size() - 2);
    }
    return "";
}

bool only_private_memory_is_huge() {
    const std::string for_private = choice_in("/sys/kernel/mm/transparent_hugepage/enabled");
    const std::string for_shared = choice_in("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    const bool is_private = for_private == "always" || for_private == "madvise";
    const bool is_shared = !for_shared.empty() && for_shared != "never" && for_shared != "deny";
    return is_private && !is_shared;
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(size_, other.size_);
    std::swap(fd_, other.fd_);
    return *this;
}

Mapping::~Mapping() {
    if (start_ != nullptr) {
        WEFT_ASSERT(munmap(start_, size_) == 0);
        give_memory(size_);
    }
    if (fd_ >= 0) ::close(fd_);
}

Result<Mapping> map_memory(size_t size_bytes, const MappingOptions& options) {
    WEFT_ASSERT(size_bytes > 0);
    const std::string doing = fmt::format("mapping {} bytes of memory", size_bytes);
    if (size_bytes > std::numeric_limits<size_t>::max() / 4) return fail_errno(ENOMEM, doing);
    const size_t page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t size = round_up(size_bytes, page_bytes);
    // As long as it is not all there, it is given back by the share.
    auto share = MemoryShare::take(size, options.name.empty() ? "a mapping" : options.name);
    if (!share) return std::unexpected(std::move(share).error());

    Descriptor memory;
    const bool is_shared =
        options.sharing == Sharing::always ||
        (options.sharing == Sharing::unless_slower && (!options.huge_pages || !only_private_memory_is_huge()));
    if (is_shared) {
        memory = Descriptor(memfd_create(options.name.c_str(), MFD_CLOEXEC));
        if (!memory.is_open()) return fail_errno(errno, doing);
        if (ftruncate(memory.get(), static_cast<off_t>(size)) != 0) return fail_errno(errno, doing);
    }

    // Reserve addresses enough to hold an aligned range, map there, give the ends back.
    const size_t reserved = size + huge_page_bytes;
    void* reservation = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reservation == MAP_FAILED) return fail_errno(errno, doing);
    auto* start = static_cast<std::byte*>(reservation);
    const auto address = reinterpret_cast<uintptr_t>(reservation);
    const size_t before = round_up(address, huge_page_bytes) - address;
    const size_t after = reserved - before - size;
    std::byte* aligned = start + before;
    if (before > 0) munmap(start, before);
    if (after > 0) munmap(aligned + size, after);

    const int flags = is_shared ? MAP_SHARED | MAP_FIXED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (mmap(aligned, size, PROT_READ | PROT_WRITE, flags, memory.get(), 0) == MAP_FAILED) {
        const int number = errno;
        munmap(aligned, size);
        return fail_errno(number, doing);
    }
    // A wish: kernels without transparent huge pages refuse, and small pages serve as well.
    if (options.huge_pages) madvise(aligned, size, MADV_HUGEPAGE);
    share->keep();
    return Mapping(aligned, size, memory.release());
}

void populate(MutableBytes range) {
    if (madvise(range.data(), range.size(), MADV_POPULATE_WRITE) == 0) return;
    // Before Linux 5.14. To read is not enough: it may be given the one page of zeroes that all share. An atomic
    // change by nothing loses no write of another thread.
    constexpr size_t page_bytes_min = 4096;
    for (size_t at = 0; at < range.size(); at += page_bytes_min) {
        std::atomic_ref(reinterpret_cast<unsigned char&>(range[at])).fetch_or(0, std::memory_order_relaxed);
    }
}

}  // namespace weft::env
