// Protection information: the tuple that accompanies a block and tells whether the block is whole, whose it is, and
// where it belongs (NVM Command Set 1.0, 5.2 and 5.3; T10 DIF for its first form). Pure: blocks in, verdicts out.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::accel {

// How the reference tag of a block is known.
enum class ProtectionType : uint8_t {
    none,
    type1,  // the low bits of its LBA
    type2,  // counted from what the command says
    type3,  // not checked: the application's
};

// What guards the content, and with it how the tuple looks; the values are those of PIF (NVM Command Set 1.0, Figure
// 101).
enum class Guard : uint8_t { crc16, crc32, crc64 };

// How a device's blocks are accompanied; does not change while it lives.
struct ProtectionFormat {
    uint16_t metadata_bytes = 0;  // of each block, in all; 0: blocks have none, and nothing below has a meaning
    ProtectionType type = ProtectionType::none;
    Guard guard = Guard::crc16;
    bool is_first = false;         // the tuple is the first bytes of the metadata, else the last

    [[nodiscard]] uint16_t tuple_bytes() const { return guard == Guard::crc16 ? 8 : 16; }
    [[nodiscard]] uint16_t tuple_offset() const {
        return is_first ? uint16_t{0} : static_cast<uint16_t>(metadata_bytes - tuple_bytes());
    }
    [[nodiscard]] bool has_tuple() const { return metadata_bytes != 0 && type != ProtectionType::none; }
    // The metadata is the tuple, so that a host that leaves the tuple to us sends and gets plain blocks.
    [[nodiscard]] bool is_tuple_only() const { return has_tuple() && metadata_bytes == tuple_bytes(); }
    // Bits of the storage tag, at the high end of the storage and reference space (STS): the smallest that there may
    // be.
    [[nodiscard]] uint8_t storage_tag_bits() const { return guard == Guard::crc32 ? 16 : 0; }
    [[nodiscard]] uint64_t reference_mask() const {
        return guard == Guard::crc16 ? 0xFFFFFFFF : guard == Guard::crc32 ? ~uint64_t{0} : 0xFFFFFFFFFFFF;
    }
    bool operator==(const ProtectionFormat&) const = default;
};
inline constexpr uint32_t metadata_bytes_max = 64;
// Errors: invalid_argument, saying what is wrong with a format that came from outside, for blocks of so many bytes.
Result<void> check_format(const ProtectionFormat& format, uint32_t block_bytes);

// What a command says of the protection of its blocks.
struct Protection {
    uint64_t reference = 0;  // of its first block; the next ones follow, but for type 3
    uint16_t storage_tag = 0;  // with Guard::crc32
    uint16_t application_tag = 0;
    uint16_t application_mask = 0;  // only these bits of the tag are compared
    bool is_ours = false;  // PRACT: we make tuples on writes, and take them away on reads
    bool checks_guard = false;
    bool checks_application = false;
    bool checks_reference = false;
    bool checks_storage = false;  // only where there is a storage tag

    [[nodiscard]] bool checks() const {
        return checks_guard || checks_application || checks_reference || checks_storage;
    }
    bool operator==(const Protection&) const = default;
};

enum class Verdict : uint8_t { right, wrong_guard, wrong_application, wrong_reference, wrong_storage };

// One block, `index` blocks behind the command's first: `data` is all of it, `metadata` all of its metadata.
// The format has a tuple.
void write_tuple(const ProtectionFormat& format, const Protection& protection, uint64_t index, Bytes data,
                 MutableBytes metadata);
Verdict check_tuple(const ProtectionFormat& format, const Protection& protection, uint64_t index, Bytes data,
                    Bytes metadata);
// What blocks that were never written, or were deallocated, have: it turns all checks off (5.3.2, 5.3.3).
void write_escape(const ProtectionFormat& format, MutableBytes metadata);

}  // namespace weft::accel
