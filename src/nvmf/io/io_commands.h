// I/O commands: NVM Command Set 1.0, 3.2, on block devices. Runs on the poll group's thread; allocates nothing.
//
// A transport calls plan_io() when the command has arrived, moves the data that the plan asks for, then calls
// execute_io(). What follows is up to the request: it ends in Qpair::send().
#pragma once

#include "nvmf/request.h"

namespace weft::nvmf {

// Checks the command against its namespace and fills direction and data_bytes. `sgl_bytes` is what the host's SGL
// describes, `queue` the request's. Success means: do the data phase, then execute. Changes nothing else.
nvme::Status plan_io(Request& request, uint32_t sgl_bytes);

// The NVMe status for a device's.
nvme::Status to_nvme(bdev::Status outcome);

// Its data is kept on the heap, and never waits for buffers of the pool.
bool uses_heap(const Request& request);

// The data may be passed to execute_io() in the receive buffer (DataSource::received): the device takes it at once.
bool takes_received_data(const Request& request);

// Starts the command, whose data (to the device) is in request.iov. From states free, receiving,
// waiting_for_buffer, held and retrying.
void execute_io(Request& request);

// The request no longer uses its namespace.
void release_namespace(Request& request);

// Ends a request that waits (buffer, pause, retry, data): out of its list. The caller completes or frees it.
void stop_waiting(Request& request);

}  // namespace weft::nvmf
