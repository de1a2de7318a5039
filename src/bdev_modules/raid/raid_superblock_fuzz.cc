// Any bytes as the start of a disk: what is taken for a superblock is one that can be written again and read back, and
// that fits together.
//
// The first byte says whether signature and checksum are set right, which no chance would find.
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "bdev_modules/raid/raid_superblock.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace weft;
    if (size < 2) return 0;
    const bool is_mended = data[0] % 2 == 1;
    std::vector<std::byte> bytes(size - 1);
    std::memcpy(bytes.data(), data + 1, size - 1);
    if (is_mended && bytes.size() >= 256) {
        std::memcpy(bytes.data(), "SPDKRAID\1\0\0\0", 12);
        const size_t length = 256 + 64 * static_cast<size_t>(bytes[255]);
        const le32 stored_length = static_cast<uint32_t>(length);
        std::memcpy(bytes.data() + 12, &stored_length, 4);
        if (length <= bytes.size()) {
            std::memset(bytes.data() + 16, 0, 4);
            const le32 crc = crc32c_update(0, Bytes(bytes).first(length));
            std::memcpy(bytes.data() + 16, &crc, 4);
        }
    }
    const auto parsed = bdev::parse_superblock(bytes);
    if (!parsed) {
        WEFT_ASSERT(parsed.error().message.starts_with("raid superblock: "));
        return 0;
    }
    if (!*parsed) return 0;
    const bdev::RaidSuperblock& superblock = **parsed;
    WEFT_ASSERT(superblock.members.size() <= superblock.slots && superblock.block_count > 0);
    const auto again = bdev::parse_superblock(bdev::serialize(superblock));
    WEFT_ASSERT(again && *again && **again == superblock);
    return 0;
}
