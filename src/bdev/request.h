// One I/O request to a block device: memory of the caller's, from submit until it is done.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/intrusive_list.h"
#include "bdev/protection/protection.h"
#include "env/clock.h"

namespace weft::bdev {

enum class Op : uint8_t {
    read,
    write,
    flush,         // what was acknowledged before is on stable storage when it is done
    unmap,         // the range's content is no longer needed; it reads as zero afterwards on every device of ours
    write_zeroes,
    compare,       // miscompare when the device holds anything else than `data`
    // Writes `data` if the device holds `expected`, and is a miscompare otherwise. Nothing else of the same device
    // comes in between: neither another thread's write nor a part of one.
    compare_and_write,
    copy,                 // within the device, from source_lba; each block is whole, the ranges may not overlap
    verify,               // can be read: no data comes
    write_uncorrectable,  // reads as read_error from now on, until it is written or unmapped
    zone_append,          // `lba` is the start of a zone; when it is done, it is where the data went
    zone_management,      // zone_action, on the zone that starts at `lba`, or on all
};
inline constexpr size_t op_count = 12;
// What compare_and_write takes at most (a block is never longer).
inline constexpr uint64_t compare_and_write_bytes_max = uint64_t{128} << 10;
std::string_view name_of(Op op);
constexpr bool has_data(Op op) {
    return op == Op::read || op == Op::write || op == Op::compare || op == Op::compare_and_write ||
           op == Op::zone_append;
}

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
    // Of zoned devices; see zones.h.
    zone_full,
    zone_read_only,
    zone_offline,
    zone_boundary,        // the range crosses the end of a zone, or what a zone can hold
    zone_invalid_write,   // not at the zone's write pointer
    zone_invalid_transition,
    too_many_active_zones,
    too_many_open_zones,
    guard_error,            // protection information: the guard does not fit the block
    application_tag_error,  // … the application tag is another
    reference_tag_error,    // … the block belongs elsewhere
    storage_tag_error,      // … the storage tag is another
};
inline constexpr size_t status_count = 23;
std::string_view name_of(Status status);

// What zone_management does.
enum class ZoneAction : uint8_t { open, close, finish, reset, offline };

// Where a request is between submit() and the module.
enum class GateStage : uint8_t {
    none,       // nowhere: not submitted, done, or passed on while nobody looked
    read_lane,  // waits for its share of a rate limit
    write_lane,
    held,     // its range is quiesced
    ready,    // the module had no room for it
    started,  // the module has it
    parts,    // is done in parts; `module_data` is the gate's
    aborted,  // is over, and will be said to be
};

struct Request {  // NOLINT(cppcoreguidelines-pro-type-member-init): module_data is raw memory
    Op op = Op::read;
    bool fua = false;                // write, write_zeroes: on stable storage before it is done
    Status status = Status::success; // set when it is done
    uint64_t lba = 0;                // first logical block
    uint64_t blocks = 0;
    // Of ops that has_data(): exactly blocks × block size bytes. With metadata_in_data each block is followed by its
    // metadata here; else `metadata` has that of all blocks, or is empty when nobody wants it.
    std::span<const iovec> data;
    std::span<const iovec> metadata;
    bool metadata_in_data = false;
    // nullptr: tuples are taken and given like other metadata. write_zeroes: is_ours makes them.
    const Protection* protection = nullptr;
    std::span<const iovec> expected;  // compare_and_write: as long as `data`
    uint64_t source_lba = 0;  // copy
    ZoneAction zone_action{};  // zone_management
    bool all_zones = false;  // zone_management: all that the action is for; `lba` is not looked at
    // A read that was planned without a buffer because its device lends(): done or to be retried, never pending.
    bool must_not_wait = false;
    // Called on the channel's thread, from its reactor's loop, when a request that was Progress::pending is done.
    void (*done)(Request& request) = nullptr;
    void* context = nullptr;  // the caller's

    uint64_t trace_owner = 0;  // whom it serves, in a trace (reactor/trace_here.h); 0: nobody

    // The block layer's.
    env::TimeNs submitted_at = 0;
    uint64_t trace_id = 0;  // who it is there; only while tracing
    // Of a channel with a gate (gate/channel_gate.h): where it is, and since when the module has it.
    GateStage gate_stage = GateStage::none;
    env::TimeNs started_at = 0;
    ListLink<Request> gate_link;
    ListLink<Request> link;  // queues of the module that has it
    // The module's: constructed in place by it (a file operation, a child request).
    static constexpr size_t module_bytes = 192;
    alignas(16) std::array<std::byte, module_bytes> module_data;
};

// What became of a request at submit().
enum class Progress : uint8_t {
    done,  // finished on the spot; `status` is set and `done` is not called
    pending,  // `done` will be called, from the loop
    retry,  // not taken, nothing happened: submit it again in a later turn (the device is short of something,
            // or another reactor holds the block for a moment)
};

}  // namespace weft::bdev
