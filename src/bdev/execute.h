// Requests of the control path, which wait: superblocks, examples, tests. Data paths submit by themselves.
#pragma once

#include "bdev/device.h"
#include "bdev/request.h"
#include "reactor/task.h"

namespace weft::bdev {

// Submits `request` through `channel`, again and again while the device is short of something, and waits until it is
// done. On the channel's thread; `done` and `context` are taken. Returns the status.
Task<Status> execute(Channel& channel, Request& request);

// A Result of what became of a request: io_error with `doing` and the status' name, no_space, not_supported and so on.
Result<void> result_of(Status status, std::string_view doing);

}  // namespace weft::bdev
