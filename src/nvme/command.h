// Submission and completion queue entries, scatter gather descriptors and opcodes.
//
// NVMe Base 2.0: 3.3.3 "Queue Entry" (SQE, CQE), 4.1 "Data Layout" (PRP, SGL), 5 "Admin Command Set".
// NVM Command Set 1.0: 3. NVMe-oF and NVMe/TCP 1.0: 2.3 (which descriptors a fabric uses).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/endian.h"
#include "nvme/bits.h"

namespace weft::nvme {

// NVMe Base 2.0, 5 "Admin Command Set".
enum class AdminOpcode : uint8_t {
    delete_io_sq = 0x00,
    create_io_sq = 0x01,
    get_log_page = 0x02,
    delete_io_cq = 0x04,
    create_io_cq = 0x05,
    identify = 0x06,
    abort = 0x08,
    set_features = 0x09,
    get_features = 0x0A,
    async_event_request = 0x0C,
    namespace_management = 0x0D,
    firmware_commit = 0x10,
    firmware_image_download = 0x11,
    device_self_test = 0x14,
    namespace_attachment = 0x15,
    keep_alive = 0x18,
    directive_send = 0x19,
    directive_receive = 0x1A,
    virtualization_management = 0x1C,
    nvme_mi_send = 0x1D,
    nvme_mi_receive = 0x1E,
    capacity_management = 0x20,
    lockdown = 0x24,
    doorbell_buffer_config = 0x7C,
    fabrics = 0x7F,
    format_nvm = 0x80,
    security_send = 0x81,
    security_receive = 0x82,
    sanitize = 0x84,
    get_lba_status = 0x86,
};

// NVMe Base 2.0, 7 "I/O Commands"; NVM Command Set 1.0, 3.2; Zoned Namespace Command Set 1.1, 3.4.
enum class IoOpcode : uint8_t {
    flush = 0x00,
    write = 0x01,
    read = 0x02,
    write_uncorrectable = 0x04,
    compare = 0x05,
    write_zeroes = 0x08,
    dataset_management = 0x09,
    verify = 0x0C,
    reservation_register = 0x0D,
    reservation_report = 0x0E,
    reservation_acquire = 0x11,
    io_management_receive = 0x12,
    reservation_release = 0x15,
    copy = 0x19,
    io_management_send = 0x1D,
    zone_management_send = 0x79,
    zone_management_receive = 0x7A,
    zone_append = 0x7D,
    fabrics = 0x7F,
};

// NVMe Base 2.0, 6 "Fabrics Command Set": the FCTYPE of a command with opcode 7Fh.
enum class FabricsType : uint8_t {
    property_set = 0x00,
    connect = 0x01,
    property_get = 0x04,
    authentication_send = 0x05,
    authentication_receive = 0x06,
    disconnect = 0x08,
};

inline constexpr uint8_t fabrics_opcode = 0x7F;
inline constexpr uint8_t vendor_specific_opcode_first = 0xC0;

// NSID that means every namespace.
inline constexpr uint32_t broadcast_nsid = 0xFFFFFFFF;

// Bits 1:0 of every opcode and FCTYPE say which way the data goes.
enum class TransferDirection : uint8_t {
    none = 0,
    host_to_controller = 1,
    controller_to_host = 2,
    bidirectional = 3,
};

// Of an opcode other than 7Fh, or of a FCTYPE.
constexpr TransferDirection transfer_direction(uint8_t opcode) { return TransferDirection(opcode & 3u); }

// CDW0 bits 9:8.
enum class Fuse : uint8_t { none = 0, first = 1, second = 2, reserved = 3 };

// CDW0 bits 15:14. Fabrics allow sgl_mptr_contiguous only (NVMe Base 2.0, Figure 86).
enum class DataPointerKind : uint8_t { prp = 0, sgl_mptr_contiguous = 1, sgl_mptr_sgl = 2, reserved = 3 };

// NVMe Base 2.0, 4.1.2 "Scatter Gather List".
enum class SglType : uint8_t {
    data_block = 0x0,
    bit_bucket = 0x1,
    segment = 0x2,
    last_segment = 0x3,
    keyed_data_block = 0x4,
    transport_data_block = 0x5,
    vendor_specific = 0xF,
};

enum class SglSubtype : uint8_t {
    address = 0x0,
    offset = 0x1,
    transport = 0xA,
    invalidate_key = 0xF,  // keyed data blocks (RDMA) only
};

constexpr uint8_t sgl_identifier(SglType type, SglSubtype subtype) {
    return static_cast<uint8_t>(static_cast<unsigned>(type) << 4 | static_cast<unsigned>(subtype));
}

// The data lies in the command capsule, `address` bytes from the in-capsule data offset.
inline constexpr uint8_t sgl_in_capsule = 0x01;
// The data goes by the transport's own means: R2T and H2CData, or C2HData, with NVMe/TCP.
inline constexpr uint8_t sgl_transport = 0x5A;
static_assert(sgl_in_capsule == sgl_identifier(SglType::data_block, SglSubtype::offset));
static_assert(sgl_transport == sgl_identifier(SglType::transport_data_block, SglSubtype::transport));

struct SglDescriptor {
    le64 address;  // or offset into the capsule
    le32 length;
    uint8_t reserved[3]{};
    uint8_t identifier = 0;  // type in bits 7:4, subtype in bits 3:0

