// One I/O request to a block device: memory of the caller's, from submit until it is done.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/intrusive_list.h"
#include "env/clock.h"

namespace weft::bdev {

enum class Op : uint8_t {
    read,
    write,
    flush,         // what was acknowledged before is on stable storage when it is done
    unmap,         // the range's content is no longer needed; it reads as zero afterwards on every device of ours
    write_zeroes,
    compare,       // miscompare when the device holds anything else than `data`
};
inline constexpr size_t op_count = 6;
std::string_view name_of(Op op);

enum class Status : uint8_t {
    success,
    failed,         // for a reason that none of the others names
    out_of_range,   // beyond the end of the device
    not_supported,  // the device does not do this op
    read_error,
    write_error,
    no_space,
    no_memory,
    gone,           // the device is being removed
    aborted,
    miscompare,
};
inline constexpr size_t status_count = 11;
std::string_view name_of(Status status);

struct Request {  // NOLINT(cppcoreguidelines-pro-type-member-init): module_data is raw memory
    Op op = Op::read;
    bool fua = false;                // write, write_zeroes: on stable storage before it is done
    Status status = Status::success; // set when it is done
    uint64_t lba = 0;                // first logical block
    uint64_t blocks = 0;
    std::span<const iovec> data;     // read, write, compare: exactly blocks × block size bytes
    // Called on the channel's thread, from its reactor's loop, when a request that was Progress::pending is done.
    void (*done)(Request& request) = nullptr;
    void* context = nullptr;         // the caller's

    uint64_t trace_owner = 0;        // whom it serves, in a trace (reactor/trace_here.h); 0: nobody

    // The block layer's.
    env::TimeNs submitted_at = 0;
    uint64_t trace_id = 0;           // who it is there; only while tracing
    ListLink<Request> link;          // queues of the module that has it
    // The module's: constructed in place by it (a file operation, a child request).
    static constexpr size_t module_bytes = 192;
    alignas(16) std::array<std::byte, module_bytes> module_data;
};

// What became of a request at submit().
enum class Progress : uint8_t {
    done,     // finished on the spot; `status` is set and `done` is not called
    pending,  // `done` will be called, from the loop
    retry,    // not taken, nothing happened: submit it again in a later turn (the device is short of something,
              // or another reactor holds the block for a moment)
};

}  // namespace weft::bdev
