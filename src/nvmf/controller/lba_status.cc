// Get LBA Status (NVM Command Set 1.0, 4.2). What a device knows of blocks that read as errors is all that there is: a
// scan finds no more.
#include "nvme/lba_status.h"

#include <algorithm>

#include "base/endian.h"
#include "bdev/device.h"
#include "nvmf/controller/controller.h"
#include "nvmf/io/gate.h"

namespace weft::nvmf {

namespace status = nvme::status;

nvme::Status Controller::get_lba_status(Request& request) const {
    const auto wanted = nvme::LbaStatusRequest::from(request.command);
    if (wanted.action != nvme::LbaStatusAction::scan && wanted.action != nvme::LbaStatusAction::tracked) {
        return status::invalid_field.with_dnr();
    }
    const NamespaceView* ns = request.qpair->find_namespace(request.command.nsid);
    if (ns == nullptr) return status::invalid_namespace_or_format.with_dnr();
    if (const AnaView* ana = request.qpair->ana; ana != nullptr) {
        const nvme::AnaState state = ana->state_of(ns->identity.anagrpid);
        if (!is_accessible(state)) return path_refusal(*ns, state);
    }
    const uint64_t total = ns->device->block_count();
    if (wanted.slba >= total || wanted.blocks > total - wanted.slba) return status::lba_out_of_range.with_dnr();

    MutableBytes data = request.control_data().first(request.data_bytes);
    std::ranges::fill(data, std::byte{0});
    nvme::LbaStatusHeader header{};
    header.cmpc = static_cast<uint8_t>(nvme::LbaStatusCompletion::incomplete);
    if (data.size() >= sizeof header) {
        const size_t fitting = (data.size() - sizeof header) / sizeof(nvme::LbaStatusDescriptor);
        const uint64_t blocks = wanted.blocks == 0 ? total - wanted.slba : wanted.blocks;
        // One more than fits tells whether there are more.
        const auto bad = ns->device->unreadable(wanted.slba, blocks, fitting + 1);
        if (bad.size() <= fitting) header.cmpc = static_cast<uint8_t>(nvme::LbaStatusCompletion::complete);
        header.nlsd = static_cast<uint32_t>(std::min(bad.size(), fitting));
        store(data, header);
        data = data.subspan(sizeof header);
        for (size_t at = 0; at < header.nlsd; ++at) {
            nvme::LbaStatusDescriptor entry{};
            entry.dslba = bad[at].first;
            entry.nlb = static_cast<uint32_t>(std::min<uint64_t>(bad[at].blocks, UINT32_MAX));
            store(data, entry);
            data = data.subspan(sizeof entry);
        }
    }
    return status::success;
}

}  // namespace weft::nvmf
