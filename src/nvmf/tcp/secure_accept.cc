#include "nvmf/tcp/secure_accept.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/log.h"
#include "env/memory_budget.h"
#include "nvmf/log_flags.h"
#include "nvmf/target.h"
#include "reactor/reactor.h"

namespace weft::nvmf::tcp {

namespace {

constexpr size_t receive_bytes = 4096;
constexpr std::byte handshake_record{22};  // RFC 8446, 5.1; the first byte of an ICReq is 0 (NVMe/TCP 1.0, 3.6.2.2)
// OpenSSL's state and its buffer, and what the host has said.
constexpr uint64_t handshake_memory_bytes = 160 * 1024;

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

}  // namespace

SecureHandshake::SecureHandshake(Thread& thread, NewConnection from)
    : connection(std::move(from)),
      timer(
          thread, [](void* self) { static_cast<SecureHandshake*>(self)->give_up("time-out: no finished handshake"); },
          this) {}

uint32_t SecureHandshake::on_events(uint32_t /*events*/) {
    has_news = true;
    news_.wake_all();
    return 1;
}

void SecureHandshake::give_up(const char* why) {
    if (over == nullptr) over = why;
    news_.wake_all();
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
    if (waiting_.size() >= std::max(options_.max_connecting, 1U)) {
        WEFT_WARNLOG("TLS: the oldest handshake was ended: there are too many at once (max_connecting)");
        SecureHandshake& oldest = *waiting_.front();
        waiting_.remove(oldest);
        oldest.give_up("it made room for another");
    }
    spawn(run(std::move(connection), may_be_plain));
}

Task<void> SecureAccept::close() {
    for (SecureHandshake* at = waiting_.front(); at != nullptr; at = decltype(waiting_)::next(*at)) {
        at->give_up("the target stops");
    }
    co_await running_.close();
}

Task<void> SecureAccept::run(NewConnection connection, bool may_be_plain) {
    std::string peer = env::to_string(connection.stream->peer_address());
    {
        SecureHandshake handshake(target_.thread(), std::move(connection));
        waiting_.push_back(handshake);
        handshake.timer.start_after(options_.handshake_timeout_ms * env::ns_per_ms);
        const auto watched = handshake.watch(target_.thread(), *handshake.connection.stream,
                                             {.events = env::Events::readable | env::Events::writable, .edge = true});
        if (!watched) handshake.give_up("the system refused to watch it");
        const bool is_secure = !may_be_plain || co_await begins_with_tls(handshake);
        if (is_secure) co_await secure(handshake, peer);
        handshake.unwatch();
        handshake.timer.stop();
        if (handshake.link.is_linked) waiting_.remove(handshake);
        if (handshake.over != nullptr) {
            tell_refused(peer, handshake.over);
        } else if (!is_secure || handshake.connection.secure != nullptr) {
            secured_(std::move(handshake.connection));
        }
    }
    running_.leave();
}

// Keeps what it looked at, for whom it is for.
Task<bool> SecureAccept::begins_with_tls(SecureHandshake& handshake) {
    handshake.connection.received = co_await receive(handshake);
    const std::vector<std::byte>& received = handshake.connection.received;
    co_return !received.empty() && received.front() == handshake_record;
}

// The handshake, and then the stream above it. What fails is told, and leaves no `secure` behind.
Task<void> SecureAccept::secure(SecureHandshake& handshake, std::string peer) {
    auto meanwhile = env::MemoryShare::take(handshake_memory_bytes, "a TLS handshake");
    if (!meanwhile) co_return tell_refused(peer, meanwhile.error().message);
    handshake.core.emplace(*context_);
    NewConnection& done = handshake.connection;
    if (!done.received.empty()) {
        handshake.core->feed(std::exchange(done.received, {}));
        co_await step(handshake);
    }
    co_await shake(handshake);
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

// Until it is open or failed, or over.
Task<void> SecureAccept::shake(SecureHandshake& handshake) {
    using State = net::PskHandshake::State;
    while (handshake.over == nullptr) {
        switch (handshake.core->state()) {
            case State::running:
                handshake.core->feed(co_await receive(handshake));
                co_await step(handshake);
                break;
            case State::wants_key:
                co_await choose_key(handshake);
                co_await step(handshake);
                break;
            case State::open:
            case State::failed: co_await send(handshake); co_return;
        }
        co_await send(handshake);
    }
}

// With a key there is arithmetic: a millisecond, away from the reactor. Before, a ClientHello is taken apart, on the
// spot: a crowd that never sends a whole one stands in nobody's way.
Task<void> SecureAccept::step(SecureHandshake& handshake) {
    if (handshake.over != nullptr) co_return;
    if (handshake.connection.secure == nullptr) {
        handshake.core->step();
        co_return;
    }
    const AsyncMutex::Guard turn = co_await turn_.lock();
    if (handshake.over != nullptr) co_return;
    co_await offload([&handshake] {
        handshake.core->step();
        return true;
    });
}

// Waits for bytes of the host; none: it is over.
Task<std::vector<std::byte>> SecureAccept::receive(SecureHandshake& handshake) {
    std::array<std::byte, receive_bytes> bytes{};
    while (handshake.over == nullptr) {
        handshake.has_news = false;
        const env::Transfer got = handshake.connection.stream->receive(bytes);
        switch (got.state) {
            case env::Transfer::State::done: {
                const Bytes taken = Bytes(bytes).first(got.bytes);
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
