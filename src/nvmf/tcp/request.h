// A request slot of the TCP transport: the command, and how far its PDUs are received and sent.
#pragma once

#include <array>
#include <cstdint>

#include "nvme/wire/encode.h"
#include "nvmf/request.h"

namespace weft::nvmf::tcp {

struct TcpRequest : Request {  // NOLINT(cppcoreguidelines-pro-type-member-init): nor head and tail
    uint16_t slot = 0;             // its place in the group's slots, and the TTAG of its R2Ts

    // Data from the host.
    uint32_t received_bytes = 0;   // arrived, in order from 0
    uint32_t granted_bytes = 0;    // R2Ts that were queued cover [0, granted_bytes)
    bool r2t_sent = false;         // the last of these was handed to the socket: H2CData may come
    uint16_t looks = 0;            // that Connection::look_at_progress() found it waiting for data
    bool is_r2t_queued = false;    // it is in the connection's send queue as an R2T
    nvme::Status refusal;          // decided while its data is still arriving; sent at the end of the PDU

    // What is sent: head, data (Request::iov), tail.
    bool has_sqhd = false;
    bool is_lending = false;       // iov is device memory, for this flush only
    uint8_t head_bytes = 0;
    uint8_t tail_bytes = 0;
    uint32_t payload_bytes = 0;    // of iov that go out
    uint32_t sent_bytes = 0;       // of head, data and tail, handed to the socket
    std::array<std::byte, nvme::wire::pdo_max> head;
    std::array<std::byte, nvme::wire::digest_size + sizeof(nvme::wire::CapsuleResp) + nvme::wire::digest_size> tail;

    ListLink<TcpRequest> send_link;

    [[nodiscard]] uint32_t total_bytes() const { return head_bytes + payload_bytes + tail_bytes; }
    void reset_tcp() {
        reset();
        received_bytes = 0;
        granted_bytes = 0;
        r2t_sent = false;
        looks = 0;
        is_r2t_queued = false;
        refusal = {};
        has_sqhd = false;
        is_lending = false;
        head_bytes = 0;
        tail_bytes = 0;
        payload_bytes = 0;
        sent_bytes = 0;
    }
};

}  // namespace weft::nvmf::tcp
