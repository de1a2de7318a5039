// Fused operations: Compare and Write as one (NVMe Base 2.0, 3.4.2; NVM Command Set 1.0, 2.1.4.2).
//
// The first command waits for the second, which must be the very next of its queue, and for its data; the device then
// does both at once (bdev::Op::compare_and_write), so that no other writer comes in between. The second request is the
// one that the device has; the first only lends it the data that is expected. Either ends when the other does:
//
//     compare | write
//     success | success
//     Compare Failure (or why it could not be read) | Command Aborted due to Failed Fused Command
//     Command Aborted due to Failed Fused Command   | why it was refused before, or could not be written
//     Command Aborted due to Missing Fused Command  for one that stays alone
//
// Their data is on the heap: a pair never waits for buffers of the pool, half of which it might have.
#pragma once

#include "nvmf/request.h"
#include "nvmf/transport_options.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// Bytes that a pair may write on this queue: NACWU says so in blocks.
uint32_t fused_bytes_max(const TransportOptions& options);

// It is half of a pair, or would be.
inline bool is_fused(const Request& request) { return request.command.fuse() != nvme::Fuse::none; }

// plan_io()'s part: the command may be what FUSE says.
nvme::Status plan_fused(const Request& request, const NamespaceView& ns);

// Every command that arrives while the queue waits for a second one, and every fused one, in the order of arrival.
// `planned` is what became of its planning; the status is what becomes of it now.
nvme::Status arrive_fused(Request& request, nvme::Status planned);

// execute_io()'s part: its data is there.
void execute_fused(Request& request);

// It ends with an error of its own before it was executed, or its connection is gone: nothing refers to it any more,
// and the other half fails.
void leave_fused(Request& request);

// It is gone with its connection, as the other half will be.
void forget_fused(Request& request);

// Abort asks for it. True when it ends, or will end, by that.
bool abort_fused(Request& request);

}  // namespace weft::nvmf