    [[nodiscard]] constexpr SglType type() const { return SglType(identifier >> 4); }
    [[nodiscard]] constexpr SglSubtype subtype() const { return SglSubtype(identifier & 0xF); }

    // A keyed data block (RDMA) has a length of three bytes and then a key.
    [[nodiscard]] constexpr uint32_t keyed_length() const { return length & 0xFFFFFF; }
    [[nodiscard]] constexpr uint32_t key() const {
        return length >> 24 | uint32_t{reserved[0]} << 8 | uint32_t{reserved[1]} << 16 | uint32_t{reserved[2]} << 24;
    }

    // A command that uses PRPs has them in the place of the descriptor.
    [[nodiscard]] constexpr uint64_t prp1() const { return address; }
    [[nodiscard]] constexpr uint64_t prp2() const {
        return uint64_t{length} | uint64_t{reserved[0]} << 32 | uint64_t{reserved[1]} << 40 |
               uint64_t{reserved[2]} << 48 | uint64_t{identifier} << 56;
    }

    static constexpr SglDescriptor in_capsule(uint32_t length, uint64_t offset = 0) {
        return {.address = offset, .length = length, .identifier = sgl_in_capsule};
    }
    static constexpr SglDescriptor transport(uint32_t length) {
        return {.length = length, .identifier = sgl_transport};
    }
};
static_assert(sizeof(SglDescriptor) == 16 && alignof(SglDescriptor) == 1);
static_assert(offsetof(SglDescriptor, length) == 8 && offsetof(SglDescriptor, identifier) == 15);

// Submission queue entry (SQE), the common format of all commands.
struct Command {
    uint8_t opcode = 0;  // OPC
    uint8_t flags = 0;   // FUSE in bits 1:0, PSDT in bits 7:6
    le16 cid;
    le32 nsid;
    le32 cdw2;
    le32 cdw3;
    le64 mptr;
    SglDescriptor dptr;  // SGL1, or PRP1 and PRP2
    le32 cdw10;
    le32 cdw11;
    le32 cdw12;
    le32 cdw13;
    le32 cdw14;
    le32 cdw15;

    [[nodiscard]] constexpr Fuse fuse() const { return Fuse(flags & 3u); }
    [[nodiscard]] constexpr DataPointerKind psdt() const { return DataPointerKind(flags >> 6); }
    constexpr void set_fuse(Fuse fuse) { flags = static_cast<uint8_t>((flags & ~3u) | static_cast<unsigned>(fuse)); }
    constexpr void set_psdt(DataPointerKind psdt) {
        flags = static_cast<uint8_t>((flags & 0x3Fu) | static_cast<unsigned>(psdt) << 6);
    }

    [[nodiscard]] constexpr AdminOpcode admin_opcode() const { return AdminOpcode(opcode); }
    [[nodiscard]] constexpr IoOpcode io_opcode() const { return IoOpcode(opcode); }
    [[nodiscard]] constexpr bool is_fabrics() const { return opcode == fabrics_opcode; }
    // FCTYPE, byte 4 of a fabrics command: where others have the NSID.
    [[nodiscard]] constexpr FabricsType fabrics_type() const { return FabricsType(nsid & 0xFF); }

