// One direction of a simulated connection, and the connection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "env/address.h"
#include "env/sim/machine.h"
#include "env/sim/waiter.h"

namespace weft::sim {

// The bytes of one direction, first in first out: those that have arrived, then those in flight. Each is copied in once
// and out once.
class PipeBytes {
public:
    [[nodiscard]] size_t arrived() const { return arrived_; }
    [[nodiscard]] size_t in_flight() const { return bytes_.size() - start_ - arrived_; }
    void send(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    // The first in flight.
    [[nodiscard]] MutableBytes next(size_t count) { return MutableBytes(bytes_).subspan(start_ + arrived_, count); }
    void arrive(size_t count) {
        WEFT_ASSERT(count <= in_flight());
        arrived_ += count;
    }
    void lose_in_flight() { bytes_.resize(start_ + arrived_); }
    // As much as there is of what has arrived; returns how much.
    size_t receive(MutableBytes into) {
        const size_t count = std::min(into.size(), arrived_);
        std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(start_), count, into.begin());
        start_ += count;
        arrived_ -= count;
        // Moving the rest down is paid for by what was taken out.
        if (start_ >= bytes_.size() / 2 + 1 || start_ == bytes_.size()) {
            bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(start_));
            start_ = 0;
        }
        return count;
    }

private:
    std::vector<std::byte> bytes_;
    size_t start_ = 0;
    size_t arrived_ = 0;
};

struct Pipe {
    static constexpr uint64_t no_cut = std::numeric_limits<uint64_t>::max();

    PipeBytes bytes;  // sent, not received
    uint64_t used_bytes = 0;  // of the window: sent and not known to the sender to be received
    uint64_t received_unacked = 0;
    uint64_t window_bytes = 0;
    uint64_t delivered = 0;  // bytes that ever arrived
    uint64_t cut_at = no_cut;  // of `delivered`
    bool cut_with_reset = false;
    bool end_sent = false;
    bool end_arrived = false;
    bool is_delivery_due = false;  // an event for it exists
    bool is_ack_due = false;
    bool wants_room = false;  // the sender was turned away: tell when there is room
    bool is_timed = false;  // the user timeout of the sender runs

    // As Linux counts it (sk_stream_is_writeable): a third of the window must be free.
    [[nodiscard]] bool has_room() const { return used_bytes * 3 <= window_bytes * 2; }
};

struct End {
    Machine* machine = nullptr;
    env::Address local;
    Source* source = nullptr;  // of the stream, once there is one
    bool is_open = false;  // a stream or a listener's queue holds it
    bool is_connected = false;
    std::optional<Errc> error;  // for good
    uint32_t user_timeout_ms = 0;
};

struct Connection {
    uint64_t id = 0;
    End ends[2];  // 0 connected, 1 accepted
    Pipe pipes[2];  // [side] carries what ends[side] sends
    env::Address target;  // as connect() was told
    bool is_severed = false;  // something between the machines has ended it: what is sent is answered by a reset
};

}  // namespace weft::sim
