// How many connections a transport holds: in all, and of each source address. Counted from accept to the end of the
// connection, on whatever threads these are. Belongs to the transport, which outlives its connections and those that
// are on their way to a poll group.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace weft::nvmf::tcp {

class ConnectionLimits {
public:
    // 0: no limit. `seed` keeps a stranger from choosing addresses that are counted as another's.
    ConnectionLimits(uint32_t total_max, uint32_t source_max, uint64_t seed)
        : total_max_(total_max), source_max_(source_max), seed_(seed) {}
    ConnectionLimits(const ConnectionLimits&) = delete;
    ConnectionLimits& operator=(const ConnectionLimits&) = delete;

    enum class Standing : uint8_t { within, source_full, all_full };

    // One connection's place; given back by its destructor.
    class Place {
    public:
        Place(ConnectionLimits& limits, uint32_t source);
        Place(Place&& other) noexcept : limits_(std::exchange(other.limits_, nullptr)), source_(other.source_) {}
        Place& operator=(Place&&) = delete;
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place();
        [[nodiscard]] Standing standing() const;
        // The source's number: equal for equal addresses, below source_count, and different for nearly all others.
        [[nodiscard]] uint32_t source() const { return source_; }

    private:
        ConnectionLimits* limits_;  // nullptr: moved from
        uint32_t source_;
    };

    // Sources share a counter by chance, one of this many: no memory grows with the number of addresses.
    static constexpr uint32_t source_count = 4096;
    [[nodiscard]] Place enter(std::string_view address);
    [[nodiscard]] uint32_t total() const { return total_.load(std::memory_order_relaxed); }

private:
    const uint32_t total_max_;
    const uint32_t source_max_;
    const uint64_t seed_;
    std::atomic<uint32_t> total_{0};
    std::array<std::atomic<uint32_t>, source_count> of_source_{};
};

}  // namespace weft::nvmf::tcp