    // Read, Write, Compare, Write Zeroes and the like (NVM Command Set 1.0, 3.2): SLBA and NLB.
    [[nodiscard]] constexpr uint64_t slba() const { return uint64_t{cdw11} << 32 | cdw10; }
    [[nodiscard]] constexpr uint32_t block_count() const { return (cdw12 & 0xFFFF) + 1; }  // NLB is 0's based
    constexpr void set_lba_range(uint64_t slba, uint32_t block_count) {
        cdw10 = static_cast<uint32_t>(slba);
        cdw11 = static_cast<uint32_t>(slba >> 32);
        cdw12 = (cdw12 & 0xFFFF0000) | ((block_count - 1) & 0xFFFF);
    }
};
static_assert(sizeof(Command) == 64 && alignof(Command) == 1 && std::is_trivially_copyable_v<Command>);
static_assert(offsetof(Command, cid) == 2 && offsetof(Command, nsid) == 4 && offsetof(Command, mptr) == 16);
static_assert(offsetof(Command, dptr) == 24 && offsetof(Command, cdw10) == 40 && offsetof(Command, cdw15) == 60);

// Of any command; that of a fabrics command is in its FCTYPE.
constexpr TransferDirection transfer_direction(const Command& command) {
    return transfer_direction(command.is_fabrics() ? static_cast<uint8_t>(command.fabrics_type()) : command.opcode);
}

// Bits of CDW12 of Read, Write, Compare, Write Zeroes (NVM Command Set 1.0, 3.2).
namespace io_bits {
inline constexpr uint32_t limited_retry = 1u << 31;        // LR
inline constexpr uint32_t force_unit_access = 1u << 30;    // FUA
inline constexpr uint32_t protection_information = 0xFu << 26;  // PRINFO
inline constexpr uint32_t protection_action = 1u << 29;    // PRACT, the highest of them
inline constexpr uint32_t check_guard = 1u << 28;          // PRCHK
inline constexpr uint32_t check_application_tag = 1u << 27;
inline constexpr uint32_t check_reference_tag = 1u << 26;
inline constexpr uint32_t deallocate = 1u << 25;           // DEAC, Write Zeroes
inline constexpr uint32_t storage_tag_check = 1u << 24;    // STC
inline constexpr uint32_t directive_type = 0xFu << 20;     // DTYPE
}  // namespace io_bits

// Completion queue entry (CQE).
struct Completion {
    le32 cdw0;
    le32 cdw1;
    le16 sqhd;
    le16 sqid;
    le16 cid;
    le16 status;  // phase tag in bit 0, the status field above it: see Status::from_wire()

    // Property Get answers with eight bytes (NVMe Base 2.0, 6.4).
    [[nodiscard]] constexpr uint64_t value64() const { return uint64_t{cdw1} << 32 | cdw0; }
    constexpr void set_value64(uint64_t value) {
        cdw0 = static_cast<uint32_t>(value);
        cdw1 = static_cast<uint32_t>(value >> 32);
    }
};
static_assert(sizeof(Completion) == 16 && alignof(Completion) == 1);
static_assert(offsetof(Completion, sqhd) == 8 && offsetof(Completion, cid) == 12 && offsetof(Completion, status) == 14);

// SQHD of a queue without submission queue flow control (NVMe Base 2.0, 6.3 CATTR, 3.3.1.2.1.2).
inline constexpr uint16_t sqhd_none = 0xFFFF;

// Dataset Management (NVM Command Set 1.0, 3.2.3). CDW10 7:0 is the number of ranges, 0's based.
struct DatasetManagementRange {
    le32 attributes;
    le32 block_count;  // not 0's based
    le64 slba;
};
static_assert(sizeof(DatasetManagementRange) == 16 && offsetof(DatasetManagementRange, slba) == 8);

namespace dataset_management {
inline constexpr uint32_t integral_read = 1u << 0;   // CDW11 IDR
inline constexpr uint32_t integral_write = 1u << 1;  // CDW11 IDW
inline constexpr uint32_t deallocate = 1u << 2;      // CDW11 AD
inline constexpr uint32_t range_count_max = 256;
}  // namespace dataset_management

// Copy (NVM Command Set 1.0, 3.2.2), descriptor format 0h. CDW10/11 is SDLBA, CDW12 7:0 NR, 11:8 DESFMT.
struct CopySourceRange {
    uint8_t reserved0[8]{};
    le64 slba;
    le16 block_count;  // 0's based
    uint8_t reserved18[6]{};
    le32 eilbrt;
    le16 elbat;
    le16 elbatm;
};
// CDW12 of Copy.
namespace copy {
inline constexpr Bits ranges{0, 8};  // NR, 0's based
inline constexpr Bits format{8, 4};  // DESFMT
}  // namespace copy
static_assert(sizeof(CopySourceRange) == 32 && offsetof(CopySourceRange, eilbrt) == 24);

}  // namespace weft::nvme
