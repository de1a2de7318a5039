#include "nvmf/tcp/secure_accept.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "env/memory_budget.h"
#include "net/tls_hello.h"
#include "nvmf/log_flags.h"
#include "nvmf/target.h"
#include "reactor/reactor.h"

namespace weft::nvmf::tcp {

namespace {

// What bounds the number of OpenSSL's states: handshakes that are being answered, and those that were. A host goes on
// within its round trip; in a second we answer a thousand, one after another, but for reading their keys. (Files of
// keys that cannot be read in time hold up all who wait to be answered.)
constexpr uint32_t called_max = 64;
constexpr size_t answered_max = 256;
// When all places for connections are taken: so many more go through TLS before somebody must make room for them.
constexpr size_t without_place_max = 64;
// Of a ClientHello, without asking for memory: hosts' have some hundred.
constexpr size_t hello_bytes_free = 4096;
constexpr std::byte handshake_record{22};  // RFC 8446, 5.1; the first byte of an ICReq is 0 (NVMe/TCP 1.0, 3.6.2.2)
// OpenSSL's state and its buffers, and what the host has said.
constexpr uint64_t handshake_memory_bytes = 96 * 1024;

// Those keys of a host that `identity` may mean, as TLS takes them. Reads the key's file.
Result<std::vector<net::PskKey>> keys_of(const HostPsk& psk, const nvme::tls::PskIdentity& identity) {
    auto configured = psk.read();
    if (!configured) return std::unexpected(std::move(configured).error());
    std::vector<net::PskKey> keys;
    for (const nvme::tls::TlsPsk& found : nvme::tls::tls_psks_for(identity, *configured)) {
        keys.emplace_back(found.identity.text(), found.key.bytes());
    }
    return keys;
}

bool begins_with_tls(Bytes received) { return !received.empty() && received.front() == handshake_record; }

}  // namespace

SecureHandshake::SecureHandshake(Thread& thread, NewConnection from)
    : connection(std::move(from)),
      timer(
          thread, [](void* self) { static_cast<SecureHandshake*>(self)->give_up("time-out: no finished handshake"); },
          this) {}

uint32_t SecureHandshake::on_events(uint32_t /*events*/) {
    has_news = true;
    look_again();
    return 1;
}

void SecureHandshake::give_up(const char* why) {
    if (over == nullptr) over = why;
    look_again();
}

Result<std::unique_ptr<SecureAccept>> SecureAccept::create(Target& target, const TransportOptions& options,
                                                           Secured secured) {
    auto context = net::PskContext::make(net::PskContext::Side::server);
    if (!context) return std::unexpected(std::move(context).error());
    return std::unique_ptr<SecureAccept>(new SecureAccept(target, options, std::move(*context), std::move(secured)));
}

SecureAccept::SecureAccept(Target& target, const TransportOptions& options, std::unique_ptr<net::PskContext> context,
                           Secured secured)
    : target_(target), options_(options), context_(std::move(context)), secured_(std::move(secured)) {}

SecureAccept::~SecureAccept() = default;

void SecureAccept::begin(NewConnection connection, bool may_be_plain) {
    if (!running_.try_enter()) return;
    if (connection.place.standing() != ConnectionLimits::Standing::within) make_room(connection.place);
    if (waiting_.size() >= std::max(options_.max_connecting, 1U)) displace(waiting_.oldest_of_most());
    spawn(run(std::move(connection), may_be_plain));
}

// The poll group refuses it when, its handshake over, there are still too many connections.
void SecureAccept::make_room(const ConnectionLimits::Place& newcomer) {
    SecureHandshake* oldest = waiting_.oldest_of_more_for(newcomer);
    if (oldest == nullptr) oldest = answered_.oldest_of_more_for(newcomer);
    if (oldest == nullptr && all_.size() >= without_place_max) {
        oldest = waiting_.size() > 0 ? waiting_.oldest_of_most() : answered_.oldest_of_most();
    }
    displace(oldest);
}

// nullptr: nobody.
void SecureAccept::displace(SecureHandshake* oldest) {
    if (oldest == nullptr) return;
    ++counted_.displaced;
    WEFT_WARNLOG("TLS: the handshake of {} was ended: there are too many of these",
                 env::to_string(oldest->connection.stream->peer_address()));
    waiting_.forget(*oldest);
    answered_.forget(*oldest);
    oldest->give_up("it made room for another");
}

HandshakeFigures SecureAccept::figures() const {
    HandshakeFigures present = counted_;
    present.under_way = static_cast<uint32_t>(all_.size());
    return present;
}

Task<void> SecureAccept::close() {
    for (SecureHandshake* at = all_.front(); at != nullptr; at = decltype(all_)::next(*at)) {
        at->give_up("the target stops");
    }
    co_await running_.close();
}

Task<void> SecureAccept::run(NewConnection connection, bool may_be_plain) {
    std::string peer = env::to_string(connection.stream->peer_address());
    {
        SecureHandshake handshake(target_.thread(), std::move(connection));
        all_.push_back(handshake);
        waiting_.add(handshake);
        handshake.timer.start_after(options_.handshake_timeout_ms * env::ns_per_ms);
        const auto watched = handshake.watch(target_.thread(), *handshake.connection.stream,
                                             {.events = env::Events::readable | env::Events::writable, .edge = true});
        if (!watched) handshake.give_up("the system refused to watch it");
        co_await hear(handshake, may_be_plain);
        const bool is_secure = !may_be_plain || begins_with_tls(handshake.connection.received);
        if (is_secure && handshake.over == nullptr) co_await secure(handshake, peer);
        handshake.unwatch();
        handshake.timer.stop();
        waiting_.forget(handshake);
        all_.remove(handshake);
        if (handshake.over != nullptr) tell_refused(peer, handshake.over);
        const bool is_open = handshake.over == nullptr && handshake.connection.secure != nullptr;
        if (is_secure) ++(is_open ? counted_.opened : counted_.failed);
        if (is_open || (handshake.over == nullptr && !is_secure)) secured_(std::move(handshake.connection));
    }
    running_.leave();
}

// What the host says first, and keeps it for whom it is for: a whole ClientHello, or what shows that it can be none.
Task<void> SecureAccept::hear(SecureHandshake& handshake, bool may_be_plain) {
    std::vector<std::byte>& received = handshake.connection.received;
    bool is_long = false;
    while (handshake.over == nullptr) {
        const std::vector<std::byte> more = co_await receive(handshake);
        received.reserve(received.size() + more.size());  // and no more
        received.insert(received.end(), more.begin(), more.end());
        if (may_be_plain && !begins_with_tls(received)) co_return;
        const net::TlsHello hello = net::look_for_hello(received);
        if (hello == net::TlsHello::too_long) handshake.give_up("its ClientHello is too long");
        if (hello != net::TlsHello::incomplete) co_return;
        if (is_long || received.size() <= hello_bytes_free) continue;
        is_long = true;
        reserve(handshake, net::tls_hello_bytes_max);
    }
}

// Of --memory, instead of what it has.
void SecureAccept::reserve(SecureHandshake& handshake, uint64_t bytes) {
    auto memory = env::MemoryShare::take(bytes, "a TLS handshake");
    if (memory) {
        handshake.memory = std::move(*memory);
    } else {
        handshake.give_up("there is no memory for a TLS handshake (--memory)");
    }
}

// The handshake, and then the stream above it. What fails is told, and leaves no `secure` behind.
Task<void> SecureAccept::secure(SecureHandshake& handshake, std::string peer) {
    NewConnection& done = handshake.connection;
    if (!co_await wait_to_be_called(handshake)) co_return;
    waiting_.forget(handshake);
    co_await answer_hello(handshake);
    call_next();
    if (handshake.over == nullptr) {
        if (answered_.size() >= answered_max) displace(answered_.oldest_of_most());
        answered_.add(handshake);
        co_await shake(handshake);
        answered_.forget(handshake);
    }
    if (handshake.over == nullptr && handshake.core->state() == net::PskHandshake::State::open) {
        auto memory = env::MemoryShare::take(net::psk_stream_memory_bytes, "a connection through TLS");
        if (memory) {
            handshake.unwatch();
            done.stream = handshake.core->into_stream(std::move(done.stream), std::move(*memory));
            co_return;
        }
        tell_refused(peer, memory.error().message);
    } else if (handshake.over == nullptr) {
        tell_refused(peer, handshake.core->error().message);
    }
    done.secure.reset();
}

// One a second, so that strangers do not fill the log.
void SecureAccept::tell_refused(const std::string& peer, std::string_view why) {
    const env::TimeNs now = target_.thread().reactor().now();
    if (told_at_ != 0 && now < told_at_ + env::ns_per_s) {
        ++untold_;
        WEFT_INFOLOG(log_nvmf_tcp, "connection from {} refused: {}", peer, why);
        return;
    }
    WEFT_NOTICELOG("connection from {} refused: {} ({} others before it)", peer, why, std::exchange(untold_, 0));
    told_at_ = now;
}

// Those with a whole ClientHello, some at a time, and each source in its turn. True: it is called, and calls the next.
// False: it is over.
Task<bool> SecureAccept::wait_to_be_called(SecureHandshake& handshake) {
    if (called_ < called_max) {
        ++called_;
        co_return true;
    }
    queue_.add(handshake);
    while (handshake.over == nullptr && handshake.queue_link.is_linked) co_await handshake.wait();
    if (!handshake.queue_link.is_linked) co_return true;
    queue_.forget(handshake);
    co_return false;
}

void SecureAccept::call_next() {
    SecureHandshake* const next = queue_.oldest_of_next(called_source_);
    if (next == nullptr) {
        --called_;
        return;
    }
    called_source_ = next->source();
    queue_.forget(*next);
    next->look_again();
}

// Whoever named no key here, and did not fail at that either, did not say a ClientHello.
Task<void> SecureAccept::answer_hello(SecureHandshake& handshake) {
    if (handshake.over == nullptr) reserve(handshake, handshake_memory_bytes);
    if (handshake.over != nullptr) co_return;
    handshake.core.emplace(*context_);
    handshake.core->feed(std::exchange(handshake.connection.received, {}));
    co_await advance(handshake);
    const bool is_running = handshake.core->state() == net::PskHandshake::State::running;
    if (is_running && handshake.connection.secure == nullptr) handshake.give_up("the host does not speak TLS here");
}

// Until it is open or failed, or over.
Task<void> SecureAccept::shake(SecureHandshake& handshake) {
    for (;;) {
        co_await send(handshake);
        if (handshake.over != nullptr || handshake.core->state() != net::PskHandshake::State::running) co_return;
        handshake.core->feed(co_await receive(handshake));
        if (handshake.over != nullptr) co_return;
        co_await advance(handshake);
    }
}

// As far as it goes with what the host has said. A ClientHello is taken apart on the spot; with a key there is
// arithmetic: a millisecond, one handshake's at a time, away from the reactor.
Task<void> SecureAccept::advance(SecureHandshake& handshake) {
    net::PskHandshake& core = *handshake.core;
    if (handshake.connection.secure == nullptr) {
        core.step();
        if (core.state() == net::PskHandshake::State::wants_key) {
            co_await choose_key(handshake);
            if (handshake.connection.secure == nullptr) core.step();  // which fails, with the right alert
        }
        if (handshake.connection.secure == nullptr) co_return;
    }
    const AsyncMutex::Guard turn = co_await turn_.lock();
    if (handshake.over != nullptr) co_return;
    co_await offload([&core] {
        core.step();
        return true;
    });
}

// Waits for bytes of the host; none: it is over.
Task<std::vector<std::byte>> SecureAccept::receive(SecureHandshake& handshake) {
    while (handshake.over == nullptr) {
        handshake.has_news = false;
        const env::Transfer got = handshake.connection.stream->receive(receive_);
        switch (got.state) {
            case env::Transfer::State::done: {
                const Bytes taken = Bytes(receive_).first(got.bytes);
                co_return std::vector<std::byte>(taken.begin(), taken.end());
            }
            case env::Transfer::State::end:
            case env::Transfer::State::failed:
                handshake.give_up("it left during the handshake");
                co_return std::vector<std::byte>();
            case env::Transfer::State::would_block: break;
        }
        while (handshake.over == nullptr && !handshake.has_news) co_await handshake.wait();
    }
    co_return std::vector<std::byte>();
}

Task<void> SecureAccept::send(SecureHandshake& handshake) {
    const std::string bytes = handshake.core->take_output();
    std::string_view rest = bytes;
    while (handshake.over == nullptr && !rest.empty()) {
        handshake.has_news = false;
        const iovec piece{.iov_base = const_cast<char*>(rest.data()), .iov_len = rest.size()};
        const env::Transfer sent = handshake.connection.stream->send({&piece, 1});
        if (sent.state == env::Transfer::State::done) {
            rest.remove_prefix(sent.bytes);
            continue;
        }
        if (sent.state != env::Transfer::State::would_block) {
            handshake.give_up("it left during the handshake");
            co_return;
        }
        while (handshake.over == nullptr && !handshake.has_news) co_await handshake.wait();
    }
}

// The keys that `identity` may mean; none: it is not known here.
Task<SecureAccept::Choice> SecureAccept::keys_for(const nvme::tls::PskIdentity& identity) {
    Choice choice;
    if (identity.is_generated) {
        if (auto found = target_.generated_psks().find(identity, target_.thread().reactor().now())) {
            choice.generated_psk = found->number;
            choice.keys.emplace_back(identity.text(), found->key.bytes());
        } else {
            WEFT_INFOLOG(log_nvmf_tcp, "TLS: the key that host {} made for subsystem {} is not good any more",
                         identity.hostnqn, identity.subnqn);
        }
        co_return choice;
    }
    const std::optional<HostPsk> psk = target_.host_psks().find(identity.subnqn, identity.hostnqn);
    if (!psk) {
        WEFT_INFOLOG(log_nvmf_tcp, "TLS: host {} has no key for subsystem {}", identity.hostnqn, identity.subnqn);
        co_return choice;
    }
    auto keys = co_await offload([&] { return keys_of(*psk, identity); });
    if (!keys) {
        WEFT_ERRLOG("TLS: key {} of host {}: {}", psk->name(), identity.hostnqn, keys.error().message);
        co_return choice;
    }
    choice.keys = std::move(*keys);
    co_return choice;
}

// The first of the host's offers that is known here; the key that proves it, if there are several it may be.
Task<void> SecureAccept::choose_key(SecureHandshake& handshake) {
    for (const net::PskOffer& offer : handshake.core->offers()) {
        const auto identity = nvme::tls::parse_identity(offer.identity);
        if (!identity) continue;
        const Choice choice = co_await keys_for(*identity);
        if (choice.keys.empty()) continue;
        const auto proven = std::ranges::find_if(
            choice.keys, [&](const net::PskKey& key) { return handshake.core->proves(offer, key); });
        // One that proves nothing lets the handshake fail with the alert that says so.
        handshake.core->choose(proven != choice.keys.end() ? &*proven : &choice.keys.front());
        handshake.connection.secure = std::make_unique<SecureChannel>(
            SecureChannel{.hostnqn = identity->hostnqn,
                          .subnqn = identity->subnqn,
                          .cipher = identity->hash == nvme::tls::PskHash::sha256 ? "TLS_AES_128_GCM_SHA256"
                                                                                 : "TLS_AES_256_GCM_SHA384",
                          .identity_version = identity->version,
                          .generated_psk = choice.generated_psk});
        co_return;
    }
    handshake.core->choose(nullptr);
}

}  // namespace weft::nvmf::tcp
