// The file in which a namespace's reservation outlives a loss of power (ptpl_file): JSON with the field's names.
//
//   {"ptpl":true,"rtype":1,"crkey":43981,"bdev_uuid":"…","holder_uuid":"…","registrants":[{"rkey":43981,"host_uuid":"…"}]}
//
// A file is what an operator, or another program, may have written: it is taken only if a target can have come to it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/uuid.h"
#include "nvmf/reservation/state.h"

namespace weft::nvmf {

inline constexpr size_t reservation_file_bytes_max = 64 * 1024;

// `device`: of the bdev behind the namespace.
std::string write_reservation(const ReservationRecord& record, const Uuid& device);
// An empty text, or one that says "ptpl": false, is a record of nothing. Errors: protocol_error (not the format),
// invalid_argument (another device's, or a state that cannot be); the message says what to do.
Result<ReservationRecord> read_reservation(std::string_view text, const Uuid& device);

}  // namespace weft::nvmf
