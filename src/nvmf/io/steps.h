// Steps that I/O commands of several kinds take: for the files of this folder only.
#pragma once

#include "nvmf/io/io_commands.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// The command is over: fills the status, lets go of its namespace, and sends.
void finish_io(Request& request, nvme::Status outcome);
// It waits until the pause of its namespace is over.
void hold(Request& request);
// The device would not take it now: it is executed once more in a later turn.
void retry_later(Request& request);
// Gives the device request.io, whose `done` and `context` are set. Data in the receive buffer cannot wait for a later
// turn, so that a device that takes such data is asked until it takes it.
bdev::Progress submit_io(Request& request);
// One operation is all that the command does.
void start_io(Request& request, bdev::Op op, uint64_t lba, uint64_t blocks);
// The namespace is used by the request from now on.
void use_namespace(Request& request, NamespaceView& ns);
// Pool buffers for `bytes`. False: the request waits for them, and is executed once more when it has them.
bool get_buffers(Request& request, uint32_t bytes);

nvme::Status check_range(const nvme::Command& command, const NamespaceView& ns);

}  // namespace weft::nvmf
