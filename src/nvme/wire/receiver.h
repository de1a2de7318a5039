// Takes the bytes of an NVMe/TCP connection, in pieces of any size, and tells what PDUs they are.
//
//     for (Bytes input = what_was_received; ;) {
//         const Event event = receiver.next(input);
//         switch (event.kind) {
//             case Event::Kind::need_more: return;   // `input` is used up
//             case Event::Kind::begin:               // receiver.header(): look up where the data goes
//             case Event::Kind::data:                // event.data, a piece of `input`: copy it there
//             case Event::Kind::end:                 // event.digest_ok: execute
//             case Event::Kind::violation:           // send a TermReq, close
//             case Event::Kind::violation_silent:    // close at once: nothing is sent in answer to a TermReq
//         }
//     }
//
// Every PDU gives begin, then data as often as it takes (never, when there is none), then end.
// Payload is never copied or kept: a data event points into `input`. What is kept is a header, or its first bytes.
//
// A header is judged before a byte after it is looked at, and when header digests are on, nothing but
// what says where the digest lies is believed before the digest has been verified.
//
// A TermReq may come at any time, also before ICReq and ICResp. It gives begin, data and end like others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "base/bytes.h"
#include "nvme/wire/pdu.h"

namespace weft::nvme::wire {

struct Event {
    enum class Kind : uint8_t { need_more, begin, data, end, violation, violation_silent };

    Kind kind = Kind::need_more;
    // data: with this span the PDU's payload is complete, and its digest, if one is due, has come and is right. So it
    // may be used at once, without waiting for end. At offset 0 the span is the entire payload.
    bool is_complete = false;
    // end: the data digest, if one was due, was right. A wrong one is not fatal: the command fails with
    // Transient Transport Error (NVMe/TCP 1.0, 3.5.2).
    bool digest_ok = true;
    Violation violation;  // violation
    uint32_t offset = 0;  // data: of the span within the PDU's payload
    Bytes data;
};

// Belongs to one connection and lives on its reactor. No allocation, no system call, no clock.
class PduReceiver {
public:
    // Waits for ICReq (as controller) or ICResp (as host) first.
    explicit PduReceiver(End end) : end_(end) {}

    PduReceiver(const PduReceiver&) = delete;
    PduReceiver& operator=(const PduReceiver&) = delete;

    // Tells the next thing and takes the bytes it was told by off the front of `input`. Call until need_more.
    // After a violation the receiver is dead: it takes nothing and tells the same violation again.
    Event next(Bytes& input);

    // To be called at the end event of ICReq or ICResp, before next(). Afterwards only the limits may change,
    // at any time: they hold for headers that are not whole yet.
    void set_negotiated(const Negotiated& negotiated);
    [[nodiscard]] const Negotiated& negotiated() const { return negotiated_; }

    // Takes up a connection whose ICReq and ICResp were exchanged elsewhere (a moved connection).
    void resume(const Negotiated& negotiated);

    // The header of the PDU begun last, without its digest; it stays until next() is called after the end
    // event. After a violation: as much of the offending header as had come, for the TermReq.
    [[nodiscard]] Bytes header() const { return Bytes(carry_).first(header_size_); }
    [[nodiscard]] PduType type() const { return PduType(carry_[0]); }
    template <class T>
    [[nodiscard]] T header_as() const {
        return load<T>(header());
    }

    // Bytes of payload the current PDU has in all, and the bytes of it not told yet: from begin on.
    [[nodiscard]] uint32_t payload_size() const { return layout_.data_length; }
    [[nodiscard]] uint32_t payload_left() const { return data_left_; }
    // No part of a PDU is held: the connection could be moved.
    [[nodiscard]] bool is_between_pdus() const { return state_ == State::header && carried_ == 0; }
    [[nodiscard]] bool is_dead() const { return state_ == State::dead; }

private:
    enum class State : uint8_t { header, padding, data, digest, end, dead };

    bool take_plain_header(Bytes& input);
    bool read_plain_layout(Bytes input, const PduRule& rule, uint32_t header_end);
    Event take_header(Bytes& input);
    std::optional<Violation> judge();
    Event begin();
    Event take_padding(Bytes& input);
    Event take_data(Bytes& input);
    Event take_digest(Bytes& input);
    Event finish();
    Event refuse(const Violation& violation, Bytes input);
    Event tell_violation() const;
    [[nodiscard]] bool is_out_of_order(PduType type) const;
    bool gather(Bytes& input, size_t size);

    // A header comes together here, at most 128 bytes and its digest; behind it, the data digest.
    static constexpr size_t header_carry_size = 128 + digest_size;
    static constexpr size_t carry_size = header_carry_size + digest_size;

    End end_;
    State state_ = State::header;
    bool is_initialized_ = false;  // ICReq or ICResp has come
    bool is_digest_ok_ = true;  // of the current PDU's data
    uint32_t carried_ = 0;  // bytes of a header, or of a data digest, that is not whole yet
    uint32_t header_size_ = 0;  // of header()
    uint32_t padding_left_ = 0;
    uint32_t data_left_ = 0;
    uint32_t crc_ = 0;  // of the data so far
    const PduRule* rule_ = nullptr;  // of the PDU whose header is coming, once its type is known
    PduLayout layout_;
    Negotiated negotiated_;
    Violation violation_;
    bool is_silent_ = false;
    std::array<std::byte, carry_size> carry_{};
};

}  // namespace weft::nvme::wire
