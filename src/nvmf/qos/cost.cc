#include "nvmf/qos/cost.h"

#include "nvmf/io/copy.h"
#include "nvmf/io/opcodes.h"
#include "nvmf/qpair.h"
#include "nvmf/reservation/commands.h"

namespace weft::nvmf {

IoCost cost_of(const Request& request) {
    const nvme::Command& command = request.command;
    const NamespaceView* ns = request.qpair->find_namespace(command.nsid);
    if (ns == nullptr || is_reservation_command(command.io_opcode())) return {.is_free = true};
    IoCost cost{.is_write = (traits_of(command) & io_trait::writes) != 0};
    switch (command.io_opcode()) {
        case nvme::IoOpcode::read:
        case nvme::IoOpcode::write:
        case nvme::IoOpcode::compare:
        case nvme::IoOpcode::zone_append: cost.bytes = request.data_bytes; break;
        case nvme::IoOpcode::verify: cost.bytes = uint64_t{command.block_count()} << ns->block_shift; break;
        case nvme::IoOpcode::copy: cost.bytes = copied_blocks(request) << ns->block_shift; break;
        default: break;
    }
    return cost;
}

}  // namespace weft::nvmf
