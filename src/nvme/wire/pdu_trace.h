// For tests and fuzzers: what a receiver told, in a form that does not depend on how its input was cut.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "nvme/wire/receiver.h"

namespace weft::nvme::wire {

struct TracedPdu {
    PduType type{};
    std::vector<std::byte> header;
    std::vector<std::byte> payload;
    bool is_ended = false;
    bool digest_ok = false;

    friend bool operator==(const TracedPdu&, const TracedPdu&) = default;
};

// Feeds a receiver and asserts what must hold of every event.
class PduTrace {
public:
    // `after_initialization` is what the receiver is told when ICReq or ICResp has come.
    explicit PduTrace(PduReceiver& receiver, Negotiated after_initialization = {})
        : receiver_(receiver), negotiated_(after_initialization) {}

    void feed(Bytes input) {
        while (true) {
            const Bytes before = input;
            const Event event = receiver_.next(input);
            // What was taken, was taken off the front.
            WEFT_ASSERT(input.size() <= before.size());
            WEFT_ASSERT(input.data() + input.size() == before.data() + before.size());
            switch (event.kind) {
                case Event::Kind::need_more: WEFT_ASSERT(input.empty()); return;
                case Event::Kind::begin: on_begin(); break;
                case Event::Kind::data: on_data(event, before); break;
                case Event::Kind::end: on_end(event); break;
                case Event::Kind::violation:
                case Event::Kind::violation_silent: on_violation(event, input); return;
            }
        }
    }
    void feed_in_pieces(Bytes input, size_t piece_size) {
        for (; input.size() > piece_size; input = input.subspan(piece_size)) feed(input.first(piece_size));
        feed(input);
    }

    std::vector<TracedPdu> pdus;
    std::optional<Violation> violation;
    bool is_silent = false;
    std::vector<std::byte> offending_header;
    size_t complete_count = 0;  // data events that were is_complete

private:
    void on_begin() {
        WEFT_ASSERT(pdus.empty() || pdus.back().is_ended);
        const Bytes header = receiver_.header();
        WEFT_ASSERT(header.size() == std::to_integer<size_t>(header[2]));
        WEFT_ASSERT(receiver_.payload_left() == receiver_.payload_size());
        pdus.push_back({.type = receiver_.type(), .header = {header.begin(), header.end()}});
        was_complete_ = false;
    }
    void on_data(const Event& event, Bytes before) {
        TracedPdu& pdu = pdus.back();
        WEFT_ASSERT(!pdu.is_ended && !event.data.empty());
        WEFT_ASSERT(std::greater_equal<>{}(event.data.data(), before.data()));
        WEFT_ASSERT(std::less_equal<>{}(event.data.data() + event.data.size(), before.data() + before.size()));
        WEFT_ASSERT(event.offset == pdu.payload.size());
        pdu.payload.insert(pdu.payload.end(), event.data.begin(), event.data.end());
        WEFT_ASSERT(pdu.payload.size() + receiver_.payload_left() == receiver_.payload_size());
        was_complete_ = event.is_complete;
        if (event.is_complete) {
            WEFT_ASSERT(event.offset + event.data.size() == receiver_.payload_size());
            ++complete_count;
        }
    }
    void on_end(const Event& event) {
        TracedPdu& pdu = pdus.back();
        WEFT_ASSERT(!pdu.is_ended && receiver_.payload_left() == 0);
        WEFT_ASSERT(pdu.payload.size() == receiver_.payload_size());
        WEFT_ASSERT(!was_complete_ || event.digest_ok);
        WEFT_ASSERT(std::ranges::equal(receiver_.header(), pdu.header));
        pdu.is_ended = true;
        pdu.digest_ok = event.digest_ok;
        if (pdu.type == PduType::ic_req || pdu.type == PduType::ic_resp) receiver_.set_negotiated(negotiated_);
    }
    void on_violation(const Event& event, Bytes input) {
        WEFT_ASSERT(!violation || *violation == event.violation);
        violation = event.violation;
        is_silent = event.kind == Event::Kind::violation_silent;
        const Bytes header = receiver_.header();
        WEFT_ASSERT(header.size() <= term_req_data_max);
        offending_header.assign(header.begin(), header.end());
        // Dead for good.
        Bytes rest = input;
        const Event again = receiver_.next(rest);
        WEFT_ASSERT(again.kind == event.kind && again.violation == event.violation && rest.size() == input.size());
    }

    PduReceiver& receiver_;
    Negotiated negotiated_;
    bool was_complete_ = false;
};

}  // namespace weft::nvme::wire
