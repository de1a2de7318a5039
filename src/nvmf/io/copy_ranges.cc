#include "nvmf/io/copy_ranges.h"

#include "nvme/copy.h"

namespace weft::nvmf {

namespace {

uint64_t big_endian(std::span<const uint8_t> bytes) {
    uint64_t value = 0;
    for (const uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

template <class Descriptor>
CopyRange common_part(const Descriptor& from) {
    return {.slba = from.slba,
            .blocks = uint32_t{from.block_count} + 1,
            .application_tag = from.elbat,
            .application_mask = from.elbatm};
}

}  // namespace

uint32_t copy_format(const nvme::Command& command) { return nvme::copy::format.of(command.cdw12.value()); }

bool is_copy_format_known(uint32_t format) { return format <= 1; }

uint32_t copy_range_bytes(uint32_t format) {
    return format == 1 ? sizeof(nvme::CopySourceRange1) : sizeof(nvme::CopySourceRange);
}

uint32_t copy_range_count(const nvme::Command& command) { return nvme::copy::ranges.of(command.cdw12.value()) + 1; }

CopyRange copy_range_at(const Request& request, size_t index, bdev::Guard guard) {
    const uint32_t format = copy_format(request.command);
    const Bytes bytes = Bytes(request.control.get(), request.data_bytes).subspan(index * copy_range_bytes(format));
    if (format == 0) {
        const auto from = load<nvme::CopySourceRange>(bytes);
        CopyRange range = common_part(from);
        range.reference = from.eilbrt;
        return range;
    }
    const auto from = load<nvme::CopySourceRange1>(bytes);
    CopyRange range = common_part(from);
    const std::span<const uint8_t> tags = from.elbt;
    if (guard == bdev::Guard::crc32) {
        range.storage_tag = static_cast<uint16_t>(big_endian(tags.first(2)));
        range.reference = big_endian(tags.last(8));
    } else {
        range.reference = big_endian(tags.last(6));
    }
    return range;
}

bdev::Protection read_protection(const nvme::Command& command, const CopyRange& range) {
    namespace bits = nvme::copy;
    const uint32_t word = command.cdw12;
    return {.reference = range.reference,
            .storage_tag = range.storage_tag,
            .application_tag = range.application_tag,
            .application_mask = range.application_mask,
            .is_ours = (word & bits::read_protection_action) != 0,
            .checks_guard = (word & bits::read_check_guard) != 0,
            .checks_application = (word & bits::read_check_application_tag) != 0,
            .checks_reference = (word & bits::read_check_reference_tag) != 0,
            .checks_storage = (word & bits::read_storage_tag_check) != 0};
}

}  // namespace weft::nvmf
