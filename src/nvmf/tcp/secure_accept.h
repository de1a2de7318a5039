// The TLS handshakes of connections that came to a listener with TLS, before a poll group sees them: whoever does not
// prove that it has a key costs the data path nothing. Where TLS is the host's choice, its first byte tells: that of a
// TLS record, or else of an ICReq.
//
// Lives on the app thread; the arithmetic is done away from it, one step at a time, and only for who names a key. A
// handshake has the time that a Connect has (handshake_timeout_ms). As many as there may be connections without a
// Connect have yet to say all of a ClientHello, or to be answered; 64 are being answered; 256 that were go on. Of those
// and of these the oldest of the address that has most makes room for the next.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "env/memory_budget.h"
#include "net/tls_psk.h"
#include "nvme/tls/psk.h"
#include "nvmf/secure/host_psks.h"
#include "nvmf/tcp/new_connection.h"
#include "nvmf/tcp/newcomers.h"
#include "nvmf/transport.h"
#include "nvmf/transport_options.h"
#include "reactor/event_source.h"
#include "reactor/task.h"
#include "reactor/timer.h"

namespace weft::nvmf {
class Target;
}

namespace weft::nvmf::tcp {

// One handshake, in its coroutine's frame: the coroutine sleeps in wait() until its socket has news or its time is
// over.
class SecureHandshake final : public EventSource {
public:
    SecureHandshake(Thread& thread, NewConnection from);
    ~SecureHandshake() override { unwatch(); }

    uint32_t on_events(uint32_t events) override;
    WaitList::Waiter wait() { return news_.wait(); }
    [[nodiscard]] uint32_t source() const { return connection.place.source(); }
    void look_again() { news_.wake_all(); }
    // It is of no more interest: the coroutine ends at its next look.
    void give_up(const char* why);

    NewConnection connection;
    std::optional<net::PskHandshake> core;  // once it is known to be TLS
    env::MemoryShare memory;  // for what the host has said, and then for `core`
    const char* over = nullptr;  // why
    bool has_news = true;  // since the last look at the socket
    ListLink<SecureHandshake> all_link;
    ListLink<SecureHandshake> waiting_link;
    ListLink<SecureHandshake> queue_link;
    ListLink<SecureHandshake> answered_link;
    Timer timer;

private:
    WaitList news_;
};

class SecureAccept {
public:
    using Secured = std::move_only_function<void(NewConnection connection)>;

    // `secured` is told each connection whose handshake went well: its stream is the one above TLS; and those without
    // TLS that may be. Errors: not_supported.
    static Result<std::unique_ptr<SecureAccept>> create(Target& target, const TransportOptions& options,
                                                        Secured secured);
    ~SecureAccept();

    void begin(NewConnection connection, bool may_be_plain);
    // No handshake goes on any more; ends when the last has noticed.
    Task<void> close();
    [[nodiscard]] HandshakeFigures figures() const;

private:
    SecureAccept(Target& target, const TransportOptions& options, std::unique_ptr<net::PskContext> context,
                 Secured secured);
    Task<void> run(NewConnection connection, bool may_be_plain);
    Task<void> secure(SecureHandshake& handshake, std::string peer);
    Task<void> hear(SecureHandshake& handshake, bool may_be_plain);
    Task<void> shake(SecureHandshake& handshake);
    Task<bool> wait_to_be_called(SecureHandshake& handshake);
    void call_next();
    Task<void> answer_hello(SecureHandshake& handshake);
    Task<void> advance(SecureHandshake& handshake);
    Task<void> choose_key(SecureHandshake& handshake);
    struct Choice {
        std::vector<net::PskKey> keys;
        uint64_t generated_psk = 0;
    };
    Task<Choice> keys_for(const nvme::tls::PskIdentity& identity);
    Task<std::vector<std::byte>> receive(SecureHandshake& handshake);
    Task<void> send(SecureHandshake& handshake);
    static void reserve(SecureHandshake& handshake, uint64_t bytes);
    void make_room(const ConnectionLimits::Place& newcomer);
    void displace(SecureHandshake* oldest);
    void tell_refused(const std::string& peer, std::string_view why);

    Target& target_;
    const TransportOptions& options_;
    const std::unique_ptr<net::PskContext> context_;
    Secured secured_;
    IntrusiveList<SecureHandshake, &SecureHandshake::all_link> all_;
    // Those that have yet to say who they are, or to be answered: nothing is kept of them but what they said.
    Newcomers<SecureHandshake, &SecureHandshake::waiting_link> waiting_;
    // Of these, those that have said it.
    Newcomers<SecureHandshake, &SecureHandshake::queue_link> queue_;
    uint32_t called_ = 0;  // those that are being answered
    uint32_t called_source_ = 0;  // of the last of them
    // Those that were answered, whatever they have said since.
    Newcomers<SecureHandshake, &SecureHandshake::answered_link> answered_;
    AsyncMutex turn_;
    Gate running_;
    std::array<std::byte, 4096> receive_{};  // while a socket is read
    HandshakeFigures counted_;
    env::TimeNs told_at_ = 0;
    uint32_t untold_ = 0;
};

}  // namespace weft::nvmf::tcp
