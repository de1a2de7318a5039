// The TLS handshakes of connections that came to a listener with TLS, before a poll group sees them: whoever does not
// prove that it has a key costs the data path nothing. Where TLS is the host's choice, its first byte tells: that of a
// TLS record, or else of an ICReq.
//
// Lives on the app thread; the arithmetic is done away from it, one step at a time, and only for who names a key. A
// handshake has the time that a Connect has (handshake_timeout_ms), and there are no more at once than there may be
// connections without a Connect: the oldest makes room for the next.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "net/tls_psk.h"
#include "nvme/tls/psk.h"
#include "nvmf/secure/host_psks.h"
#include "nvmf/tcp/new_connection.h"
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
    // It is of no more interest: the coroutine ends at its next look.
    void give_up(const char* why);

    NewConnection connection;
    std::optional<net::PskHandshake> core;  // once it is known to be TLS
    const char* over = nullptr;  // why
    bool has_news = true;        // since the last look at the socket
    ListLink<SecureHandshake> link;
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
    [[nodiscard]] size_t under_way() const { return waiting_.size(); }

private:
    SecureAccept(Target& target, const TransportOptions& options, std::unique_ptr<net::PskContext> context,
                 Secured secured);
    Task<void> run(NewConnection connection, bool may_be_plain);
    Task<void> secure(SecureHandshake& handshake, std::string peer);
    Task<bool> begins_with_tls(SecureHandshake& handshake);
    Task<void> shake(SecureHandshake& handshake);
    Task<void> step(SecureHandshake& handshake);
    Task<void> choose_key(SecureHandshake& handshake);
    struct Choice {
        std::vector<net::PskKey> keys;
        uint64_t generated_psk = 0;
    };
    Task<Choice> keys_for(const nvme::tls::PskIdentity& identity);
    Task<std::vector<std::byte>> receive(SecureHandshake& handshake);
    Task<void> send(SecureHandshake& handshake);
    void tell_refused(const std::string& peer, std::string_view why);

    Target& target_;
    const TransportOptions& options_;
    const std::unique_ptr<net::PskContext> context_;
    Secured secured_;
    IntrusiveList<SecureHandshake, &SecureHandshake::link> waiting_;  // oldest first
    AsyncMutex turn_;
    Gate running_;
    env::TimeNs told_at_ = 0;
    uint32_t untold_ = 0;
};

}  // namespace weft::nvmf::tcp
