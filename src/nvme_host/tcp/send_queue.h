// The PDUs of a connection that wait to be sent, and how far the first of them has gone.
//
// Data stays where it is: gather() describes headers, data and digests of many PDUs for one sendmsg, sent()
// is told how much the kernel took. Sans-I/O; belongs to one connection.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/intrusive_list.h"
#include "nvme/wire/encode.h"
#include "nvme_host/tcp/data_cursor.h"

namespace weft::nvme_host::tcp {

// A PDU to send. The memory that `data` looks at lives until it has gone.
struct Outgoing {
    std::array<std::byte, nvme::wire::encoded_size_max> header{};
    uint32_t header_size = 0;
    uint32_t data_size = 0;
    DataCursor data;          // where its data begins
    bool has_digest = false;  // of the data
    bool is_digest_made = false;
    le32 digest;
    uint32_t sent = 0;  // bytes of header, data and digest that have gone
    ListLink<Outgoing> link;

    [[nodiscard]] uint32_t size() const { return header_size + data_size + (has_digest ? nvme::wire::digest_size : 0); }
};

class SendQueue {
public:
    SendQueue() = default;
    SendQueue(const SendQueue&) = delete;
    SendQueue& operator=(const SendQueue&) = delete;
    ~SendQueue() { drop_all(); }

    [[nodiscard]] bool empty() const { return pdus_.empty(); }

    void push(Outgoing& pdu) {
        pdu.sent = 0;
        pdu.is_digest_made = false;
        pdus_.push_back(pdu);
    }

    struct Gathered {
        size_t pieces = 0;
        size_t bytes = 0;
    };
    // Describes what is to be sent next, from the front on, until `pieces` are used up or `bytes_max` is
    // reached (by the last PDU looked at, or passed by it).
    Gathered gather(std::span<iovec> pieces, size_t bytes_max);

    // `bytes` of what gather() described have gone; pop_gone() then gives the PDUs of which nothing is left.
    void sent(size_t bytes);
    // The next PDU that has gone entirely; nullptr when there is none.
    Outgoing* pop_gone();

    // Nothing more will be sent.
    void drop_all() {
        while (pdus_.pop_front() != nullptr) {
        }
    }
    // Nothing more will be sent but the rest of a PDU that has begun to go: to put a TermReq behind it.
    void drop_all_but_begun() {
        Outgoing* begun = !pdus_.empty() && pdus_.front()->sent != 0 ? pdus_.pop_front() : nullptr;
        drop_all();
        if (begun != nullptr) pdus_.push_back(*begun);
    }

private:
    IntrusiveList<Outgoing, &Outgoing::link> pdus_;
};

}  // namespace weft::nvme_host::tcp
