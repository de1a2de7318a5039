// A stream through TLS 1.3, after its handshake: what is sent is encrypted, what is received was decrypted and
// verified.
//
// It keeps the promises of env::Stream that the data path relies on: would_block is only said when the socket said so,
// and so an edge will come; a partial send means that the socket is full. Plaintext that was encrypted but could not
// be sent stays here; one byte of it is not counted as sent, so that the caller comes back when the socket is writable.
#pragma once

#include <memory>

#include "env/layered.h"
#include "net/tls_psk_library.h"

namespace weft::net {

class TlsStream final : public env::Stream, public env::Layered {
public:
    TlsStream(std::unique_ptr<PskHandshake::Library> library, std::unique_ptr<env::Stream> below,
              env::MemoryShare memory);
    ~TlsStream() override;

    env::Transfer receive(MutableBytes into) override;
    env::Transfer send(std::span<const iovec> from) override;
    // Says close_notify first.
    void shutdown_send() override;
    Result<void> connected() override { return below_->connected(); }
    Result<void> configure(const env::SocketOptions& options) override { return below_->configure(options); }
    [[nodiscard]] env::Address local_address() const override { return below_->local_address(); }
    [[nodiscard]] env::Address peer_address() const override { return below_->peer_address(); }
    [[nodiscard]] int descriptor() const override { return below_->descriptor(); }
    [[nodiscard]] env::Stream& below() override { return *below_; }

    static constexpr size_t read_buffer_bytes = size_t{64} << 10;  // of ciphertext, one receive of the socket
    static constexpr size_t write_buffer_bytes = size_t{64} << 10;  // of ciphertext, one send of the socket, about

    [[nodiscard]] SSL* library_for_tests() const { return connection_; }

private:
    enum class Flushed : uint8_t { all, blocked, lost };

    Flushed flush();
    env::Transfer lost(Errc error);
    bool write(const void* from, size_t size);
    size_t encrypt(std::span<const iovec> from, size_t skip, size_t size_max);
    static void on_message(int is_sent, int version, int type, const void* bytes, size_t size, SSL* connection,
                           void* self);

    static constexpr size_t record_bytes = size_t{16} << 10;
    // A receive() takes at most so many times what the socket has, so that tiny records do not hold up the thread.
    static constexpr uint32_t receives_max = 4;
    // New keys cost more than they bring: so many for nothing, and then one for so many bytes.
    static constexpr uint64_t key_updates_free = 32;
    static constexpr uint64_t bytes_per_key_update = 1 << 20;

    const env::MemoryShare memory_;
    std::unique_ptr<env::Stream> below_;
    std::unique_ptr<PskHandshake::Library> library_;
    TlsPipe& pipe_;
    SSL* const connection_;
    size_t out_sent_ = 0;  // of pipe_.out
    bool has_uncounted_ = false;  // the first byte of the next send() is one that was encrypted before
    bool keeps_buffers_ = false;  // OpenSSL's
    bool is_lost_ = false;
    bool is_ended_ = false;
    Errc error_ = Errc::protocol_error;
    uint64_t received_bytes_ = 0;
    uint64_t key_updates_ = 0;
};

}  // namespace weft::net
