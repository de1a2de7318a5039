#include "bdev/request.h"

#include "base/assert.h"

namespace weft::bdev {

std::string_view name_of(Op op) {
    switch (op) {
        case Op::read: return "read";
        case Op::write: return "write";
        case Op::flush: return "flush";
        case Op::unmap: return "unmap";
        case Op::write_zeroes: return "write_zeroes";
        case Op::compare: return "compare";
        case Op::compare_and_write: return "compare_and_write";
        case Op::copy: return "copy";
        case Op::verify: return "verify";
        case Op::write_uncorrectable: return "write_uncorrectable";
        case Op::zone_append: return "zone_append";
        case Op::zone_management: return "zone_management";
    }
    return "unknown";
}

std::string_view name_of(Status status) {
    switch (status) {
        case Status::success: return "success";
        case Status::failed: return "failed";
        case Status::out_of_range: return "out_of_range";
        case Status::not_supported: return "not_supported";
        case Status::read_error: return "read_error";
        case Status::write_error: return "write_error";
        case Status::no_space: return "no_space";
        case Status::no_memory: return "no_memory";
        case Status::gone: return "gone";
        case Status::aborted: return "aborted";
        case Status::miscompare: return "miscompare";
        case Status::zone_full: return "zone_full";
        case Status::zone_read_only: return "zone_read_only";
        case Status::zone_offline: return "zone_offline";
        case Status::zone_boundary: return "zone_boundary";
        case Status::zone_invalid_write: return "zone_invalid_write";
        case Status::zone_invalid_transition: return "zone_invalid_transition";
        case Status::too_many_active_zones: return "too_many_active_zones";
        case Status::too_many_open_zones: return "too_many_open_zones";
        case Status::guard_error: return "guard_error";
        case Status::application_tag_error: return "application_tag_error";
        case Status::reference_tag_error: return "reference_tag_error";
        case Status::storage_tag_error: return "storage_tag_error";
    }
    return "unknown";
}

}  // namespace weft::bdev
