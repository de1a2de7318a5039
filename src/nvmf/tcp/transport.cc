#include "nvmf/tcp/transport.h"

#include <fmt/format.h>

#include <span>

#include "base/log.h"
#include "net/acceptor.h"
#include "nvmf/log_flags.h"
#include "nvmf/target.h"
#include "nvmf/tcp/group.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace weft::nvmf::tcp {

namespace {

constexpr uint32_t descriptors_for_others = 256;

std::string_view describe(ListenKind kind) {
    switch (kind) {
        case ListenKind::plain: return "without TLS";
        case ListenKind::secure: return "with TLS";
        case ListenKind::either: return "with TLS or without";
    }
    return "";
}

}  // namespace

// A listening socket, and how many listeners of subsystems share it.
class TcpTransport::Port {
public:
    explicit Port(std::unique_ptr<net::Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
    uint32_t users = 1;
    ListenKind kind = ListenKind::plain;

private:
    std::unique_ptr<net::Acceptor> acceptor_;
};

Result<std::unique_ptr<TcpTransport>> TcpTransport::create(Target& target, TransportOptions options) {
    WEFT_TRY(options.check());
    auto pool = BufferPool::create({.buffer_bytes = options.io_unit_size, .buffer_count = options.num_shared_buffers});
    if (!pool) return std::unexpected(std::move(pool).error());
    options.trtype = "TCP";
    env::Environment& environment = target.thread().reactor().environment();
    uint64_t seed = 0;
    environment.random().fill(std::as_writable_bytes(std::span(&seed, 1)));
    // One each; the others are for files, RPC clients and reactors.
    const uint32_t descriptors = environment.descriptors_max();
    const uint32_t room = descriptors - std::min(descriptors / 2, descriptors_for_others);
    const uint32_t total_max = options.max_connections == 0 ? room : std::min(options.max_connections, room);
    WEFT_NOTICELOG("*** TCP Transport Init ***");
    return std::unique_ptr<TcpTransport>(
        new TcpTransport(target, std::move(options), std::move(*pool), total_max, seed));
}

TcpTransport::TcpTransport(Target& target, TransportOptions options, std::unique_ptr<BufferPool> pool,
                           uint32_t connections_max, uint64_t seed)
    : Transport(std::move(options)),
      target_(target),
      pool_(std::move(pool)),
      limits_(connections_max, this->options().max_connections_per_source, seed) {}

TcpTransport::~TcpTransport() = default;

Result<std::unique_ptr<TransportGroup>> TcpTransport::make_group(PollGroup& group) {
    auto made = TcpGroup::create(*this, group, *pool_, options().buffers_per_group(group_count_));
    if (!made) return std::unexpected(std::move(made).error());
    return std::unique_ptr<TransportGroup>(std::move(*made));
}

Result<void> TcpTransport::listen(const TransportId& address, ListenKind kind) {
    const auto found = ports_.find(address);
    if (found != ports_.end()) {
        if (found->second->kind != kind) {
            return fail(Errc::busy, fmt::format("{}:{} is listened on {} already: take another port", address.traddr,
                                                address.trsvcid, describe(found->second->kind)));
        }
        ++found->second->users;
        return {};
    }
    const auto socket_address = address_of(address);
    if (!socket_address) return std::unexpected(socket_address.error());
    if (kind != ListenKind::plain && secure_ == nullptr) {
        auto made = SecureAccept::create(target_, options(),
                                         [this](NewConnection connection) { hand_over(std::move(connection)); });
        if (!made) return std::unexpected(std::move(made).error());
        secure_ = std::move(*made);
    }
    auto acceptor = net::Acceptor::listen(
        target_.thread(), *socket_address, {.backlog = static_cast<int>(options().acceptor_backlog)},
        [this, address, kind](std::unique_ptr<env::Stream> stream) {
            if (!admits(*stream)) return;  // first of all: who may not come costs nothing but this
            auto place = limits_.enter(stream->peer_address().host);
            NewConnection connection{std::move(stream), address, std::move(place), nullptr, {}};
            if (kind == ListenKind::plain) {
                hand_over(std::move(connection));
            } else {
                secure_->begin(std::move(connection), kind == ListenKind::either);
            }
        });
    if (!acceptor) return std::unexpected(std::move(acceptor).error());
    WEFT_NOTICELOG("*** NVMe/TCP Target Listening on {} port {} ***", address.traddr, address.trsvcid);
    const auto port = ports_.emplace(address, std::make_unique<Port>(std::move(*acceptor))).first;
    port->second->kind = kind;
    return {};
}

void TcpTransport::stop_listening(const TransportId& address) {
    const auto found = ports_.find(address);
    WEFT_ASSERT(found != ports_.end());
    if (--found->second->users == 0) ports_.erase(found);
}

Task<void> TcpTransport::close() {
    if (secure_ != nullptr) co_await secure_->close();
}

bool TcpTransport::admits(const env::Stream& stream) {
    if (networks.admits(stream.peer_address())) return true;
    ++refused_by_network;
    WEFT_INFOLOG(log_nvmf_tcp, "connection from {} refused: it is of none of the networks that may come",
                 env::to_string(stream.peer_address()));
    return false;
}

void TcpTransport::hand_over(NewConnection connection) {
    // The list may be another one than when its handshake began.
    if (!admits(*connection.stream)) return;
    spawn([](TcpTransport& self, NewConnection accepted) -> Task<void> {
        PollGroup& group = self.target_.next_group();
        const uint64_t uid = self.target_.next_uid();
        co_await resume_on(group.thread());
        // A target that stops has no groups any more.
        if (TransportGroup* mine = group.transport_group(self)) {
            static_cast<TcpGroup*>(mine)->adopt(std::move(accepted), uid);
        }
    }(*this, std::move(connection)));
}

}  // namespace weft::nvmf::tcp
