// The checks of protection information (NVM Command Set 1.0, 5.3.1): the guard of a block is one of CRC-16/T10-DIF,
// CRC-32C (base/crc32c.h) and CRC-64/NVME. Chosen by CPU at run time where isa-l has them.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace weft {

// Incremental from 0: crc16_t10dif(0, "123456789") is 0xD0DB.
uint16_t crc16_t10dif(uint16_t state, Bytes bytes);

// Incremental: start with crc64_nvme_seed, feed pieces in order, end with crc64_nvme_finish.
// crc64_nvme("123456789") is 0xAE8B14860A799888.
inline constexpr uint64_t crc64_nvme_seed = ~uint64_t{0};
uint64_t crc64_nvme_update(uint64_t state, Bytes bytes);
constexpr uint64_t crc64_nvme_finish(uint64_t state) { return ~state; }

}  // namespace weft
