// What leaves an NVMe/TCP connection: one sendmsg a turn carries the headers and data of as many PDUs as fit.
#include <algorithm>

#include "base/crc32c.h"
#include "base/mutants.h"
#include "base/probe.h"
#include "bdev/device.h"
#include "bdev/io_trace.h"
#include "nvmf/io/io_commands.h"
#include "nvmf/tcp/connection.h"
#include "nvmf/tcp/group.h"
#include "reactor/trace_here.h"

namespace weft::nvmf::tcp {

namespace {

// With data digests the data should still be in the cache when the kernel copies it (measured: 20 % at 128 KiB).
constexpr size_t digest_batch_bytes = 512 * 1024;
constexpr size_t batch_bytes = size_t{4} * 1024 * 1024;
// Below, passing pages on costs more than copying them (measured: 4 KiB five times as much).
constexpr uint32_t in_place_bytes_min = 64 * 1024;

// `pieces` less their first `skip` bytes.
void append_skipping(iovec piece, size_t& skip, std::span<iovec> pieces, size_t& count) {
    if (skip >= piece.iov_len) {
        skip -= piece.iov_len;
        return;
    }
    pieces[count++] = {.iov_base = static_cast<std::byte*>(piece.iov_base) + skip, .iov_len = piece.iov_len - skip};
    skip = 0;
}

}  // namespace

void Connection::send(Request& executed) {
    auto& request = static_cast<TcpRequest&>(executed);
    if (request.state() == RequestState::draining) {
        request.move(RequestEvent::drained);
        release(request);
        return;
    }
    // A digest error ends a request whose R2T may still wait to be sent.
    if (request.send_link.is_linked) {
        WEFT_ASSERT(request.sent_bytes == 0);
        send_queue_.remove(request);
    }
    request.move(RequestEvent::complete);
    request.is_r2t_queued = false;
    request.completion.cid = request.command.cid;
    if (!request.has_sqhd) {
        request.completion.sqhd = next_sqhd();
        request.has_sqhd = true;
    }
    queue(request);
}

void Connection::queue(TcpRequest& request) {
    request.sent_bytes = 0;
    send_queue_.push_back(request);
    if (!is_blocked_) group_.mark_dirty(*this);
}

// Makes head, data and tail of what is to be sent. Done anew on each attempt until a byte is out, since lent data is
// only good for the attempt.
bool Connection::prepare_send(TcpRequest& request) {
    request.tail_bytes = 0;
    request.payload_bytes = 0;
    if (request.is_r2t_queued) {
        request.head_bytes =
            static_cast<uint8_t>(nvme::wire::encode_r2t(request.head,
                                                        {.cccid = request.command.cid,
                                                         .ttag = request.slot,
                                                         .offset = request.received_bytes,
                                                         .length = request.granted_bytes - request.received_bytes},
                                                        framing_));
        return true;
    }
    request.trace_at(trace::Point::tcp_req_transfer_c2h, {.c = request.data_bytes});
    const bool has_data = request.direction == nvme::TransferDirection::controller_to_host && request.data_bytes > 0 &&
                          request.status().is_success();
    if (!has_data) {
        request.head_bytes =
            static_cast<uint8_t>(nvme::wire::encode_capsule_resp(request.head, request.completion, framing_));
        return true;
    }
    if (request.source == DataSource::lent && !borrow(request)) return false;
    if (request.data_bytes == 0) [[unlikely]] {
        request.head_bytes =
            static_cast<uint8_t>(nvme::wire::encode_capsule_resp(request.head, request.completion, framing_));
        return true;
    }
    request.payload_bytes = request.data_bytes;
    // SUCCESS stands for a capsule that says nothing else (NVMe/TCP 1.0, 3.3.2.1): no CDW0, no SQHD.
    const bool is_success = options().c2h_success && request.completion.value64() == 0 &&
                            (!has_flow_control || mutant::on(mutant::success_without_sqhd));
    request.head_bytes = static_cast<uint8_t>(nvme::wire::encode_c2h_data(request.head,
                                                                          {.cccid = request.command.cid,
                                                                           .offset = 0,
                                                                           .length = request.data_bytes,
                                                                           .is_last = true,
                                                                           .is_success = is_success},
                                                                          framing_));
    MutableBytes tail(request.tail);
    if (nvme::wire::has_data_digest(framing_, request.data_bytes)) {
        uint32_t crc = crc32c_seed;
        for (const iovec& piece : request.data()) {
            crc = crc32c_update(crc, Bytes(static_cast<const std::byte*>(piece.iov_base), piece.iov_len));
            if (mutant::on(mutant::digest_of_first_piece)) break;
        }
        store(tail, le32(crc32c_finish(crc)));
        group().thread().work().count(Work::crc32c, request.data_bytes);
        request.tail_bytes = nvme::wire::digest_size;
    }
    if (!is_success) {
        request.tail_bytes =
            static_cast<uint8_t>(request.tail_bytes + nvme::wire::encode_capsule_resp(tail.subspan(request.tail_bytes),
                                                                                      request.completion, framing_));
    }
    return true;
}

// Points the request at device memory until the end of the flush. The device may have none to lend for a moment, when a
// writer on another reactor waits for the block: then it copies. False: not even that, try in the next turn.
bool Connection::borrow(TcpRequest& request) {
    bdev::Channel& channel = *request.ns->channel;
    const uint64_t lba = request.command.slba();
    const uint64_t blocks = request.command.block_count();
    if (const auto memory = channel.lend(lba, blocks)) {
        WEFT_ASSERT(memory->size() == request.data_bytes);
        request.use_lent(*memory);
        request.is_lending = true;
        if (trace::is_on(trace::Group::bdev)) [[unlikely]] {
            request.io.op = bdev::Op::read;
            request.io.lba = lba;
            request.io.blocks = blocks;
            bdev::trace_start(request.io);
        }
        return true;
    }
    if (request.control == nullptr) request.control = std::make_unique_for_overwrite<std::byte[]>(request.data_bytes);
    request.iov[0] = {.iov_base = request.control.get(), .iov_len = request.data_bytes};
    request.iov_count = 1;
    request.io.op = bdev::Op::read;
    request.io.fua = false;
    request.io.lba = lba;
    request.io.blocks = blocks;
    request.io.data = request.data();
    request.io.must_not_wait = true;
    const bdev::Progress progress = channel.submit(request.io);
    request.io.must_not_wait = false;
    WEFT_ASSERT(progress != bdev::Progress::pending);  // what lends, reads on the spot
    if (progress == bdev::Progress::retry) return false;
    release_namespace(request);
    request.source = DataSource::control;
    // What lends reads well, but for blocks that were made uncorrectable meanwhile.
    if (request.io.status != bdev::Status::success) [[unlikely]] {
        request.set_status(to_nvme(request.io.status));
        request.data_bytes = 0;
    }
    return true;
}

size_t Connection::append_pieces(const TcpRequest& request, std::span<iovec> pieces) const {
    size_t count = 0;
    size_t skip = request.sent_bytes;
    append_skipping({.iov_base = const_cast<std::byte*>(request.head.data()), .iov_len = request.head_bytes}, skip,
                    pieces, count);
    if (request.payload_bytes > 0) {
        for (const iovec& piece : request.data()) append_skipping(piece, skip, pieces, count);
    }
    if (request.tail_bytes > 0) {
        append_skipping({.iov_base = const_cast<std::byte*>(request.tail.data()), .iov_len = request.tail_bytes}, skip,
                        pieces, count);
    }
    return count;
}

void Connection::flush() {
    if (is_closing() || is_blocked_) return;
    // ICResp comes before all else; a C2HTermReq after the PDU that was begun.
    if (phase_ == Phase::running && !flush_control()) return;
    while (TcpRequest* first = send_queue_.front()) {
        const Outcome outcome = goes_in_place(*first) ? send_in_place(*first) : send_batch(*first);
        if (outcome == Outcome::stopped) return;
        if (outcome == Outcome::held_up) return group_.mark_dirty(*this);
    }
    if (phase_ == Phase::terminating && flush_control()) stream_->shutdown_send();
}

// As many of the send queue as one call of the system takes.
Connection::Outcome Connection::send_batch(TcpRequest& first) {
    const std::span<iovec> pieces = group_.pieces();
    const size_t bytes_max = framing_.data_digest ? digest_batch_bytes : batch_bytes;
    size_t count = 0;
    size_t piece_count = 0;
    size_t bytes = 0;
    bool is_held_up = false;
    for (TcpRequest* at = &first; at != nullptr; at = decltype(send_queue_)::next(*at)) {
        // Head, tail, and the data's pieces.
        if (piece_count + at->iov_count + 3 > pieces.size() || bytes >= bytes_max || goes_in_place(*at)) break;
        if (at->sent_bytes == 0 && !prepare_send(*at)) {
            is_held_up = true;
            break;
        }
        piece_count += append_pieces(*at, pieces.subspan(piece_count));
        bytes += at->total_bytes() - at->sent_bytes;
        ++count;
    }
    if (count == 0) return Outcome::held_up;
    WEFT_PROBE(send_begin, uid(), count, bytes);
    const env::TimeNs began = trace::is_on(trace::Point::sock_send) ? trace_time() : 0;
    const env::Transfer sent = stream_->send(pieces.first(piece_count));
    WEFT_PROBE(send_end, uid(), sent.bytes);
    if (began != 0) [[unlikely]]
        trace_send(began, count, sent);
    const Outcome outcome = settle(first, count, bytes, sent);
    return outcome == Outcome::sent && is_held_up ? Outcome::held_up : outcome;
}

bool Connection::goes_in_place(const TcpRequest& request) const {
    return options().zero_copy_reads && request.source == DataSource::lent && request.sent_bytes == 0 &&
           request.data_bytes >= in_place_bytes_min && !framing_.data_digest && request.status().is_success();
}

// The data by reference; a tail follows with the next batch.
Connection::Outcome Connection::send_in_place(TcpRequest& request) {
    if (!prepare_send(request)) return Outcome::held_up;
    if (request.source != DataSource::lent) return send_batch(request);  // there was none to borrow
    const Bytes head = Bytes(request.head).first(request.head_bytes);
    const Bytes body(static_cast<const std::byte*>(request.iov[0].iov_base), request.iov[0].iov_len);
    WEFT_PROBE(send_begin, uid(), size_t{1}, head.size() + body.size());
    const env::TimeNs began = trace::is_on(trace::Point::sock_send) ? trace_time() : 0;
    const env::Transfer sent = stream_->send_in_place(head, body);
    WEFT_PROBE(send_end, uid(), sent.bytes);
    if (began != 0) [[unlikely]]
        trace_send(began, 1, sent);
    return settle(request, 1, head.size() + body.size(), sent);
}

void Connection::trace_send(env::TimeNs began, size_t count, const env::Transfer& sent) {
    trace_here(trace::Point::sock_send, uid(),
               {.b = trace_time() - began, .c = static_cast<uint32_t>(sent.bytes), .d = static_cast<uint16_t>(count)});
}

// The system was given `bytes` of the `count` requests from `first` on and took what `sent` says: finishes those that
// are out, and leaves no memory of a device in the queue of a later turn.
Connection::Outcome Connection::settle(TcpRequest& first, size_t count, size_t bytes, const env::Transfer& sent) {
    const bool is_gone = sent.state == env::Transfer::State::failed || sent.state == env::Transfer::State::end;
    size_t taken = is_gone ? 0 : sent.bytes;
    group_.figures.sent_bytes += taken;
    TcpRequest* at = &first;
    for (; count > 0; --count) {
        TcpRequest& request = *at;
        at = decltype(send_queue_)::next(request);
        const size_t left = request.total_bytes() - request.sent_bytes;
        const size_t mine = std::min(left, taken);
        taken -= mine;
        if (mutant::on(mutant::partial_send_repeated)) request.sent_bytes = 0;
        request.sent_bytes += static_cast<uint32_t>(mine);
        if (mine == left) {
            finish_sending(request);
        } else if (request.sent_bytes > 0) {
            own_lent_data(request);
        } else {
            end_lending(request);
        }
    }
    if (is_gone) {
        close("the host is gone");
        return Outcome::stopped;
    }
    is_blocked_ = sent.bytes < bytes;
    if (is_blocked_) group_.watch_progress();
    return is_blocked_ ? Outcome::stopped : Outcome::sent;
}

void Connection::finish_sending(TcpRequest& request) {
    send_queue_.remove(request);
    ++pdus_sent_;
    if (request.is_r2t_queued) {
        request.is_r2t_queued = false;
        request.r2t_sent = true;
        group_.watch_progress();
        return;
    }
    if (request.source == DataSource::lent && request.ns != nullptr) {
        request.ns->channel->count_lent_read(request.data_bytes);
    }
    end_lending(request);
    if (!is_admin()) count_io(request);
    request.move(RequestEvent::sent);
    release(request);
}

// The socket took a part of a PDU whose data is device memory: the rest must not change any more. This is the only
// copy of a lent read, at most one a connection at a time.
void Connection::own_lent_data(TcpRequest& request) {
    if (!request.is_lending) return;
    const iovec lent = request.iov[0];
    if (request.sent_bytes < request.head_bytes + request.payload_bytes) {
        request.control = std::make_unique_for_overwrite<std::byte[]>(lent.iov_len);
        std::copy_n(static_cast<const std::byte*>(lent.iov_base), lent.iov_len, request.control.get());
        if (!mutant::on(mutant::lent_data_not_copied)) request.iov[0].iov_base = request.control.get();
    }
    request.ns->channel->count_lent_read(request.data_bytes);
    end_lending(request);
    release_namespace(request);
    request.source = DataSource::control;
}

void Connection::end_lending(TcpRequest& request) {
    if (!request.is_lending) return;
    request.is_lending = false;
    if (trace::is_on(trace::Group::bdev)) [[unlikely]]
        bdev::trace_done(request.io, static_cast<uint16_t>(bdev::Status::success));
    request.ns->channel->unlend(request.command.slba(), request.command.block_count());
}

// Sends ICResp or C2HTermReq; true when there is nothing left of it.
bool Connection::flush_control() {
    if (control_sent_ == control_bytes_) return true;
    const iovec piece{.iov_base = control_.data() + control_sent_, .iov_len = control_bytes_ - control_sent_};
    const env::Transfer sent = stream_->send({&piece, 1});
    if (sent.state == env::Transfer::State::failed || sent.state == env::Transfer::State::end) {
        close("the host is gone");
        return false;
    }
    control_sent_ += static_cast<uint32_t>(sent.bytes);
    if (control_sent_ < control_bytes_) is_blocked_ = true;
    return control_sent_ == control_bytes_;
}

}  // namespace weft::nvmf::tcp
