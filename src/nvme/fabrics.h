// Fabrics commands as views of a Command, Connect's data, and names of subsystems and hosts (NQN).
//
// NVMe Base 2.0: 6 "Fabrics Command Set", 4.5 and 4.7 (NQN). NVMe/TCP Transport 1.0 adds nothing here.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"
#include "nvme/command.h"

namespace weft::nvme {

// A fabrics command is read and made by bit_cast: as_fabrics<ConnectCommand>(command).
template <class T>
    requires(sizeof(T) == sizeof(Command) && std::is_trivially_copyable_v<T>)
constexpr T as_fabrics(const Command& command) {
    return std::bit_cast<T>(command);
}
template <class T>
    requires(sizeof(T) == sizeof(Command) && std::is_trivially_copyable_v<T>)
constexpr Command to_command(const T& fabrics_command) {
    return std::bit_cast<Command>(fabrics_command);
}

// CNTLID values of Connect's data.
inline constexpr uint16_t cntlid_dynamic = 0xFFFF;  // any controller will do
inline constexpr uint16_t cntlid_static = 0xFFFE;   // any static controller will do
inline constexpr uint16_t cntlid_last = 0xFFEF;     // FFF0h and up are reserved

// NVMe Base 2.0, 6.3 "Connect Command and Response".
struct ConnectCommand {
    uint8_t opcode = fabrics_opcode;
    uint8_t flags = static_cast<uint8_t>(DataPointerKind::sgl_mptr_contiguous) << 6;
    le16 cid;
    uint8_t fctype = static_cast<uint8_t>(FabricsType::connect);
    uint8_t reserved5[19]{};
    SglDescriptor sgl1;
    le16 recfmt;
    le16 qid;
    le16 sqsize;  // 0's based
    uint8_t cattr = 0;
    uint8_t reserved47 = 0;
    le32 kato;  // in milliseconds; 0 is none
    uint8_t reserved52[12]{};

