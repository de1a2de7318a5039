#include "nvmf/tcp/group.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "nvmf/connect.h"
#include "nvmf/log_flags.h"
#include "nvmf/tcp/transport.h"

namespace weft::nvmf::tcp {

Result<std::unique_ptr<TcpGroup>> TcpGroup::create(TcpTransport& transport, PollGroup& group, BufferPool& pool,
                                                   uint32_t reserve) {
    auto buffers = BufferCache::create(pool, reserve, transport.options().buffers_per_capsule());
    if (!buffers) return std::unexpected(std::move(buffers).error());
    auto receive = env::map_memory(receive_bytes, {.name = "weft_receive", .huge_pages = false});
    if (!receive) return std::unexpected(std::move(receive).error());
    return std::unique_ptr<TcpGroup>(new TcpGroup(transport, group, std::move(*buffers), std::move(*receive)));
}

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): pieces_ are written before they are sent
TcpGroup::TcpGroup(TcpTransport& transport, PollGroup& group, std::unique_ptr<BufferCache> buffers,
                   env::Mapping receive)
    : transport_(transport),
      group_(group),
      buffers_(std::move(buffers)),
      receive_(std::move(receive)),
      look_interval_(transport.options().pdu_timeout_ms * env::ns_per_ms / looks_max),
      progress_(group.thread(), [](void* self) { static_cast<TcpGroup*>(self)->look_at_progress(); }, this) {}

TcpGroup::~TcpGroup() { WEFT_ASSERT(owned_.empty()); }

Transport& TcpGroup::transport() const { return transport_; }

MutableBytes TcpGroup::receive_buffer() const {
    // When requests wait for buffers, little is read at a time: what cannot be placed must be kept elsewhere.
    const size_t bytes = buffers_->has_waiters() ? receive_bytes_when_short : receive_bytes;
    return {receive_.data(), bytes};
}

void TcpGroup::adopt(NewConnection accepted, uint64_t uid) {
    ConnectionLimits::Place& place = accepted.place;
    const std::unique_ptr<env::Stream>& stream = accepted.stream;
    using Standing = ConnectionLimits::Standing;
    const Standing standing = place.standing();
    // Who has not proved who it is must not keep those out who can.
    if (standing != Standing::within && !displace(awaited_.oldest_for(place))) {
        ++figures.refused_connections;
        WEFT_WARNLOG("connection from {} refused: there are {} already ({})", env::to_string(stream->peer_address()),
                     standing == Standing::source_full ? "too many of that address" : "too many",
                     standing == Standing::source_full ? "max_connections_per_source" : "max_connections");
        return;
    }
    if (awaited_.size() >= transport_.connecting_max()) displace(awaited_.oldest_of_most());
    auto memory = env::MemoryShare::take(Connection::memory_bytes, "a connection");
    if (!memory) {
        ++figures.refused_connections;
        WEFT_WARNLOG("connection from {} refused: {}", env::to_string(stream->peer_address()), memory.error().message);
        return;
    }
    auto connection = std::make_unique<Connection>(*this, uid, std::move(accepted.stream), accepted.listener,
                                                   std::move(place), std::move(*memory));
    connection->secure = std::move(accepted.secure);
    if (auto started = connection->start(); !started) {
        WEFT_ERRLOG("connection refused: {}", started.error().message);
        return;
    }
    Connection& owned = *connection.release();
    owned_.push_back(owned);
    await_connect(owned);
    group_.qpairs.push_back(owned);
    ++group_.stats.current_unassociated_qpairs;
    ++figures.connections;
    owned.take_received(accepted.received);
    make_hot(owned);  // what came before the watch began would not be told
}

TransportFigures TcpGroup::transport_figures() const {
    TransportFigures present = figures;
    present.current_connections = static_cast<uint32_t>(owned_.size());
    present.current_connecting = static_cast<uint32_t>(awaited_.size()) + connects_executing_;
    present.requests_in_flight = static_cast<uint32_t>(slots_.in_use());
    present.waiting_for_buffers = static_cast<uint32_t>(buffers_->waiting());
    return present;
}

