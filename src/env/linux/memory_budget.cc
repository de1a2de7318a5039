#include "env/memory_budget.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "base/assert.h"

namespace weft::env {

namespace {

std::atomic<uint64_t> budget{0};
std::atomic<uint64_t> taken{0};

}  // namespace

void set_memory_budget(uint64_t bytes) { budget = bytes; }
uint64_t memory_budget() { return budget; }
uint64_t memory_taken() { return taken; }

Result<void> take_memory(uint64_t bytes, const std::string& what) {
    const uint64_t limit = budget;
    uint64_t now = taken;
    do {
        if (limit != 0 && (bytes > limit || now > limit - bytes)) {
            return fail(
                Errc::no_memory,
                fmt::format("{} needs {} bytes of memory; of the {} that weftd was given (--memory), {} are taken",
                            what, bytes, limit, now));
        }
    } while (!taken.compare_exchange_weak(now, now + bytes));
    return {};
}

void give_memory(uint64_t bytes) { WEFT_ASSERT(taken.fetch_sub(bytes) >= bytes); }

MemoryShare::MemoryShare(MemoryShare&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}

MemoryShare& MemoryShare::operator=(MemoryShare&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
}

MemoryShare::~MemoryShare() {
    if (bytes_ > 0) give_memory(bytes_);
}

Result<MemoryShare> MemoryShare::take(uint64_t bytes, const std::string& what) {
    WEFT_TRY(take_memory(bytes, what));
    MemoryShare share;
    share.bytes_ = bytes;
    return share;
}

}  // namespace weft::env
