// A connection through TLS: a Connection below, a TlsCore in between, and the same face for the user.
//
// The handshake's arithmetic (some milliseconds) is done away from the reactor. on_ready() says that the peer has
// proved who it is; nothing of it is handed over before. What is sent before then waits. A peer that does not get
// through the handshake in time is closed, and one that ends without saying so (close_notify) counts as lost, not as
// ended.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "net/connection.h"
#include "net/tls.h"
#include "reactor/task.h"

namespace weft::net {

// The handshakes of one place: one step at a time, so that a storm of clients leaves the system's workers to others.
// Outlives its connections; close() before its end.
class TlsHandshakes {
public:
    // Lets no step begin any more; ends when the last has.
    Task<void> close() { return running_.close(); }

private:
    friend class TlsConnection;
    AsyncMutex turn_;
    Gate running_;
};

class TlsConnection final : public Channel, private ConnectionUser {
public:
    static constexpr env::TimeNs handshake_timeout = 10 * env::ns_per_s;
    static constexpr env::TimeNs failing_timeout = 2 * env::ns_per_s;  // for the peer to take the alert
    static constexpr size_t encrypted_ahead_bytes = size_t{256} << 10;
    static constexpr size_t bytes_per_write = size_t{64} << 10;
    // A peer that asks for new keys and does not take the answers is not read from beyond this.
    static constexpr size_t unsent_protocol_bytes_max = size_t{1} << 20;

    // `context` is needed here only. `peer_name`: see TlsCore.
    TlsConnection(Thread& thread, std::unique_ptr<env::Stream> stream, ConnectionUser& user, const TlsContext& context,
                  TlsHandshakes& handshakes, std::string_view peer_name = {});
    ~TlsConnection() override;

    Result<void> start() override;
    void send(std::string bytes) override;
    [[nodiscard]] size_t unsent_bytes() const override { return queued_bytes_ + below_.unsent_bytes(); }
    void pause_receiving() override;
    void resume_receiving() override;
    [[nodiscard]] bool is_receiving() const override { return receiving_; }
    void close_when_sent() override;
    void close() override { below_.close(); }
    [[nodiscard]] env::Stream& stream() override { return below_.stream(); }
    [[nodiscard]] bool is_ready() const override { return is_ready_; }
    [[nodiscard]] const TlsPeer* tls_peer() const override { return is_ready_ ? &core_->peer() : nullptr; }
    [[nodiscard]] const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

private:
    // One call of TlsCore::handshake(), which has the core meanwhile. Lives in its coroutine's frame; whoever of it and
    // the connection goes first takes its name out of the other.
    struct Step {
        TlsConnection* connection;
    };

    void on_received(Bytes bytes) override;
    void on_end() override;
    void on_sent() override;
    void on_closed() override;

    void begin_step();
    static Task<void> run_step(TlsConnection& connection);
    void end_step(std::unique_ptr<TlsCore> core);
    void read_some();
    void write_some();
    void pass_on_output();
    void look_below();
    void on_deadline();
    void fail_with(Error error);

    ConnectionUser& user_;
    TlsHandshakes& handshakes_;
    std::unique_ptr<TlsCore> core_;  // null while a step has it
    Step* step_ = nullptr;
    Connection below_;
    bool is_ready_ = false;
    bool receiving_ = true;
    bool is_held_back_ = false;  // the peer does not take what the protocol says
    bool is_closing_ = false;  // nothing is handed over or taken any more
    bool is_end_told_ = false;
    bool is_cut_ = false;  // FIN came; in order only after the peer's close_notify
    std::deque<std::string> queue_;  // plaintext
    size_t first_written_bytes_ = 0;  // of the first string of the queue
    size_t queued_bytes_ = 0;
    std::optional<Error> failure_;
    Timer deadline_;
    Timer again_;  // plaintext is left from before a pause, or a queue that may be encrypted
};

}  // namespace weft::net