bool TcpGroup::displace(Connection* oldest) {
    if (oldest == nullptr) return false;
    ++figures.displaced_connections;
    WEFT_WARNLOG("connection from {} closed before it finished Connect: there are too many of these",
                 oldest->peer_id().traddr);
    oldest->close("it made room for another");
    return true;
}

void TcpGroup::look_at_progress() {
    bool is_under_way = false;
    for (Connection* at = owned_.front(); at != nullptr; at = decltype(owned_)::next(*at)) {
        if (at->is_closing()) continue;
        if (const char* const why = at->look_at_progress()) {
            ++figures.timed_out_connections;
            WEFT_NOTICELOG("host \"{}\" at {}, queue {}: {}", log::quoted(at->hostnqn), at->peer_id().traddr, at->qid,
                           why);
            at->close(why);
        } else {
            is_under_way = is_under_way || at->is_under_way();
        }
    }
    if (is_under_way) progress_.start_after(look_interval_);
}

void TcpGroup::make_hot(Connection& connection) {
    connection.misses = 0;
    if (!connection.hot_link.is_linked && !connection.is_closing()) hot_.push_back(connection);
}

void TcpGroup::cool(Connection& connection) {
    if (connection.hot_link.is_linked) hot_.remove(connection);
}

void TcpGroup::mark_dirty(Connection& connection) {
    if (!connection.dirty_link.is_linked && !connection.is_closing()) dirty_.push_back(connection);
}

void TcpGroup::add_closing(Connection& connection) {
    cool(connection);
    if (connection.dirty_link.is_linked) dirty_.remove(connection);
    if (connection.stalled_link.is_linked) stalled_.remove(connection);
    closing_.push_back(connection);
}

uint32_t TcpGroup::poll() {
    uint32_t work = 0;
    if (buffers_->has_waiters()) work += buffers_->serve();
    if (!stalled_.empty()) work += unstall();
    work += receive_hot();
    if (!dirty_.empty()) flush_dirty();
    if (!closing_.empty()) work += destroy_joined();
    return work;
}

bool TcpGroup::has_work() const {
    // Another group may give back what ours waits for, without telling.
    if (!dirty_.empty() || buffers_->has_waiters()) return true;
    for (Connection* at = closing_.front(); at != nullptr; at = decltype(closing_)::next(*at)) {
        if (at->is_joined()) return true;
    }
    return false;
}

uint32_t TcpGroup::unstall() {
    uint32_t work = 0;
    for (size_t left = stalled_.size(); left > 0 && !stalled_.empty(); --left) {
        work += stalled_.pop_front()->unstall();
    }
    return work;
}

uint32_t TcpGroup::receive_hot() {
    uint32_t work = 0;
    for (size_t left = hot_.size(); left > 0 && !hot_.empty(); --left) {
        Connection& connection = *hot_.pop_front();
        const uint32_t done = connection.receive();
        work += done;
        if (connection.is_closing()) continue;
        if (done == 0 && ++connection.misses > misses_max) continue;
        if (done > 0) connection.misses = 0;
        if (!connection.hot_link.is_linked) hot_.push_back(connection);
    }
    return work;
}

void TcpGroup::flush_dirty() {
    for (size_t left = dirty_.size(); left > 0 && !dirty_.empty(); --left) dirty_.pop_front()->flush();
}

uint32_t TcpGroup::destroy_joined() {
    uint32_t destroyed = 0;
    for (Connection* at = closing_.front(); at != nullptr;) {
        Connection& connection = *at;
        at = decltype(closing_)::next(connection);
        if (!connection.is_joined()) continue;
        closing_.remove(connection);
        owned_.remove(connection);
        group_.qpairs.remove(connection);
        ++destroyed;
        qpair_gone(connection);
        const std::unique_ptr<Connection> last(&connection);
    }
    return destroyed;
}

void TcpGroup::close_all(std::string_view why) {
    for (Connection* at = owned_.front(); at != nullptr; at = decltype(owned_)::next(*at)) at->close(why);
}

}  // namespace weft::nvmf::tcp
