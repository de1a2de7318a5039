#include "nvme_host/tcp/queue_protocol.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::nvme_host::tcp {

namespace wire = nvme::wire;

namespace {

uint32_t length_of(std::span<const iovec> data) {
    uint64_t length = 0;
    for (const iovec& piece : data) length += piece.iov_len;
    WEFT_ASSERT(length <= 0xFFFFFFFF);
    return static_cast<uint32_t>(length);
}

}  // namespace

QueueProtocol::QueueProtocol(const ProtocolOptions& options) : options_(options), slots_(options.depth) {}

QueueProtocol::~QueueProtocol() { WEFT_ASSERT(is_empty()); }

void QueueProtocol::start() {
    const wire::IcFields fields{.data_alignment = options_.data_alignment,
                                .header_digest = options_.header_digest,
                                .data_digest = options_.data_digest,
                                .limit = r2t_max - 1};
    control_.header_size = static_cast<uint32_t>(wire::encode_ic_req(control_.header, fields));
    output_.push(control_);
}

// ---- commands and what is sent

void QueueProtocol::submit(Io& io, env::TimeNs now) {
    if (!io.is_background) ++in_flight_;
    if (is_lost_ || failure_) {
        finish_locally(io, nvme::status::host_path_error);
        return;
    }
    waiting_.push_back(io);
    start_waiting(now);
}

void QueueProtocol::start_waiting(env::TimeNs now) {
    if (!is_ready_ || failure_) return;
    while (!waiting_.empty()) {
        Slot* slot = slots_.take();
        if (slot == nullptr) return;
        start_command(*slot, *waiting_.pop_front(), now);
    }
}

void QueueProtocol::start_command(Slot& slot, Io& io, env::TimeNs now) {
    nvme::Command command = io.command;
    const nvme::TransferDirection direction = nvme::transfer_direction(command);
    const uint32_t length = length_of(io.data);
    const bool is_write = direction == nvme::TransferDirection::host_to_controller && length != 0;
    const uint32_t in_capsule_max =
        options_.is_admin || command.is_fabrics() ? admin_in_capsule_max : options_.in_capsule_max;
    // Data both ways has no rule in NVMe/TCP, and data with an opcode that says "none" would never move.
    WEFT_ASSERT(length == 0 || is_write || direction == nvme::TransferDirection::controller_to_host);

    slot.io = &io;
    slot.is_read = length != 0 && !is_write;
    slot.is_in_capsule = is_write && length <= in_capsule_max;
    slot.has_all_data = false;
    slot.is_data_wrong = false;
    slot.data_length = length;
    slot.moved = 0;
    slot.cursor = DataCursor(io.data);
    slot.submitted_at = now;

    command.cid = slot.cid;
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    command.dptr =
        slot.is_in_capsule ? nvme::SglDescriptor::in_capsule(length) : nvme::SglDescriptor::transport(length);
    slot.data_size = slot.is_in_capsule ? length : 0;
    slot.data = slot.cursor;
    slot.has_digest = wire::has_data_digest(framing_, slot.data_size);
    slot.header_size = static_cast<uint32_t>(wire::encode_capsule_cmd(slot.header, command, slot.data_size, framing_));
    advance(slot, SlotEvent::submitted);
    output_.push(slot);
}

// The next H2CData of the R2T that is being answered.
void QueueProtocol::send_h2c_data(Slot& slot) {
    const uint32_t length = std::min(slot.r2t_end - slot.next, max_h2c_data_);
    const wire::DataFields fields{.cccid = slot.cid,
                                  .ttag = slot.ttag,
                                  .offset = slot.next,
                                  .length = length,
                                  .is_last = slot.next + length == slot.r2t_end};
    slot.header_size = static_cast<uint32_t>(wire::encode_h2c_data(slot.header, fields, framing_));
    slot.data_size = length;
    slot.data = slot.cursor;
    slot.has_digest = wire::has_data_digest(framing_, length);
    output_.push(slot);
}

