#include "bdev_modules/error/injection.h"

#include <algorithm>
#include <array>

namespace weft::bdev {

std::optional<Status> status_of_nvme(uint32_t sct, uint32_t sc) {
    struct Row {
        uint32_t sct;
        uint32_t sc;
        Status status;
    };
    // NVMe Base 2.0, 3.2.1.2: Figures 94 to 97; the inverse of what nvmf/io answers.
    static constexpr std::array rows = {
        Row{0, 0x01, Status::not_supported},
        Row{0, 0x06, Status::failed},
        Row{0, 0x07, Status::aborted},
        Row{0, 0x21, Status::no_memory},
        Row{0, 0x80, Status::out_of_range},
        Row{0, 0x81, Status::no_space},
        Row{1, 0xB8, Status::zone_boundary},
        Row{1, 0xB9, Status::zone_full},
        Row{1, 0xBA, Status::zone_read_only},
        Row{1, 0xBB, Status::zone_offline},
        Row{1, 0xBC, Status::zone_invalid_write},
        Row{1, 0xBD, Status::too_many_active_zones},
        Row{1, 0xBE, Status::too_many_open_zones},
        Row{1, 0xBF, Status::zone_invalid_transition},
        Row{2, 0x80, Status::write_error},
        Row{2, 0x81, Status::read_error},
        Row{2, 0x82, Status::guard_error},
        Row{2, 0x83, Status::application_tag_error},
        Row{2, 0x84, Status::reference_tag_error},
        Row{2, 0x85, Status::miscompare},
    };
    const auto found = std::ranges::find_if(rows, [=](const Row& row) { return row.sct == sct && row.sc == sc; });
    return found == rows.end() ? std::nullopt : std::optional(found->status);
}

}  // namespace weft::bdev
