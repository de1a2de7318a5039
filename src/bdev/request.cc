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
    }
    return "unknown";
}

}  // namespace weft::bdev
