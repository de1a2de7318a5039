// Get LBA Status (NVM Command Set 1.0, 4.2): which blocks of a range are known to read as errors.
#pragma once

#include <cstdint>

#include "base/endian.h"
#include "nvme/command.h"

namespace weft::nvme {

// Of unrecoverable blocks; of the two, "scan" also asks for those that nobody came across yet.
enum class LbaStatusAction : uint8_t { scan = 0x10, tracked = 0x11 };

struct LbaStatusRequest {
    LbaStatusAction action{};   // ATYPE
    uint64_t slba = 0;
    uint16_t blocks = 0;        // RL; 0: to the end of the namespace
    uint64_t length_bytes = 0;  // (MNDW + 1) * 4, up to 16 GiB: check it before use

    static constexpr LbaStatusRequest from(const Command& command) {
        return {.action = LbaStatusAction(command.cdw13 >> 24 & 0xFF),
                .slba = command.slba(),
                .blocks = static_cast<uint16_t>(command.cdw13 & 0xFFFF),
                .length_bytes = (uint64_t{command.cdw12} + 1) * 4};
    }
};

enum class LbaStatusCompletion : uint8_t {
    incomplete = 1,  // there are more than fit
    complete = 2,
};

struct LbaStatusHeader {
    le32 nlsd;     // descriptors that follow
    uint8_t cmpc = 0;  // LbaStatusCompletion
    uint8_t reserved[3]{};
};
static_assert(sizeof(LbaStatusHeader) == 8);

struct LbaStatusDescriptor {
    le64 dslba;
    le32 nlb;  // not 0's based
    uint8_t reserved12{};
    uint8_t status{};
    uint8_t reserved14[2]{};
};
static_assert(sizeof(LbaStatusDescriptor) == 16);

}  // namespace weft::nvme
