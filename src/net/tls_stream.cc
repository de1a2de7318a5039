#include "net/tls_stream.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include "base/assert.h"

namespace weft::net {

TlsStream::TlsStream(std::unique_ptr<PskHandshake::Library> library, std::unique_ptr<env::Stream> below,
                     env::MemoryShare memory)
    : memory_(std::move(memory)),
      below_(std::move(below)),
      library_(std::move(library)),
      pipe_(*library_->pipe),
      connection_(library_->connection.get()) {
    pipe_.below = below_.get();
    // Behind what fills it there may be one more record, and answers of the protocol.
    pipe_.out.reserve(write_buffer_bytes + 2 * (record_bytes + 512));
    pipe_.out_max = pipe_.out.capacity();
    SSL_set_msg_callback(connection_, on_message);
    SSL_set_msg_callback_arg(connection_, this);
    SSL_set_default_read_buffer_len(connection_, read_buffer_bytes);
}

TlsStream::~TlsStream() = default;

// Counts what costs the peer little and us much.
// NOLINTNEXTLINE(readability-function-size): OpenSSL's signature
void TlsStream::on_message(int is_sent, int /*version*/, int type, const void* bytes, size_t size, SSL* /*connection*/,
                           void* self) {
    constexpr unsigned char key_update = 24;  // RFC 8446, 4
    if (is_sent != 0 || type != SSL3_RT_HANDSHAKE || size == 0) return;
    if (*static_cast<const unsigned char*>(bytes) == key_update) ++static_cast<TlsStream*>(self)->key_updates_;
}

env::Transfer TlsStream::lost(Errc error) {
    if (!is_lost_) error_ = error;
    is_lost_ = true;
    ERR_clear_error();
    return {.state = env::Transfer::State::failed, .bytes = 0, .error = error_};
}

env::Transfer TlsStream::receive(MutableBytes into) {
    if (is_lost_) return lost(error_);
    if (is_ended_) return {.state = env::Transfer::State::end};
    ERR_clear_error();
    size_t done = 0;
    for (;;) {
        pipe_.receives_left = receives_max;
        int outcome = 1;
        while (done < into.size()) {
            const size_t room = std::min<size_t>(into.size() - done, INT_MAX);
            outcome = SSL_read(connection_, into.data() + done, static_cast<int>(room));
            if (outcome <= 0) break;
            done += static_cast<size_t>(outcome);
        }
        if (outcome > 0) break;
        const int reason = SSL_get_error(connection_, outcome);
        if (reason == SSL_ERROR_ZERO_RETURN) {
            is_ended_ = true;
            break;
        }
        if (reason != SSL_ERROR_WANT_READ) {
            // What was good before it is handed over first; the next call says that it is over. An end without
            // close_notify is one: PDUs have their lengths.
            is_lost_ = pipe_.last.state != env::Transfer::State::end;
            is_ended_ = !is_lost_;
            error_ = pipe_.last.state == env::Transfer::State::failed ? pipe_.last.error : Errc::protocol_error;
            break;
        }
        // The handshake's buffer was for one record, and may hold what came right behind it. OpenSSL 3.0 has let it go
        // as soon as it is empty and waits for a header ("RH"); the next one is of read_buffer_bytes, and stays.
        if (!keeps_buffers_ && SSL_has_pending(connection_) == 0 &&
            std::string_view(SSL_rstate_string(connection_)) == "RH") [[unlikely]] {
            SSL_clear_mode(connection_, SSL_MODE_RELEASE_BUFFERS);
            keeps_buffers_ = true;
        }
        // Nothing for the user so far, but the socket has not said that there is no more: no event would come.
        if (done > 0 || pipe_.last.state == env::Transfer::State::would_block) break;
        if (key_updates_ > key_updates_free + received_bytes_ / bytes_per_key_update) break;
    }
    received_bytes_ += done;
    if (key_updates_ > key_updates_free + received_bytes_ / bytes_per_key_update) return lost(Errc::protocol_error);
    // Answers of the protocol itself, as far as the socket takes them; the rest goes with the next send().
    if (!is_lost_ && out_sent_ < pipe_.out.size() && flush() == Flushed::lost) is_lost_ = true;
    if (done > 0) return {.state = env::Transfer::State::done, .bytes = done};
    if (is_lost_) return lost(error_);
    if (is_ended_) return {.state = env::Transfer::State::end};
    return {.state = env::Transfer::State::would_block};
}

TlsStream::Flushed TlsStream::flush() {
    while (out_sent_ < pipe_.out.size()) {
        const iovec piece{.iov_base = pipe_.out.data() + out_sent_, .iov_len = pipe_.out.size() - out_sent_};
        const env::Transfer sent = below_->send({&piece, 1});
        if (sent.state == env::Transfer::State::would_block) return Flushed::blocked;
        if (sent.state != env::Transfer::State::done) {
            error_ = sent.state == env::Transfer::State::failed ? sent.error : Errc::connection_lost;
            return Flushed::lost;
        }
        out_sent_ += sent.bytes;
    }
    pipe_.out.clear();
    out_sent_ = 0;
    return Flushed::all;
}

bool TlsStream::write(const void* from, size_t size) {
    return SSL_write(connection_, from, static_cast<int>(size)) == static_cast<int>(size);
}

// Makes records of `from` less its first `skip` bytes; returns how many bytes went in. Small pieces share a record,
// large ones are encrypted from where they lie.
size_t TlsStream::encrypt(std::span<const iovec> from, size_t skip, size_t size_max) {
    std::array<std::byte, record_bytes> record;  // NOLINT(cppcoreguidelines-pro-type-member-init): as far as `filled`
    size_t filled = 0;
    size_t taken = 0;
    for (const iovec& piece : from) {
        const auto* at = static_cast<const std::byte*>(piece.iov_base);
        size_t left = piece.iov_len;
        const size_t skipped = std::min(skip, left);
        skip -= skipped;
        at += skipped;
        left -= skipped;
        while (left > 0 && taken < size_max) {
            const bool is_whole = filled == 0 && left >= record_bytes;
            const size_t count = std::min(left, record_bytes - filled);
            if (is_whole) {
                if (!write(at, count)) return SIZE_MAX;
            } else {
                std::memcpy(record.data() + filled, at, count);
                filled += count;
            }
            at += count;
            left -= count;
            taken += count;
            if (filled < record_bytes) continue;
            if (!write(record.data(), filled)) return SIZE_MAX;
            filled = 0;
        }
        if (taken >= size_max) break;
    }
    if (filled > 0 && !write(record.data(), filled)) return SIZE_MAX;
    return taken;
}

env::Transfer TlsStream::send(std::span<const iovec> from) {
    if (is_lost_) return lost(error_);
    ERR_clear_error();
    size_t total = 0;
    for (const iovec& piece : from) total += piece.iov_len;
    size_t done = has_uncounted_ ? 1 : 0;
    WEFT_ASSERT(total >= done);
    Flushed flushed = flush();
    while (flushed == Flushed::all && done < total) {
        const size_t taken = encrypt(from, done, write_buffer_bytes);
        if (taken == SIZE_MAX) return lost(Errc::protocol_error);
        done += taken;
        flushed = flush();
    }
    if (flushed == Flushed::lost) return lost(error_);
    has_uncounted_ = flushed == Flushed::blocked && done > 0;
    if (has_uncounted_) --done;
    if (done == 0) return {.state = env::Transfer::State::would_block};
    return {.state = env::Transfer::State::done, .bytes = done};
}

void TlsStream::shutdown_send() {
    ERR_clear_error();
    if (!is_lost_) {
        SSL_shutdown(connection_);
        (void)flush();
    }
    ERR_clear_error();
    below_->shutdown_send();
}

}  // namespace weft::net
