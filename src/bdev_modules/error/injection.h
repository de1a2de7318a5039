// What goes wrong on purpose: set on the app thread, asked by every channel.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "bdev/request.h"

namespace weft::bdev {

enum class ErrorKind : uint8_t {
    failure,       // ends with Injection::status, and the base is not asked
    pending,       // does not end before resume, abort or removal
    corrupt_data,  // one byte of what is read or written is another
    nomem,         // cannot be taken now
};

struct Injection {
    ErrorKind kind = ErrorKind::failure;
    Status status = Status::failed;
    uint32_t count = 1;           // requests that it happens to
    uint64_t queue_depth = 0;     // only while a channel has so many in flight
    uint64_t corrupt_offset = 0;  // bytes, into the data of the request
    uint8_t corrupt_value = 0;    // what that byte is xor-ed with
};

// The injection for one kind of request.
class InjectionSlot {
public:
    // App thread. A request that is being asked for at this moment may get a mixture of the two.
    void set(const Injection& injection) {
        count_.store(0, std::memory_order_relaxed);
        kind_.store(injection.kind, std::memory_order_relaxed);
        status_.store(injection.status, std::memory_order_relaxed);
        queue_depth_.store(injection.queue_depth, std::memory_order_relaxed);
        corrupt_offset_.store(injection.corrupt_offset, std::memory_order_relaxed);
        corrupt_value_.store(injection.corrupt_value, std::memory_order_relaxed);
        count_.store(injection.count, std::memory_order_release);
    }
    void clear() { count_.store(0, std::memory_order_relaxed); }
    [[nodiscard]] ErrorKind kind() const { return kind_.load(std::memory_order_relaxed); }

    // Any thread. What is to happen to one more request; it counts as happened.
    [[nodiscard]] std::optional<Injection> take(uint64_t in_flight) {
        uint32_t left = count_.load(std::memory_order_acquire);
        if (left == 0 || in_flight < queue_depth_.load(std::memory_order_relaxed)) return std::nullopt;
        while (left != 0) {
            if (count_.compare_exchange_weak(left, left - 1, std::memory_order_acquire)) {
                return Injection{.kind = kind(),
                                 .status = status_.load(std::memory_order_relaxed),
                                 .corrupt_offset = corrupt_offset_.load(std::memory_order_relaxed),
                                 .corrupt_value = corrupt_value_.load(std::memory_order_relaxed)};
            }
        }
        return std::nullopt;
    }

private:
    std::atomic<uint32_t> count_ = 0;
    std::atomic<ErrorKind> kind_ = ErrorKind::failure;
    std::atomic<Status> status_ = Status::failed;
    std::atomic<uint64_t> queue_depth_ = 0;
    std::atomic<uint64_t> corrupt_offset_ = 0;
    std::atomic<uint8_t> corrupt_value_ = 0;
};

// The status that a host gets as (sct, sc) of the NVM command set; nothing when no status of ours becomes that.
std::optional<Status> status_of_nvme(uint32_t sct, uint32_t sc);

}  // namespace weft::bdev
