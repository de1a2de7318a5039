// I/O of the control path: superblocks, partition tables, rebuilds. Coroutines of the app thread that wait for a
// request; the request itself runs on the registry's I/O thread.
#pragma once

#include "base/bytes.h"
#include "bdev/registry.h"
#include "reactor/task.h"

namespace weft::bdev {

// Opens a channel of `device` on the I/O thread, has it do `request` (what submit() needs is set, but for `done` and
// `context`), and closes it. The caller holds the device open and the data alive until this ends. Gives the request's
// status; failed when the device cannot be opened.
Task<Status> run_request(Registry& registry, Device& device, Request& request);

// The same for data in one piece, of whole blocks. The memory is aligned as the device wants it.
Task<Status> read_blocks(Registry& registry, Device& device, uint64_t lba, MutableBytes into);
Task<Status> write_blocks(Registry& registry, Device& device, uint64_t lba, Bytes from, bool fua = true);
Task<Status> flush_device(Registry& registry, Device& device);

}  // namespace weft::bdev
