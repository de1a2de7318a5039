// What a program that embeds the target does with admin commands of its own, or instead of ours.
#pragma once

#include <functional>
#include <optional>

#include "nvme/status.h"
#include "nvmf/request.h"

namespace weft::nvmf {

class Controller;

struct AdminHook {
    // How many bytes of data go with the command, in the direction that bits 1:0 of its opcode say; at most what the
    // host's SGL holds and max_io_size. Empty: none.
    std::function<uint32_t(const nvme::Command& command)> data_bytes;
    // Executes the command: reads or fills request.control_data(), sets completion.cdw0 if there is something to say,
    // returns the status. nullopt: not this one, the target executes it as if there were no hook.
    // Called on the thread of the controller's poll group: it must not block, and must be safe on several threads.
    std::function<std::optional<nvme::Status>(Controller& controller, Request& request)> execute;
};

}  // namespace weft::nvmf
