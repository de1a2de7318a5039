// A qpair over NVMe/TCP: a stream, the protocol on it, and its place in a thread's ConnectionGroup.
//
// Its life: initializing (ICReq, ICResp) → ready → ended, from anywhere; before the end lingering, when an
// H2CTermReq was sent, until the controller has closed its side or a second has passed, so that unread bytes do
// not turn our last words into a reset.
#pragma once

#include <memory>
#include <optional>

#include "env/network.h"
#include "net/tls_psk.h"
#include "nvme_host/qpair.h"
#include "nvme_host/tcp/connection_group.h"
#include "nvme_host/tcp/queue_protocol.h"
#include "reactor/event_source.h"
#include "reactor/timer.h"

namespace weft::nvme_host::tcp {

struct ConnectionOptions {
    env::Address address;
    env::SocketOptions socket;
    std::optional<net::PskKey> tls_key;  // with it: through TLS
    ProtocolOptions protocol;
    env::TimeNs connect_timeout = 10 * env::ns_per_s;  // to TCP's answer, and to ICReq's
    // A command that is not answered for so long ends the connection (those in the background excepted); 0: never.
    env::TimeNs command_timeout = 0;
};

// Lives on the group's thread. Commands of it are done, with host_path_error, when it ends for any reason.
class Connection final : public Qpair, private EventSource {
public:
    // Goes on when ICReq and ICResp have been exchanged. Errors say what failed.
    static Task<Result<std::unique_ptr<Connection>>> open(ConnectionGroup& group, ConnectionOptions options);
    ~Connection() override;  // after close()

    void submit(Io& io) override;
    Task<void> close() override;
    [[nodiscard]] uint32_t depth() const override { return protocol_.depth(); }
    [[nodiscard]] Thread& thread() const override { return group_.thread(); }
    [[nodiscard]] const Error* failure() const override {
        return protocol_.failure() ? &*protocol_.failure() : nullptr;
    }
    [[nodiscard]] ConnectionGroup& group() const { return group_; }
    [[nodiscard]] const QueueProtocol& protocol() const { return protocol_; }

private:
    friend class ConnectionGroup;
    enum class State : uint8_t { initializing, ready, lingering, ended };

    Connection(ConnectionGroup& group, ConnectionOptions options, std::unique_ptr<env::Stream> stream);

    uint32_t on_events(uint32_t events) override;
    // For the group: a turn; what is left to send; whether there is no more reason to be hot; whether there is
    // something to do without an event.
    uint32_t service();
    void flush();
    bool cool_down();
    [[nodiscard]] bool has_work() const;

    uint32_t receive();
    size_t receive_into(MutableBytes memory);
    void drain();
    uint32_t hand_out();
    void note_io();
    void end_if_failed();
    void end();
    void on_timer();
    void change_state(State state);
    [[nodiscard]] env::TimeNs now() const;

    static constexpr env::TimeNs linger_time = env::ns_per_s;
    static constexpr uint32_t receives_per_turn = 4;
    static constexpr uint32_t sends_per_turn = 4;
    static constexpr uint32_t idle_polls_before_cold = 32;
    // From here on a receive of its own, straight to where the data belongs, costs less than a copy.
    static constexpr size_t direct_size_min = 64 * 1024;

    ConnectionGroup& group_;
    const ConnectionOptions options_;
    std::unique_ptr<env::Stream> stream_;
    QueueProtocol protocol_;
    State state_ = State::initializing;
    bool is_hot_ = false;
    bool is_drained_ = false;     // the last receive found nothing: an event will tell of more
    bool is_send_blocked_ = false;
    std::optional<Errc> send_error_;
    uint32_t idle_polls_ = 0;
    Timer timer_;
    WaitList state_changes_;
};

}  // namespace weft::nvme_host::tcp
