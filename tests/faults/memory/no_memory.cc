// LD_PRELOAD: the allocation with the number WEFT_FAIL_AT fails, of malloc, calloc, realloc and the aligned kind,
// counted over all threads. With WEFT_COUNT_TO, the count is written to that file at exit.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier)
// glibc's own, which need no dlsym(), which allocates.
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
// NOLINTEND(bugprone-reserved-identifier)
}

namespace {

std::atomic<unsigned long> count{0};
std::atomic<unsigned long> fail_at{0};

bool is_to_fail() {
    const unsigned long number = count.fetch_add(1, std::memory_order_relaxed) + 1;
    return number == fail_at.load(std::memory_order_relaxed);
}

// What the loader and the standard library do before main() is not counted: nobody could answer for it.
__attribute__((constructor)) void begin() {
    const char* const wanted = std::getenv("WEFT_FAIL_AT");
    count = 0;
    fail_at = wanted != nullptr ? std::strtoul(wanted, nullptr, 10) : 0;
}

__attribute__((destructor)) void end() {
    const char* const path = std::getenv("WEFT_COUNT_TO");
    if (path == nullptr) return;
    char text[32];
    const int length = std::snprintf(text, sizeof(text), "%lu\n", count.load());
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return;
    (void)!write(file, text, static_cast<size_t>(length));
    close(file);
}

void* refuse() {
    errno = ENOMEM;
    return nullptr;
}

}  // namespace

extern "C" {
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's are reserved ones

void* malloc(size_t size) { return is_to_fail() ? refuse() : __libc_malloc(size); }
void* calloc(size_t number, size_t size) { return is_to_fail() ? refuse() : __libc_calloc(number, size); }
void* realloc(void* memory, size_t size) { return is_to_fail() ? refuse() : __libc_realloc(memory, size); }
void* memalign(size_t alignment, size_t size) { return is_to_fail() ? refuse() : __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
    *memory = memalign(alignment, size);
    return *memory == nullptr ? ENOMEM : 0;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
}
