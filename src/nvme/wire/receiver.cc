#include "nvme/wire/receiver.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/mutants.h"

namespace weft::nvme::wire {

namespace {

template <class T>
std::optional<Violation> violation_in(const Parsed<T>& parsed) {
    const auto* violation = std::get_if<Violation>(&parsed);
    return violation != nullptr ? std::optional(*violation) : std::nullopt;
}

}  // namespace

Event PduReceiver::next(Bytes& input) {
    switch (state_) {
        case State::header:
            if (take_plain_header(input)) return begin();
            return take_header(input);
        case State::padding: return take_padding(input);
        case State::data: return take_data(input);
        case State::digest: return take_digest(input);
        case State::end: return finish();
        case State::dead: return tell_violation();
    }
    return tell_violation();
}

void PduReceiver::set_negotiated(const Negotiated& negotiated) {
    const bool is_between = state_ == State::header && rule_ == nullptr;
    WEFT_ASSERT(is_between || negotiated.is_framed_as(negotiated_));
    WEFT_ASSERT(negotiated.data_alignment <= data_alignment_max);
    negotiated_ = negotiated;
}

void PduReceiver::resume(const Negotiated& negotiated) {
    WEFT_ASSERT(!is_initialized_ && is_between_pdus());
    set_negotiated(negotiated);
    is_initialized_ = true;
}

// The short way for what nearly always comes: a command or data PDU whose header is all in `input`, with its
// data, if any, right behind. What it does not recognise takes the long way, which decides: so this
// must accept nothing that check_header() and parse_layout() refuse. One byte at a time always takes the
// long way; tests and the fuzzer compare.
bool PduReceiver::take_plain_header(Bytes& input) {
    if (carried_ != 0 || input.size() < sizeof(CommonHeader) || !is_initialized_) return false;
    const auto header = load<CommonHeader>(input);
    const PduRule* rule = find_rule(end_, header.type);
    if (rule == nullptr || !rule->has_digests() || !is_framed(header, *rule, negotiated_)) return false;
    const uint32_t header_end = header_size(*rule, negotiated_);
    if (input.size() < header_end || !read_plain_layout(input, *rule, header_end)) return false;
    if (negotiated_.header_digest) {
        const uint32_t received = load<le32>(input.subspan(rule->hlen));
        if (received != crc32c(input.first(rule->hlen))) return false;
    }
    // Of a size that is known here, copying is a few moves.
    if (rule->hlen == sizeof(CapsuleCmd)) {
        std::memcpy(carry_.data(), input.data(), sizeof(CapsuleCmd));
    } else {
        std::memcpy(carry_.data(), input.data(), sizeof(H2cData));
    }
    header_size_ = rule->hlen;
    input = input.subspan(header_end);
    return true;
}

bool PduReceiver::read_plain_layout(Bytes input, const PduRule& rule, uint32_t header_end) {
    const auto header = load<CommonHeader>(input);
    const uint32_t plen = header.plen;
    const bool data_digest = (header.flags & pdu_flags::data_digest) != 0;
    if (plen == header_end) {
        if (header.pdo != 0 || data_digest || rule.data == DataRule::counted) return false;
        layout_ = {};
        return true;
    }
    const uint32_t data_start = header_end + (data_digest ? digest_size : 0);
    if (header.pdo != header_end || negotiated_.data_alignment != 0) return false;
    if (data_digest != negotiated_.data_digest || plen <= data_start) return false;
    const uint32_t length = plen - data_start;
    if (rule.data == DataRule::capsule) {
        if (length > negotiated_.capsule_data_max) return false;
    } else if (rule.data == DataRule::counted) {
        const uint32_t datal = load<le32>(input.subspan(offsetof(H2cData, datal)));
        if (length != datal || length % 4 != 0 || length > negotiated_.data_max) return false;
    } else {
        return false;
    }
    layout_ = {.data_length = length, .data_digest = data_digest};
    return true;
}

Event PduReceiver::take_header(Bytes& input) {
    if (rule_ == nullptr) {
        if (!gather(input, sizeof(CommonHeader))) return {};
        const auto header = load<CommonHeader>(carry_);
        rule_ = find_rule(end_, header.type);
        if (rule_ == nullptr) return refuse(invalid_field(offsetof(CommonHeader, type)), input);
        if (is_out_of_order(header.type)) return refuse({FatalErrorStatus::pdu_sequence_error}, input);
        if (!is_framed(header, *rule_, negotiated_)) {
            return refuse(check_header(header, *rule_, negotiated_).value(), input);
        }
    }
    const uint32_t size = header_size(*rule_, negotiated_);
    if (!gather(input, size)) return {};
    if (size != rule_->hlen) {
        const uint32_t received = load<le32>(Bytes(carry_).subspan(rule_->hlen));
        if (received != crc32c(Bytes(carry_).first(rule_->hlen))) {
            if (!mutant::on(mutant::header_digest_ignored)) {
                return refuse({FatalErrorStatus::header_digest_error, received}, input);
            }
        }
    }
    // The header is whole and is what the peer sent.
    if (const auto violation = judge()) return refuse(*violation, input);
    header_size_ = rule_->hlen;
    rule_ = nullptr;
    carried_ = 0;
    return begin();
}

// Judges the whole header and sets `layout_`.
std::optional<Violation> PduReceiver::judge() {
    const Bytes header = Bytes(carry_).first(rule_->hlen);
    if (const auto violation = check_header(load<CommonHeader>(header), *rule_, negotiated_)) return violation;
    if (rule_->data == DataRule::connection) {
        layout_ = {};
        is_initialized_ = true;
        return end_ == End::controller ? violation_in(parse_ic_req(header)) : violation_in(parse_ic_resp(header));
    }
    const auto layout = parse_layout(header, *rule_, end_, negotiated_);
    if (const auto* found = std::get_if<PduLayout>(&layout)) layout_ = *found;
    return violation_in(layout);
}

Event PduReceiver::begin() {
    padding_left_ = layout_.padding;
    data_left_ = layout_.data_length;
    crc_ = crc32c_seed;
    is_digest_ok_ = true;
    state_ = data_left_ == 0 ? State::end : padding_left_ != 0 ? State::padding : State::data;
    return {.kind = Event::Kind::begin};
}

Event PduReceiver::take_padding(Bytes& input) {
    const size_t count = std::min<size_t>(padding_left_, input.size());
    input = input.subspan(count);
    padding_left_ -= static_cast<uint32_t>(count);
    if (padding_left_ != 0) return {};
    state_ = State::data;
    return take_data(input);
}

Event PduReceiver::take_data(Bytes& input) {
    if (input.empty()) return {};
    const Bytes piece = input.first(std::min<size_t>(data_left_, input.size()));
    input = input.subspan(piece.size());
    const uint32_t offset = layout_.data_length - data_left_;
    data_left_ -= static_cast<uint32_t>(piece.size());
    if (layout_.data_digest) crc_ = crc32c_update(crc_, piece);

    bool is_verified = false;
    if (data_left_ == 0) {
        if (!layout_.data_digest) {
            is_verified = true;
            state_ = State::end;
        } else if (input.size() >= digest_size) {
            is_digest_ok_ = load<le32>(input) == crc32c_finish(crc_);
            input = input.subspan(digest_size);
            is_verified = is_digest_ok_;
            state_ = State::end;
        } else {
            state_ = State::digest;
        }
    }
    return {.kind = Event::Kind::data, .is_complete = is_verified, .offset = offset, .data = piece};
}

Event PduReceiver::take_digest(Bytes& input) {
    const size_t count = std::min<size_t>(digest_size - carried_, input.size());
    std::copy_n(input.begin(), count, carry_.begin() + header_carry_size + carried_);
    input = input.subspan(count);
    carried_ += static_cast<uint32_t>(count);
    if (carried_ != digest_size) return {};
    carried_ = 0;
    is_digest_ok_ = load<le32>(Bytes(carry_).subspan(header_carry_size)) == crc32c_finish(crc_);
    return finish();
}

Event PduReceiver::finish() {
    state_ = State::header;
    return {.kind = Event::Kind::end, .digest_ok = is_digest_ok_};
}

// The connection ends here. Of the offending header, what has come is kept for the TermReq: as far as
// its type, or else its HLEN, says that it goes.
Event PduReceiver::refuse(const Violation& violation, Bytes input) {
    const size_t claimed = load<CommonHeader>(carry_).hlen;
    const size_t size =
        rule_ != nullptr ? rule_->hlen : std::clamp(claimed, sizeof(CommonHeader), size_t{term_req_data_max});
    if (carried_ < size) gather(input, size);
    header_size_ = static_cast<uint32_t>(std::min<size_t>(carried_, size));
    is_silent_ = rule_ != nullptr && rule_->data == DataRule::term_req;
    violation_ = violation;
    data_left_ = 0;
    layout_ = {};
    state_ = State::dead;
    return tell_violation();
}

Event PduReceiver::tell_violation() const {
    return {.kind = is_silent_ ? Event::Kind::violation_silent : Event::Kind::violation, .violation = violation_};
}

// NVMe/TCP 1.0, 3.1: ICReq and ICResp come first, and once. A TermReq may come whenever it must.
bool PduReceiver::is_out_of_order(PduType type) const {
    if (type == PduType::ic_req || type == PduType::ic_resp) return is_initialized_;
    return !is_initialized_ && rule_->data != DataRule::term_req;
}

// Moves bytes from `input` behind those carried, until there are `size`; false when there are not enough.
bool PduReceiver::gather(Bytes& input, size_t size) {
    if (carried_ >= size) return true;
    const size_t count = std::min(size - carried_, input.size());
    if (count != 0) std::memcpy(carry_.data() + carried_, input.data(), count);
    input = input.subspan(count);
    carried_ += static_cast<uint32_t>(count);
    return carried_ == size;
}

}  // namespace weft::nvme::wire
