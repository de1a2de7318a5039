#include "accel/protection/protection.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/crc_guard.h"

namespace weft::accel {

namespace {

// Everything of a tuple is big-endian.
void put(MutableBytes field, uint64_t value) {
    for (size_t at = field.size(); at-- > 0; value >>= 8) field[at] = static_cast<std::byte>(value & 0xFF);
}
uint64_t get(Bytes field) {
    uint64_t value = 0;
    for (const std::byte byte : field) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
}

// Figures 102 to 104: guard, application tag, then the space of storage and reference tag.
struct Layout {
    size_t guard;
    size_t storage;
    size_t reference;
};
constexpr size_t application_bytes = 2;
constexpr Layout layout_of(Guard guard) {
    switch (guard) {
        case Guard::crc16: return {2, 0, 4};
        case Guard::crc32: return {4, 2, 8};
        case Guard::crc64: return {8, 0, 6};
    }
    return {};
}

template <class View>
struct Tuple {
    View guard, application, storage, reference;
    Tuple(const ProtectionFormat& format, View metadata) {
        const Layout layout = layout_of(format.guard);
        View rest = metadata.subspan(format.tuple_offset(), format.tuple_bytes());
        const auto take = [&rest](size_t bytes) {
            const View field = rest.first(bytes);
            rest = rest.subspan(bytes);
            return field;
        };
        guard = take(layout.guard);
        application = take(application_bytes);
        storage = take(layout.storage);
        reference = take(layout.reference);
        WEFT_ASSERT(rest.empty());
    }
};

// 5.3.1: over the data, and the metadata that lies before the tuple.
uint64_t guard_of(const ProtectionFormat& format, Bytes data, Bytes metadata) {
    const Bytes before = metadata.first(format.tuple_offset());
    switch (format.guard) {
        case Guard::crc16: return crc16_t10dif(crc16_t10dif(0, data), before);
        case Guard::crc32: return crc32c_finish(crc32c_update(crc32c_update(crc32c_seed, data), before));
        case Guard::crc64:
            return crc64_nvme_finish(crc64_nvme_update(crc64_nvme_update(crc64_nvme_seed, data), before));
    }
    return 0;
}

uint64_t reference_of(const ProtectionFormat& format, const Protection& protection, uint64_t index) {
    const uint64_t counted = format.type == ProtectionType::type3 ? 0 : index;
    return (protection.reference + counted) & format.reference_mask();
}

constexpr uint16_t escape_tag = 0xFFFF;

}  // namespace

Result<void> check_format(const ProtectionFormat& format, uint32_t block_bytes) {
    if (format.metadata_bytes == 0) {
        if (format.type == ProtectionType::none) return {};
        return fail(Errc::invalid_argument, "protection information lies in the metadata: give md_size, too");
    }
    if (format.metadata_bytes > metadata_bytes_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("{} bytes of metadata a block: at most {}", format.metadata_bytes, metadata_bytes_max));
    }
    if (format.type == ProtectionType::none) return {};
    if (format.metadata_bytes < format.tuple_bytes()) {
        return fail(Errc::invalid_argument,
                    fmt::format("{} bytes of metadata a block: this protection information needs {}",
                                format.metadata_bytes, format.tuple_bytes()));
    }
    // 5.3.1.2 and 5.3.1.3: the wide guards are for blocks of 4 KiB and more.
    if (format.guard != Guard::crc16 && block_bytes < 4096) {
        return fail(Errc::invalid_argument, "guards of 32 and 64 bits are for blocks of at least 4096 bytes");
    }
    return {};
}

void write_tuple(const ProtectionFormat& format, const Protection& protection, uint64_t index, Bytes data,
                 MutableBytes metadata) {
    const Tuple<MutableBytes> tuple(format, metadata);
    put(tuple.application, protection.application_tag);
    put(tuple.storage, protection.storage_tag);
    put(tuple.reference, reference_of(format, protection, index));
    put(tuple.guard, guard_of(format, data, metadata));
}

Verdict check_tuple(const ProtectionFormat& format, const Protection& protection, uint64_t index, Bytes data,
                    Bytes metadata) {
    const Tuple<Bytes> tuple(format, metadata);
    const uint64_t application = get(tuple.application);
    // 5.3.2: this tag turns the checks off; for type 3 only together with that reference tag.
    if (application == escape_tag &&
        (format.type != ProtectionType::type3 || get(tuple.reference) == format.reference_mask())) {
        return Verdict::right;
    }
    if (protection.checks_guard && get(tuple.guard) != guard_of(format, data, metadata)) return Verdict::wrong_guard;
    if (protection.checks_application &&
        ((application ^ protection.application_tag) & protection.application_mask) != 0) {
        return Verdict::wrong_application;
    }
    if (protection.checks_reference && format.type != ProtectionType::type3 &&
        get(tuple.reference) != reference_of(format, protection, index)) {
        return Verdict::wrong_reference;
    }
    if (protection.checks_storage && !tuple.storage.empty() && get(tuple.storage) != protection.storage_tag) {
        return Verdict::wrong_storage;
    }
    return Verdict::right;
}

void write_escape(const ProtectionFormat& format, MutableBytes metadata) {
    const MutableBytes tuple = metadata.subspan(format.tuple_offset(), format.tuple_bytes());
    std::memset(tuple.data(), 0xFF, tuple.size());
}

}  // namespace weft::accel
