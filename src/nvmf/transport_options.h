// Options of a transport: nvmf_create_transport's parameters, with the field's names and defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace weft::nvmf {

// How long a connection is kept whose peer acknowledges nothing.
inline constexpr uint32_t default_ack_timeout_ms = 30000;

struct TransportOptions {
    std::string trtype = "TCP";
    uint16_t max_queue_depth = 128;
    uint32_t max_aq_depth = 128;
    uint16_t max_io_qpairs_per_ctrlr = 127;
    uint32_t in_capsule_data_size = 4096;
    uint32_t max_io_size = 131072;
    uint32_t io_unit_size = 131072;
    uint32_t num_shared_buffers = 511;
    // Buffers set aside for each poll group; without it, three quarters of the pool are shared out.
    std::optional<uint32_t> buf_cache_size;
    bool c2h_success = true;
    bool dif_insert_or_strip = false;
    bool zcopy = false;
    // Long reads of lent memory go out by reference (Stream::send_in_place): a block that is written while the host has
    // not read the answer yet may be torn in it.
    bool zero_copy_reads = false;
    uint32_t sock_priority = 0;
    uint32_t abort_timeout_sec = 1;
    uint32_t ack_timeout = 0;  // ms, TCP_USER_TIMEOUT; 0 (the field's default) stands for default_ack_timeout_ms
    uint16_t control_msg_num = 32;  // accepted and shown: control data never waits for buffers here
    uint32_t acceptor_poll_rate = 10000;  // µs; accepting is driven by events, this is only shown
    // As many as the system lets wait by itself (net.core.somaxconn): a host for which there is no room asks again
    // only after a second.
    uint32_t acceptor_backlog = 4096;
    bool disable_command_passthru = false;
    // Bits of ONCS and FUSES that controllers do not show.
    uint16_t masked_oncs = 0;
    uint16_t masked_fuses = 0;
    // Shown as they were given: buffers are the transport's own, and RDMA's work requests are not there.
    uint32_t iobuf_small_cache_size = UINT32_MAX;
    uint32_t iobuf_large_cache_size = UINT32_MAX;
    uint32_t data_wr_pool_size = 0;
    // A dead host should be noticed within the time it asked for; the field's 10 s would stretch most requests.
    uint16_t kas = 10;  // keep-alive granularity, 100 ms units
    uint32_t min_kato = 1000;  // ms
    uint32_t association_timeout = 120000;  // ms; the keep-alive time-out of a host that names none
    std::string congestion_control;  // of accepted sockets; "" leaves the system's
    uint32_t handshake_timeout_ms = 10000;  // from accept to a finished Connect, whatever comes meanwhile
    uint32_t pdu_timeout_ms = 10000;  // for a PDU that was begun, in either direction, to come to its end; 0: no limit
    uint32_t max_connections = 0;  // 0: as many as there are descriptors for
    uint32_t max_connections_per_source = 0;  // of one address; 0: no limit
    uint32_t max_connecting = 1024;  // without a finished Connect; and once more, on their way through TLS
    uint32_t receive_buffer_bytes = 0;  // SO_RCVBUF of accepted sockets; 0 leaves the system's automatic size
    uint32_t send_buffer_bytes = 0;

    // Errors: invalid_argument, naming the option and the bounds.
    [[nodiscard]] Result<void> check() const;
    // Buffers that the longest I/O takes, and that in-capsule data does.
    [[nodiscard]] uint32_t buffers_per_io() const { return (max_io_size + io_unit_size - 1) / io_unit_size; }
    [[nodiscard]] uint32_t buffers_per_capsule() const {
        return (in_capsule_data_size + io_unit_size - 1) / io_unit_size;
    }
    // The reserve of each of `group_count` poll groups, with what is kept for in-capsule data.
    [[nodiscard]] uint32_t buffers_per_group(uint32_t group_count) const;
    // Every I/O of every group gets its buffers in the end, whatever the others hold back for good. Errors:
    // invalid_argument, with a number that would do.
    [[nodiscard]] Result<void> check_buffers(uint32_t group_count) const;
};

}  // namespace weft::nvmf
