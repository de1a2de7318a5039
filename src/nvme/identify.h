// Identify: the CNS values and what the command carries. The data structures are beside this.
//
// NVMe Base 2.0, 5.17 "Identify command".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "nvme/command.h"
#include "nvme/identify_controller.h"
#include "nvme/identify_namespace.h"

namespace weft::nvme {

enum class Cns : uint8_t {
    name_space = 0x00,
    controller = 0x01,
    active_namespace_list = 0x02,
    namespace_descriptors = 0x03,
    io_command_set_namespace = 0x05,
    io_command_set_controller = 0x06,
    io_command_set_active_namespace_list = 0x07,
    independent_namespace = 0x08,
    allocated_namespace_list = 0x10,
    allocated_namespace = 0x11,
    attached_controller_list = 0x12,
    controller_list = 0x13,
    primary_controller_capabilities = 0x14,
    secondary_controller_list = 0x15,
    namespace_granularity_list = 0x16,
    uuid_list = 0x17,
    domain_list = 0x18,
    endurance_group_list = 0x19,
    io_command_set_allocated_namespace_list = 0x1A,
    io_command_set_allocated_namespace = 0x1B,
    io_command_set_combinations = 0x1C,
};

// CSI.
enum class CommandSet : uint8_t { nvm = 0x00, key_value = 0x01, zoned = 0x02 };

inline constexpr uint32_t identify_data_size = 4096;

// The fields of Identify.
struct IdentifyRequest {
    Cns cns{};
    uint16_t cntid = 0;
    uint16_t cns_specific_id = 0;
    CommandSet csi = CommandSet::nvm;
    uint8_t uuid_index = 0;
    uint32_t nsid = 0;

    static constexpr IdentifyRequest from(const Command& command) {
        return {.cns = Cns(command.cdw10 & 0xFF),
                .cntid = static_cast<uint16_t>(command.cdw10 >> 16 & 0xFFFF),
                .cns_specific_id = static_cast<uint16_t>(command.cdw11 & 0xFFFF),
                .csi = CommandSet(command.cdw11 >> 24 & 0xFF),
                .uuid_index = static_cast<uint8_t>(command.cdw14 & 0x7F),
                .nsid = command.nsid};
    }
    constexpr void put_into(Command& command) const {
        command.opcode = static_cast<uint8_t>(AdminOpcode::identify);
        command.nsid = nsid;
        command.cdw10 = static_cast<uint32_t>(cns) | uint32_t{cntid} << 16;
        command.cdw11 = uint32_t{cns_specific_id} | static_cast<uint32_t>(csi) << 24;
        command.cdw14 = uint32_t{uuid_index};
    }
};

// CNS 02h, 07h, 10h, 1Ah: NSIDs above the one in the command, rising, then zeros.
struct NamespaceList {
    std::array<le32, 1024> nsid{};
};
static_assert(sizeof(NamespaceList) == identify_data_size);

// CNS 12h, 13h.
struct ControllerList {
    le16 count;
    std::array<le16, 2047> cntlid{};
};
static_assert(sizeof(ControllerList) == identify_data_size);

// CNS 1Ch: one vector of CommandSet bits for each combination that can be selected.
struct CommandSetCombinations {
    std::array<le64, 512> vector{};
};
static_assert(sizeof(CommandSetCombinations) == identify_data_size);

}  // namespace weft::nvme
