#include "base/crc_guard.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace weft {

uint16_t crc16_t10dif(uint16_t state, Bytes bytes) {
    constexpr size_t piece_max = size_t{1} << 30;  // isa-l takes the length as an int in places
    while (!bytes.empty()) {
        const Bytes piece = bytes.first(std::min(bytes.size(), piece_max));
        state = ::crc16_t10dif(state, reinterpret_cast<const unsigned char*>(piece.data()), piece.size());
        bytes = bytes.subspan(piece.size());
    }
    return state;
}

namespace {

// Debian 12's isa-l has no CRC-64 of this polynomial: eight bytes a step, by tables.
constexpr uint64_t polynomial = 0x9A6C9329AC4BC9B5;  // AD93D23594C93659h, bits reversed

using Tables = std::array<std::array<uint64_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables tables{};
    for (uint64_t byte = 0; byte < 256; ++byte) {
        uint64_t state = byte;
        for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? polynomial : 0);
        tables[0][byte] = state;
    }
    for (size_t table = 1; table < tables.size(); ++table) {
        for (size_t byte = 0; byte < 256; ++byte) {
            const uint64_t before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}

constexpr Tables tables = make_tables();
static_assert(std::endian::native == std::endian::little);

}  // namespace

uint64_t crc64_nvme_update(uint64_t state, Bytes bytes) {
    while (bytes.size() >= 8) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        word ^= state;
        state = 0;
        for (size_t at = 0; at < 8; ++at) state ^= tables[7 - at][(word >> (8 * at)) & 0xFF];
        bytes = bytes.subspan(8);
    }
    for (const std::byte byte : bytes) state = (state >> 8) ^ tables[0][(state ^ static_cast<uint8_t>(byte)) & 0xFF];
    return state;
}

}  // namespace weft
