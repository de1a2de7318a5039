// What is counted of a target beside its block devices: I/O commands of a queue or a namespace, and what a transport
// moved. Written on one poll group's thread, and read there.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "bdev/meter.h"

namespace weft::nvmf {

struct Request;

enum class IoKind : uint8_t { read, write, other };
inline constexpr size_t io_kind_count = 3;
std::string_view name_of(IoKind kind);

struct IoFigures {
    std::array<bdev::OpStatistics, io_kind_count> kinds{};  // by IoKind: answered with success
    uint64_t errors = 0;                                    // answered with another status

    [[nodiscard]] const bdev::OpStatistics& of(IoKind kind) const { return kinds[static_cast<size_t>(kind)]; }
    void add(const IoFigures& other);
};

// Latency is from the turn in which a command's capsule arrived to the one in which its last byte of answer was given
// to the transport.
class IoMeter {
public:
    void count(Reactor& reactor, IoKind kind, uint64_t bytes, env::TimeNs began) {
        meter_.count(reactor, static_cast<size_t>(kind), bytes, began);
    }
    void count_error() { ++figures_.errors; }
    [[nodiscard]] const IoFigures& figures() const { return figures_; }

private:
    IoFigures figures_;
    bdev::Meter<io_kind_count> meter_{figures_.kinds};
};

// An I/O command's answer is out: counts it for its poll group, queue and namespace.
void count_io(const Request& request);

struct TransportFigures {
    uint64_t connections = 0;     // accepted
    uint64_t terminations = 0;    // that were ended for a violation of the protocol
    uint64_t refused_connections = 0;  // there were too many, in all or of their source
    uint64_t displaced_connections = 0;  // had no finished Connect, and made room for others
    uint64_t timed_out_connections = 0;  // did not finish Connect, or a PDU, in time
    uint64_t received_bytes = 0;  // headers, data and digests
    uint64_t sent_bytes = 0;
    uint32_t current_connections = 0;
    uint32_t current_connecting = 0;  // those without a finished Connect
    uint32_t requests_in_flight = 0;
    uint32_t waiting_for_buffers = 0;

    void add(const TransportFigures& other);
};

}  // namespace weft::nvmf