void QueueProtocol::sent(size_t bytes, env::TimeNs now) {
    output_.sent(bytes);
    while (Outgoing* gone = output_.pop_gone()) {
        if (gone != &control_) on_sent(static_cast<Slot&>(*gone), now);
    }
}

void QueueProtocol::on_sent(Slot& slot, env::TimeNs now) {
    if (slot.state == SlotState::sending_data) {
        slot.next += slot.data_size;
        slot.cursor.advance(slot.data_size);
        if (slot.next < slot.r2t_end) {
            send_h2c_data(slot);
            return;
        }
    }
    if (advance(slot, SlotEvent::sent) == SlotAction::complete_kept) {
        complete(slot, slot.answer);
        start_waiting(now);
    }
}

// ---- what arrives

void QueueProtocol::receive(Bytes input, env::TimeNs now) {
    while (!failure_ && !is_lost_) {
        const wire::Event event = receiver_.next(input);
        switch (event.kind) {
            case wire::Event::Kind::need_more: return;
            case wire::Event::Kind::begin: on_begin(now); break;
            case wire::Event::Kind::data: on_data(event); break;
            case wire::Event::Kind::end: on_end(event.digest_ok, now); break;
            case wire::Event::Kind::violation: refuse(event.violation, "a PDU that is not well-formed"); break;
            case wire::Event::Kind::violation_silent:
                fail_connection({Errc::protocol_error,
                                 "the controller ended the connection with a C2HTermReq "
                                 "that is not well-formed"});
                break;
        }
    }
}

void QueueProtocol::on_begin(env::TimeNs now) {
    ++counters_.pdus_received;
    switch (receiver_.type()) {
        case wire::PduType::c2h_data: on_c2h_data(); break;
        case wire::PduType::r2t: on_r2t(); break;
        case wire::PduType::capsule_resp:
            on_answer(receiver_.header_as<wire::CapsuleResp>().cqe,
                      offsetof(wire::CapsuleResp, cqe) + offsetof(nvme::Completion, cid), now);
            break;
        case wire::PduType::c2h_term_req: {
            const auto request = receiver_.header_as<wire::TermReq>();
            fail_connection({Errc::protocol_error,
                             fmt::format("the controller ended the connection with a C2HTermReq: {}, field {:#x}",
                                         name_of(wire::FatalErrorStatus(request.fes.value())), request.fei.value())});
            break;
        }
        case wire::PduType::ic_resp: break;  // at its end
        case wire::PduType::ic_req:
        case wire::PduType::h2c_term_req:
        case wire::PduType::capsule_cmd:
        case wire::PduType::h2c_data: WEFT_ASSERT(false);  // the receiver refuses what a host sends
    }
}

void QueueProtocol::on_data(const wire::Event& event) {
    if (receiving_ == nullptr) return;
    receiving_->moved += static_cast<uint32_t>(event.data.size());
    counters_.bytes_received += event.data.size();
    if (!discards(*receiving_)) receiving_->cursor.write(event.data);
}

void QueueProtocol::on_end(bool digest_ok, env::TimeNs now) {
    if (receiver_.type() == wire::PduType::ic_resp) {
        on_ic_resp();
        start_waiting(now);
        return;
    }
    if (receiving_ == nullptr) return;
    Slot& slot = *receiving_;
    receiving_ = nullptr;
    if (!digest_ok) {
        slot.is_data_wrong = true;
        ++counters_.digest_errors;
    }
    if ((receiver_.header_as<wire::C2hData>().ch.flags & wire::pdu_flags::success) == 0) return;
    const nvme::Completion answer{.sqhd = nvme::sqhd_none, .cid = slot.cid};
    on_answer(answer, offsetof(wire::C2hData, cccid), now);
}

