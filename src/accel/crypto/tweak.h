// How the place of a block enters its cipher: the tweak of AES-XTS (IEEE 1619-2018, 5.3), the IV of AES-CBC. 16 bytes,
// as the field's software module lays them out: two words of 64 bits, little-endian, the upper one first.
//
//   SIMPLE_LBA              upper 0, lower the LBA
//   JOIN_NEG_LBA_WITH_LBA   upper the LBA's complement without its top bit, lower the LBA
//   INCR_512_FULL_LBA       for each 512 bytes: upper 0, lower their number on the device
//   INCR_512_UPPER_LBA      for each 512 bytes: upper their number, lower 0; as dm-crypt's plain64 with sectors of 512
//
// Pure.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "accel/crypto/key.h"

namespace weft::accel {

using Tweak = std::array<std::byte, 16>;

// What has a tweak of its own: a block, or each 512 bytes of it.
constexpr uint32_t tweak_unit_bytes(TweakMode mode, uint32_t block_bytes) {
    const bool is_block = mode == TweakMode::simple_lba || mode == TweakMode::join_neg_lba_with_lba;
    return is_block ? block_bytes : 512;
}

// `unit`: its number on the device.
inline Tweak tweak_of(TweakMode mode, uint64_t unit) {
    static_assert(std::endian::native == std::endian::little);
    std::array<uint64_t, 2> words{};
    switch (mode) {
        case TweakMode::simple_lba:
        case TweakMode::incr_512_full_lba: words = {0, unit}; break;
        case TweakMode::join_neg_lba_with_lba: words = {~unit & ~(uint64_t{1} << 63), unit}; break;
        case TweakMode::incr_512_upper_lba: words = {unit, 0}; break;
    }
    return std::bit_cast<Tweak>(words);
}

}  // namespace weft::accel
