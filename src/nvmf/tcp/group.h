// The TCP transport's part of a poll group: its connections, request slots, data buffers, and the one receive buffer
// that all its connections share (it stays in the cache; a connection of its own keeps only a partial header).
//
// A connection is *hot* while it brings data: the poller reads it without asking. The others are found by the
// reactor's waiter, which watches every socket edge-triggered.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "env/environment.h"
#include "memory/buffer_pool.h"
#include "nvmf/poll_group.h"
#include "nvmf/tcp/connection.h"
#include "nvmf/tcp/new_connection.h"
#include "nvmf/tcp/newcomers.h"
#include "nvmf/tcp/slots.h"
#include "reactor/timer.h"

namespace weft::nvmf::tcp {

class TcpTransport;

class TcpGroup final : public TransportGroup {
public:
    static Result<std::unique_ptr<TcpGroup>> create(TcpTransport& transport, PollGroup& group, BufferPool& pool,
                                                    uint32_t reserve);
    ~TcpGroup() override;

    // Takes over an accepted connection, or refuses it when there are too many. On the group's thread.
    void adopt(NewConnection accepted, uint64_t uid);

    [[nodiscard]] Transport& transport() const override;
    uint32_t poll() override;
    [[nodiscard]] bool has_work() const override;
    void close_all(std::string_view why) override;
    [[nodiscard]] bool is_empty() const override { return owned_.empty(); }
    [[nodiscard]] BufferCacheStats buffer_stats() const override { return buffers_->stats(); }
    [[nodiscard]] TransportFigures transport_figures() const override;

    // For its connections.
    [[nodiscard]] PollGroup& poll_group() const { return group_; }
    [[nodiscard]] BufferCache& buffers() const { return *buffers_; }
    [[nodiscard]] Slots& slots() { return slots_; }
    [[nodiscard]] MutableBytes receive_buffer() const;
    [[nodiscard]] std::span<iovec> pieces() { return pieces_; }
    void make_hot(Connection& connection);
    void cool(Connection& connection);
    void mark_dirty(Connection& connection);
    void add_stalled(Connection& connection) { stalled_.push_back(connection); }
    void forget_stalled(Connection& connection) {
        if (connection.stalled_link.is_linked) stalled_.remove(connection);
    }
    void add_closing(Connection& connection);
    // Its Connect has yet to come; is being executed; is not any more.
    void await_connect(Connection& connection) { awaited_.add(connection); }
    void connect_began(Connection& connection) {
        forget_awaited(connection);
        ++connects_executing_;
    }
    void connect_ended() { --connects_executing_; }
    void forget_awaited(Connection& connection) { awaited_.forget(connection); }
    // Something was begun that must come to its end.
    void watch_progress() {
        if (!progress_.is_running() && look_interval_ != 0) progress_.start_after(look_interval_);
    }

    // Kept by its connections; the present state is filled in by transport_figures().
    TransportFigures figures;

private:
    static constexpr size_t receive_bytes = 512 * 1024;
    static constexpr size_t receive_bytes_when_short = 16 * 1024;
    static constexpr size_t piece_max = 1024;  // IOV_MAX
    static constexpr uint32_t misses_max = 16;

    TcpGroup(TcpTransport& transport, PollGroup& group, std::unique_ptr<BufferCache> buffers, env::Mapping receive);
    uint32_t unstall();
    uint32_t receive_hot();
    void flush_dirty();
    uint32_t destroy_joined();
    void look_at_progress();
    // False: `oldest` is nullptr.
    bool displace(Connection* oldest);

    TcpTransport& transport_;
    PollGroup& group_;
    Slots slots_;
    std::unique_ptr<BufferCache> buffers_;
    env::Mapping receive_;
    std::array<iovec, piece_max> pieces_;
    IntrusiveList<Connection, &Connection::owned_link> owned_;
    IntrusiveList<Connection, &Connection::hot_link> hot_;
    IntrusiveList<Connection, &Connection::dirty_link> dirty_;
    IntrusiveList<Connection, &Connection::stalled_link> stalled_;
    IntrusiveList<Connection, &Connection::closing_link> closing_;
    // Those that may be displaced. Not those whose Connect is being executed: when many hosts come
    // back at once they wait for each other here, and whoever were sent away would come once more.
    Newcomers<Connection, &Connection::awaited_link> awaited_;
    uint32_t connects_executing_ = 0;
    const env::TimeNs look_interval_;
    Timer progress_;
};

}  // namespace weft::nvmf::tcp