void QueueProtocol::on_ic_resp() {
    const auto response = receiver_.header_as<wire::IcResp>();
    const bool header_digest = (response.dgst & wire::digest_bits::header) != 0;
    const bool data_digest = (response.dgst & wire::digest_bits::data) != 0;
    if ((header_digest && !options_.header_digest) || (data_digest && !options_.data_digest)) {
        refuse(wire::invalid_field(offsetof(wire::IcResp, dgst)), "an ICResp with a digest nobody asked for");
        return;
    }
    // Who asked for digests wants them: going on without would be to pretend.
    if (header_digest != options_.header_digest || data_digest != options_.data_digest) {
        fail_connection({Errc::not_supported,
                         fmt::format("the controller does not do {} digests", header_digest ? "data" : "header")});
        return;
    }
    framing_ = {.header_digest = header_digest, .data_digest = data_digest, .data_alignment = response.cpda};
    max_h2c_data_ = response.maxh2cdata;
    receiver_.set_negotiated(
        {.header_digest = header_digest, .data_digest = data_digest, .data_alignment = options_.data_alignment});
    is_ready_ = true;
}

void QueueProtocol::on_c2h_data() {
    const auto pdu = receiver_.header_as<wire::C2hData>();
    Slot* slot = slots_.find(pdu.cccid);
    if (slot == nullptr) {
        refuse(wire::invalid_field(offsetof(wire::C2hData, cccid)), "C2HData for no command that is outstanding");
        return;
    }
    const SlotAction action = advance(*slot, SlotEvent::data);
    const bool is_last = (pdu.ch.flags & wire::pdu_flags::last_pdu) != 0;
    if (action != SlotAction::take_data || slot->has_all_data) {
        refuse(SlotAction::refuse_sequence, "C2HData when none were due");
    } else if (!is_last && (pdu.ch.flags & wire::pdu_flags::success) != 0) {
        refuse(wire::invalid_field(offsetof(wire::CommonHeader, flags)), "C2HData with SUCCESS and without LAST_PDU");
    } else if (!slot->is_read || pdu.datal > slot->data_length - slot->moved) {
        refuse({wire::FatalErrorStatus::data_transfer_out_of_range}, "C2HData past the command's buffer");
    } else if (pdu.datao != slot->moved) {
        refuse(wire::invalid_field(offsetof(wire::C2hData, datao)), "C2HData out of order");
    } else {
        slot->has_all_data = is_last;
        receiving_ = slot;
    }
}

void QueueProtocol::on_r2t() {
    const auto pdu = receiver_.header_as<wire::R2t>();
    Slot* slot = slots_.find(pdu.cccid);
    if (slot == nullptr) {
        refuse(wire::invalid_field(offsetof(wire::R2t, cccid)), "an R2T for no command that is outstanding");
        return;
    }
    const SlotAction action = advance(*slot, SlotEvent::r2t);
    const bool has_data_to_send = !slot->is_read && !slot->is_in_capsule;
    if (action != SlotAction::send_data) {
        refuse(action, "an R2T when none was due");
    } else if (!has_data_to_send || pdu.r2tl > slot->data_length - slot->moved) {
        refuse({wire::FatalErrorStatus::data_transfer_out_of_range}, "an R2T past the command's data");
    } else if (pdu.r2to != slot->moved) {
        refuse(wire::invalid_field(offsetof(wire::R2t, r2to)), "an R2T out of order");
    } else if (pdu.r2tl == 0) {
        refuse(wire::invalid_field(offsetof(wire::R2t, r2tl)), "an R2T for nothing");
    } else {
        slot->ttag = pdu.ttag;
        slot->next = slot->moved;
        slot->moved += pdu.r2tl;
        slot->r2t_end = slot->moved;
        send_h2c_data(*slot);
    }
}

void QueueProtocol::on_answer(const nvme::Completion& answer, uint32_t cid_offset, env::TimeNs now) {
    Slot* slot = slots_.find(answer.cid);
    if (slot == nullptr) {
        refuse(wire::invalid_field(cid_offset), "an answer to no command that is outstanding");
        return;
    }
    const SlotAction action = advance(*slot, SlotEvent::response);
    if (action == SlotAction::complete) {
        complete(*slot, answer);
        start_waiting(now);
    } else if (action == SlotAction::keep_answer) {
        slot->answer = answer;
    } else {
        refuse(action, "an answer when none was due");
    }
}

