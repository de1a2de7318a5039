#include "nvmf/io/metadata.h"

namespace weft::nvmf {

namespace {

using bdev::Guard;
using bdev::ProtectionFormat;
using bdev::ProtectionType;
namespace io_bits = nvme::io_bits;
namespace status = nvme::status;

bool acts(const nvme::Command& command) { return (command.cdw12 & io_bits::protection_action) != 0; }

// The initial reference tag and the storage tag share the space of Logical Block Tags Lower (CDW14) and Upper (CDW2 and
// CDW3), as wide as the tuple's (NVM Command Set 1.0, Figures 105 to 107).
uint64_t reference_of(const nvme::Command& command, Guard guard) {
    const uint64_t low = command.cdw14.value();
    const uint64_t high = command.cdw3.value();
    switch (guard) {
        case Guard::crc16: return low;
        case Guard::crc32: return high << 32 | low;
        case Guard::crc64: return (high & 0xFFFF) << 32 | low;
    }
    return low;
}

uint16_t storage_tag_of(const nvme::Command& command, Guard guard) {
    return guard == Guard::crc32 ? static_cast<uint16_t>(command.cdw2.value() & 0xFFFF) : uint16_t{0};
}

}  // namespace

bdev::Protection protection_for_unaware(uint64_t lba, const ProtectionFormat& format) {
    return {.reference = lba & format.reference_mask(),
            .is_ours = true,
            .checks_guard = true,
            .checks_reference = format.type != ProtectionType::type3};
}

bdev::Protection protection_of(const nvme::Command& command, const ProtectionFormat& format) {
    const uint32_t bits = command.cdw12;
    return {.reference = reference_of(command, format.guard),
            .storage_tag = storage_tag_of(command, format.guard),
            .application_tag = static_cast<uint16_t>(command.cdw15 & 0xFFFF),
            .application_mask = static_cast<uint16_t>(command.cdw15 >> 16),
            .is_ours = acts(command),
            .checks_guard = (bits & io_bits::check_guard) != 0,
            .checks_application = (bits & io_bits::check_application_tag) != 0,
            .checks_reference = (bits & io_bits::check_reference_tag) != 0,
            .checks_storage = (bits & io_bits::storage_tag_check) != 0};
}

// 5.3.3: for type 1 the command's tag is the LBA's low bits, for type 3 there is nothing to check.
bool is_reference_allowed(const bdev::Protection& protection, const ProtectionFormat& format, uint64_t lba) {
    if (format.type == ProtectionType::type3) return !protection.checks_reference;
    if (format.type != ProtectionType::type1 || (!protection.is_ours && !protection.checks_reference)) return true;
    return protection.reference == (lba & format.reference_mask());
}

uint32_t metadata_transferred(const nvme::Command& command, const NamespaceView& ns) {
    const bool is_left_to_us = ns.identity.hide_metadata || (acts(command) && ns.metadata.is_tuple_only());
    return is_left_to_us ? 0 : ns.metadata.metadata_bytes;
}

nvme::Status use_metadata(Request& request) {
    const NamespaceView& ns = *request.ns;
    const ProtectionFormat& format = ns.metadata;
    const nvme::Command& command = request.command;
    bdev::Request& io = request.io;
    io.metadata_in_data = bdev::has_data(io.op) && metadata_transferred(command, ns) != 0;
    io.protection = nullptr;
    if (!format.has_tuple()) return status::success;  // PRINFO has no meaning then
    const bool is_unaware = ns.identity.hide_metadata;
    request.protection = is_unaware ? protection_for_unaware(command.slba(), format) : protection_of(command, format);
    if (!is_unaware && !is_reference_allowed(request.protection, format, command.slba())) {
        return status::invalid_protection_information.with_dnr();
    }
    io.protection = &request.protection;
    return status::success;
}

}  // namespace weft::nvmf