    static constexpr uint8_t priority_class = 3u << 0;           // CATTR bits 1:0
    static constexpr uint8_t disable_sq_flow_control = 1u << 2;  // CATTR bit 2
    static constexpr uint8_t individual_queue_deletion = 1u << 3;  // CATTR bit 3: Disconnect is used
};
static_assert(sizeof(ConnectCommand) == 64 && offsetof(ConnectCommand, sgl1) == 24);
static_assert(offsetof(ConnectCommand, recfmt) == 40 && offsetof(ConnectCommand, qid) == 42);
static_assert(offsetof(ConnectCommand, sqsize) == 44 && offsetof(ConnectCommand, cattr) == 46);
static_assert(offsetof(ConnectCommand, kato) == 48);

struct ConnectData {
    std::array<uint8_t, 16> hostid{};
    le16 cntlid = cntlid_dynamic;
    uint8_t reserved18[238]{};
    std::array<char, 256> subnqn{};
    std::array<char, 256> hostnqn{};
    uint8_t reserved768[256]{};
};
static_assert(sizeof(ConnectData) == 1024 && offsetof(ConnectData, cntlid) == 16);
static_assert(offsetof(ConnectData, subnqn) == 256 && offsetof(ConnectData, hostnqn) == 512);

// CDW0 of a successful Connect: CNTLID in 15:0, and whether authentication must follow.
inline constexpr uint32_t connect_authreq_ascr = 1u << 18;  // authentication and secure channel required
inline constexpr uint32_t connect_authreq_atr = 1u << 17;   // authentication required

// CDW0 of Connect's status 1/82h: Invalid Parameter Offset in 15:0 and, at 16, where the parameter is.
constexpr uint32_t connect_invalid(uint16_t offset, bool in_data) { return offset | (in_data ? 1u << 16 : 0u); }

// NVMe Base 2.0, 6.4 and 6.5. The answer's value is Completion::value64().
struct PropertyGetCommand {
    uint8_t opcode = fabrics_opcode;
    uint8_t flags = static_cast<uint8_t>(DataPointerKind::sgl_mptr_contiguous) << 6;
    le16 cid;
    uint8_t fctype = static_cast<uint8_t>(FabricsType::property_get);
    uint8_t reserved5[35]{};
    uint8_t attrib = 0;  // bits 2:0: 0 is 4 bytes, 1 is 8 bytes
    uint8_t reserved41[3]{};
    le32 offset;
    uint8_t reserved48[16]{};
};
static_assert(sizeof(PropertyGetCommand) == 64 && offsetof(PropertyGetCommand, attrib) == 40);
static_assert(offsetof(PropertyGetCommand, offset) == 44);

struct PropertySetCommand {
    uint8_t opcode = fabrics_opcode;
    uint8_t flags = static_cast<uint8_t>(DataPointerKind::sgl_mptr_contiguous) << 6;
    le16 cid;
    uint8_t fctype = static_cast<uint8_t>(FabricsType::property_set);
    uint8_t reserved5[35]{};
    uint8_t attrib = 0;
    uint8_t reserved41[3]{};
    le32 offset;
    le64 value;
    uint8_t reserved56[8]{};
};
static_assert(sizeof(PropertySetCommand) == 64 && offsetof(PropertySetCommand, attrib) == 40);
static_assert(offsetof(PropertySetCommand, offset) == 44 && offsetof(PropertySetCommand, value) == 48);

inline constexpr uint8_t property_size_mask = 0x7;
inline constexpr uint8_t property_size_4 = 0;
inline constexpr uint8_t property_size_8 = 1;

// NVMe Base 2.0, 6.2 "Authentication Send", 6.1 "Authentication Receive".
struct AuthenticationCommand {
    uint8_t opcode = fabrics_opcode;
    uint8_t flags = static_cast<uint8_t>(DataPointerKind::sgl_mptr_contiguous) << 6;
    le16 cid;
    uint8_t fctype = 0;
    uint8_t reserved5[19]{};
    SglDescriptor sgl1;
    uint8_t reserved40 = 0;
    uint8_t spsp0 = 0;
    uint8_t spsp1 = 0;
    uint8_t secp = 0;
    le32 length;  // TL of Send, AL of Receive
    uint8_t reserved48[16]{};
};
static_assert(sizeof(AuthenticationCommand) == 64 && offsetof(AuthenticationCommand, secp) == 43);
static_assert(offsetof(AuthenticationCommand, length) == 44);
inline constexpr uint8_t security_protocol_nvme = 0xE9;

// NVMe Base 2.0, 6.4 "Disconnect".
struct DisconnectCommand {
    uint8_t opcode = fabrics_opcode;
    uint8_t flags = static_cast<uint8_t>(DataPointerKind::sgl_mptr_contiguous) << 6;
    le16 cid;
    uint8_t fctype = static_cast<uint8_t>(FabricsType::disconnect);
    uint8_t reserved5[35]{};
    le16 recfmt;
    uint8_t reserved42[22]{};
};
static_assert(sizeof(DisconnectCommand) == 64 && offsetof(DisconnectCommand, recfmt) == 40);

// TRTYPE and ADRFAM of a discovery log entry (NVMe Base 2.0, 5.16.1.23).
enum class TransportType : uint8_t {
    none = 0,
    rdma = 1,
    fibre_channel = 2,
    tcp = 3,
    intra_host = 254,
};

enum class AddressFamily : uint8_t {
    none = 0,
    ipv4 = 1,
    ipv6 = 2,
    infiniband = 3,
    fibre_channel = 4,
    intra_host = 254,
};

inline constexpr size_t nqn_length_max = 223;
inline constexpr std::string_view discovery_nqn = "nqn.2014-08.org.nvmexpress.discovery";
inline constexpr std::string_view uuid_nqn_prefix = "nqn.2014-08.org.nvmexpress:uuid:";

// NVMe Base 2.0, 4.7: at most 223 bytes of valid UTF-8 without control characters; either
// "nqn.yyyy-mm.reverse-domain[:string]" with the labels of RFC 1034, or the UUID form with a whole
// UUID after the prefix, or the well-known discovery NQN.
bool is_valid_nqn(std::string_view nqn);

// The text before the first NUL of an NQN field; empty when there is no NUL.
std::string_view nqn_of_field(const std::array<char, 256>& field);

// Copies `nqn`, which must be at most 223 bytes long, and fills the rest with NUL.
void fill_nqn_field(std::array<char, 256>& field, std::string_view nqn);

}  // namespace weft::nvme