MutableBytes QueueProtocol::direct_destination(size_t size_min) const {
    if (receiving_ == nullptr || failure_ || discards(*receiving_)) return {};
    const MutableBytes piece = receiving_->cursor.piece();
    const size_t size = std::min<size_t>(piece.size(), receiver_.payload_left());
    return size < size_min ? MutableBytes{} : piece.first(size);
}

// ---- ends

SlotAction QueueProtocol::advance(Slot& slot, SlotEvent event) {
    const SlotStep step = slot_step(slot.state, event);
    WEFT_ASSERT(step.action != SlotAction::impossible);
    slot.state = step.next;  // the only assignment
    return step.action;
}

void QueueProtocol::complete(Slot& slot, const nvme::Completion& answer) {
    Io& io = *slot.io;
    io.completion = answer;
    io.is_status_local = false;
    io.bytes_moved = slot.is_in_capsule ? slot.data_length : slot.moved;
    if (io.is_success()) {
        const bool is_short = io.bytes_moved != slot.data_length;
        if (slot.is_data_wrong || is_short) {
            io.completion.status =
                (slot.is_data_wrong ? nvme::status::transient_transport_error : nvme::status::data_transfer_error)
                    .to_wire();
            io.is_status_local = true;
        }
    }
    slot.io = nullptr;
    slots_.give_back(slot);
    finish(io);
}

void QueueProtocol::finish(Io& io) { done_.push_back(io); }

void QueueProtocol::finish_locally(Io& io, nvme::Status status) {
    io.completion = {.status = status.to_wire()};
    io.is_status_local = true;
    io.bytes_moved = 0;
    finish(io);
}

Io* QueueProtocol::pop_done() {
    Io* io = done_.pop_front();
    if (io != nullptr && !io->is_background) --in_flight_;
    return io;
}

void QueueProtocol::refuse(const wire::Violation& violation, std::string_view what) {
    output_.drop_all_but_begun();
    if (!control_.link.is_linked) {  // else not even the ICReq has gone
        control_.header_size = static_cast<uint32_t>(
            wire::encode_term_req(control_.header, wire::End::host, violation, receiver_.header()));
        output_.push(control_);
    }
    fail_connection({Errc::protocol_error, fmt::format("the controller sent {} ({}, field {:#x})", what,
                                                       name_of(violation.status), violation.field_information)});
}

void QueueProtocol::refuse(SlotAction action, std::string_view what) {
    refuse({action == SlotAction::refuse_limit ? wire::FatalErrorStatus::data_transfer_limit_exceeded
                                               : wire::FatalErrorStatus::pdu_sequence_error},
           what);
}

void QueueProtocol::fail_connection(Error error) {
    if (!failure_) failure_ = std::move(error);
}

void QueueProtocol::lost() {
    is_lost_ = true;
    receiving_ = nullptr;
    output_.drop_all();
    for (Slot& slot : slots_.all()) {
        if (slot.state == SlotState::free) continue;
        if (advance(slot, SlotEvent::lost) == SlotAction::complete_kept) {
            complete(slot, slot.answer);
        } else {
            Io& io = *slot.io;
            slot.io = nullptr;
            slots_.give_back(slot);
            finish_locally(io, nvme::status::host_path_error);
        }
    }
    while (Io* io = waiting_.pop_front()) finish_locally(*io, nvme::status::host_path_error);
}

const Io* QueueProtocol::overdue(env::TimeNs deadline) const {
    for (const Slot& slot : slots_.all()) {
        if (slot.state != SlotState::free && !slot.io->is_background && slot.submitted_at < deadline) return slot.io;
    }
    return nullptr;
}

}  // namespace weft::nvme_host::tcp
