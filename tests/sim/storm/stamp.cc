#include "sim/storm/stamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "env/sim/prng.h"

namespace weft::sim {

namespace {

constexpr size_t words = sector_bytes / 8;
using Words = std::array<uint64_t, words>;
constexpr uint64_t magic = 0x5745'4654'0000'0000;  // "WEFT"

Words stamp_of(uint32_t device, uint64_t number, Value value) {
    Words stamp;
    stamp[0] = magic | device;
    stamp[1] = number;
    stamp[2] = value;
    uint64_t fill = mix(stamp[0] ^ mix(number ^ (uint64_t{value} << 32)));
    for (size_t at = 3; at < words; ++at) {
        stamp[at] = fill;
        fill += 0x9E3779B97F4A7C15;
    }
    return stamp;
}

Words words_of(Bytes sector) {
    Words found;
    std::memcpy(found.data(), sector.data(), sector_bytes);
    return found;
}

bool is_zero(const Words& found) {
    return std::ranges::all_of(found, [](uint64_t word) { return word == 0; });
}

}  // namespace

void stamp_sector(MutableBytes sector, uint32_t device, uint64_t number, Value value) {
    if (value == zeroes) {
        std::memset(sector.data(), 0, sector_bytes);
        return;
    }
    const Words stamp = stamp_of(device, number, value);
    std::memcpy(sector.data(), stamp.data(), sector_bytes);
}

std::optional<Value> read_stamp(Bytes sector, uint32_t device, uint64_t number, std::string& problem) {
    const Words found = words_of(sector);
    if (is_zero(found)) return zeroes;
    const auto value = static_cast<Value>(found[2]);
    if (found[0] == (magic | device) && found[1] == number && found == stamp_of(device, number, value)) return value;
    if ((found[0] & magic) != magic) {
        problem = fmt::format("no stamp: {:016x} {:016x}", found[0], found[1]);
    } else if (found[0] != (magic | device)) {
        problem = fmt::format("data of device {}, sector {}, write {}", found[0] & 0xFFFFFFFF, found[1], found[2]);
    } else if (found[1] != number) {
        problem = fmt::format("data of sector {}, write {}", found[1], found[2]);
    } else {
        const Words stamp = stamp_of(device, number, value);
        const auto at = std::ranges::mismatch(found, stamp).in1 - found.begin();
        problem = fmt::format("write {} up to byte {}, then something else: {:016x}", value, at * 8,
                              found[static_cast<size_t>(at)]);
    }
    return std::nullopt;
}

std::optional<uint32_t> foreign_device(Bytes sector, uint32_t device) {
    const Words found = words_of(sector);
    if ((found[0] >> 32) != (magic >> 32)) return std::nullopt;
    const auto owner = static_cast<uint32_t>(found[0]);
    return owner == device ? std::nullopt : std::optional(owner);
}

}  // namespace weft::sim
