// A Write whose data the device takes as it arrives, block by block, from where it was received: no buffer for the
// whole of it, no copy into one. For devices that consume data inline, and data that needs no check before it may
// enter the device (no data digest). Of a Write that fails or is never finished some blocks may be written; each
// block is whole (NVM Command Set 1.0, 2.1.4: AWUPF is one block here).
//
// On the poll group's thread; nothing is allocated but when a pause of the namespace, or a hold or a rate limit of
// its device, comes in between: then the rest is kept, and written like any other data.
#pragma once

#include "base/bytes.h"
#include "nvmf/request.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// The planned Write may be streamed. `buffer_bytes`: of a pool buffer, which must hold a block.
bool can_stream(const Request& request, uint32_t buffer_bytes);

// The namespace is the one where the first blocks are, if the request was streamed: or else it must not succeed.
bool is_stream_intact(const Request& request, const NamespaceView& ns);

// Begins: `block` is a buffer of the pool that holds a block in pieces.
void start_stream(Request& request, std::byte* block);

// The next of the command's data. Other than success: the Write has failed, and its remaining data is not wanted.
nvme::Status stream(Request& request, Bytes data);

}  // namespace weft::nvmf
