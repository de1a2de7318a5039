#include "nvmf/tcp/transport.h"

#include <fmt/format.h>

#include <span>

#include "base/log.h"
#include "net/acceptor.h"
#include "nvmf/target.h"
#include "nvmf/tcp/group.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace weft::nvmf::tcp {

namespace {

constexpr uint32_t descriptors_for_others = 256;

}  // namespace

// A listening socket, and how many listeners of subsystems share it.
class TcpTransport::Port {
public:
    explicit Port(std::unique_ptr<net::Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
    uint32_t users = 1;

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

Result<void> TcpTransport::listen(const TransportId& address) {
    const auto found = ports_.find(address);
    if (found != ports_.end()) {
        ++found->second->users;
        return {};
    }
    const auto socket_address = address_of(address);
    if (!socket_address) return std::unexpected(socket_address.error());
    auto acceptor = net::Acceptor::listen(
        target_.thread(), *socket_address, {.backlog = static_cast<int>(options().acceptor_backlog)},
        [this, address](std::unique_ptr<env::Stream> stream) { hand_over(std::move(stream), address); });
    if (!acceptor) return std::unexpected(std::move(acceptor).error());
    WEFT_NOTICELOG("*** NVMe/TCP Target Listening on {} port {} ***", address.traddr, address.trsvcid);
    ports_.emplace(address, std::make_unique<Port>(std::move(*acceptor)));
    return {};
}

void TcpTransport::stop_listening(const TransportId& address) {
    const auto found = ports_.find(address);
    WEFT_ASSERT(found != ports_.end());
    if (--found->second->users == 0) ports_.erase(found);
}

void TcpTransport::hand_over(std::unique_ptr<env::Stream> stream, const TransportId& listener) {
    auto place = limits_.enter(stream->peer_address().host);
    spawn([](TcpTransport& self, std::unique_ptr<env::Stream> accepted, TransportId from,
             ConnectionLimits::Place taken) -> Task<void> {
        PollGroup& group = self.target_.next_group();
        const uint64_t uid = self.target_.next_uid();
        co_await resume_on(group.thread());
        // A target that stops has no groups any more.
        if (TransportGroup* mine = group.transport_group(self)) {
            static_cast<TcpGroup*>(mine)->adopt(std::move(accepted), from, uid, std::move(taken));
        }
    }(*this, std::move(stream), listener, std::move(place)));
}

}  // namespace weft::nvmf::tcp
