// CRC-32C (Castagnoli), the digest of NVMe/TCP and iSCSI, chosen by CPU at run time (isa-l).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace weft {

// Incremental: start with crc32c_seed, feed pieces in order, end with crc32c_finish.
inline constexpr uint32_t crc32c_seed = 0xFFFFFFFF;
uint32_t crc32c_update(uint32_t state, Bytes bytes);
constexpr uint32_t crc32c_finish(uint32_t state) { return ~state; }

// The whole at once: crc32c("123456789") is 0xE3069283.
inline uint32_t crc32c(Bytes bytes) { return crc32c_finish(crc32c_update(crc32c_seed, bytes)); }

// The CRC-32 of IEEE 802.3, of partition tables and of zlib: crc32_ieee("123456789") is 0xCBF43926.
uint32_t crc32_ieee(Bytes bytes);

}  // namespace weft
