// One NVMe/TCP connection of the target: a socket, a PDU receiver and a send queue (NVMe/TCP Transport 1.0).
//
// Lives on its poll group's thread, owned by its TcpGroup. The code is in three files: connection.cc is its life,
// connection_receive.cc what arrives, connection_send.cc what leaves.
//
// It ends in three steps: close() stops it and lets go of every request that nobody executes; the group joins it
// (is_joined) when those that were executing have come back; then the group destroys it, from its poller.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "env/memory_budget.h"
#include "env/network.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/receiver.h"
#include "nvmf/qpair.h"
#include "nvmf/tcp/limits.h"
#include "nvmf/tcp/progress.h"
#include "nvmf/tcp/request.h"
#include "reactor/event_source.h"
#include "reactor/timer.h"

namespace weft::nvmf::tcp {

class TcpGroup;

class Connection final : public Qpair, private EventSource {
public:
    // What one is counted with (--memory): itself, its stream, its controller or queue, and what it keeps of what came.
    static constexpr uint64_t memory_bytes = 32 * 1024;

    // `memory`: as much of the budget.
    Connection(TcpGroup& group, uint64_t uid, std::unique_ptr<env::Stream> stream, TransportId listener,
               ConnectionLimits::Place place, env::MemoryShare memory);
    ~Connection() override;

    // Watches the socket and starts the handshake timer. Errors: what the system refused.
    Result<void> start();

    void send(Request& executed) override;
    void resume(Request& waiting) override;
    void close(std::string_view why) override;
    void connect_began() override;
    void connected() override;
    void connect_ended() override;
    void withdraw(NamespaceView& ns) override;
    [[nodiscard]] BufferCache& buffers() override;
    [[nodiscard]] TransportId listen_id() const override { return listener_; }
    [[nodiscard]] TransportId local_id() const override;
    [[nodiscard]] TransportId peer_id() const override;

    // For the group's poller.
    // Reads the socket once and acts on what came; returns how much was done.
    uint32_t receive();
    // What its socket gave before it was ours.
    void take_received(Bytes bytes);
    // Goes on with what was read before it stalled.
    uint32_t unstall();
    // Hands the socket what it takes of the send queue.
    void flush();
    // Its timer has run out.
    void on_late();
    [[nodiscard]] bool is_stalled() const { return stall_ != Stall::none; }
    [[nodiscard]] bool is_closing() const { return phase_ == Phase::closing; }
    [[nodiscard]] bool is_joined() const { return is_closing() && outstanding.empty(); }

    // Which source it comes from (ConnectionLimits).
    [[nodiscard]] uint32_t source() const { return place_.source(); }
    // For the group's look at progress, a few times within pdu_timeout_ms. Something was begun, and is not through.
    [[nodiscard]] bool is_under_way() const;
    // What took too long; nullptr while all is well.
    [[nodiscard]] const char* look_at_progress();

    // The group's lists.
    ListLink<Connection> owned_link;
    ListLink<Connection> hot_link;
    ListLink<Connection> dirty_link;  // has something to send
    ListLink<Connection> stalled_link;
    ListLink<Connection> closing_link;
    ListLink<Connection> awaited_link;  // has yet to send a Connect that is not refused
    uint32_t misses = 0;  // turns in a row that found nothing to read

private:
    enum class Phase : uint8_t {
        running,
        terminating,  // a C2HTermReq is on its way; nothing is read as PDUs any more
        closing,
    };
    enum class Stall : uint8_t {
        none,
        slot,  // the command at hand has no request slot
        buffer,  // the command at hand waits for buffers for its in-capsule data
    };

    // Of one call to the system.
    enum class Outcome : uint8_t {
        sent,  // all that it was given
        stopped,  // the socket takes no more for now, or the connection is closed
        held_up,  // a request cannot be sent in this turn
    };

    uint32_t on_events(uint32_t events) override;

    // connection_receive.cc
    void process(Bytes input);
    void begin_pdu(Bytes rest);
    void begin_command(Bytes rest);
    void trace_new(TcpRequest& request);
    void begin_h2c_data();
    void take_data(const nvme::wire::Event& event);
    void end_pdu(bool digest_ok);
    void end_ic_req();
    void end_command(bool digest_ok);
    void end_h2c_data(bool digest_ok);
    nvme::Status plan(TcpRequest& request, uint32_t payload_bytes);
    [[nodiscard]] bool awaits_host(const Request& request) const;
    [[nodiscard]] bool is_deadlocked() const;
    // Before Connect one command at a time is taken.
    [[nodiscard]] size_t queue_depth() const { return queue_size == 0 ? 1 : queue_size; }
    [[nodiscard]] bool has_outstanding_cid(uint16_t cid) const;
    bool gives_up_event_request(uint16_t cid);
    void place_in_capsule_data(TcpRequest& request, uint32_t payload_bytes, Bytes rest);
    static void use_received(TcpRequest& request, uint32_t offset, Bytes data);
    void copy_in(TcpRequest& request, uint32_t offset, Bytes data);
    bool get_buffers(TcpRequest& request, uint32_t bytes, BufferClaim claim);
    void receive_into_buffers(TcpRequest& request);
    void ask_for_data(TcpRequest& request);
    void execute(TcpRequest& request);
    void refuse(TcpRequest& request, nvme::Status refusal);

    // connection_send.cc
    void queue(TcpRequest& request);
    bool prepare_send(TcpRequest& request);
    Outcome send_batch(TcpRequest& first);
    [[nodiscard]] bool goes_in_place(const TcpRequest& request) const;
    Outcome send_in_place(TcpRequest& request);
    bool borrow(TcpRequest& request);
    size_t append_pieces(const TcpRequest& request, std::span<iovec> pieces) const;
    void trace_send(env::TimeNs began, size_t count, const env::Transfer& sent);
    Outcome settle(TcpRequest& first, size_t count, size_t bytes, const env::Transfer& sent);
    void finish_sending(TcpRequest& request);
    void own_lent_data(TcpRequest& request);
    bool flush_control();
    void end_lending(TcpRequest& request);

    // connection.cc
    void terminate(const nvme::wire::Violation& violation);
    void lose(TcpRequest& request);
    void release(TcpRequest& request);
    void stall(Stall why, Bytes rest);

    TcpGroup& group_;
    std::unique_ptr<env::Stream> stream_;
    const TransportId listener_;
    Phase phase_ = Phase::running;
    Stall stall_ = Stall::none;
    bool is_initialized_ = false;  // ICResp was queued
    bool is_blocked_ = false;  // the socket took less than it was given: wait until it is writable
    bool rx_inline_ = false;  // the data at hand is executed where it was received
    TcpRequest* rx_request_ = nullptr;  // whose PDU is being received
    uint32_t rx_offset_ = 0;  // of the PDU's data in the command's
    nvme::wire::PduReceiver receiver_{nvme::wire::End::controller};
    nvme::wire::Framing framing_;
    std::vector<std::byte> backlog_;  // read but not looked at, while stalled
    // ICResp, C2HTermReq, or one behind the other.
    std::array<std::byte, sizeof(nvme::wire::IcResp) + nvme::wire::encoded_size_max> control_;
    uint32_t control_bytes_ = 0;
    uint32_t control_sent_ = 0;
    IntrusiveList<TcpRequest, &TcpRequest::send_link> send_queue_;
    const ConnectionLimits::Place place_;
    const env::MemoryShare memory_;
    uint32_t pdus_received_ = 0;  // to their end
    uint32_t pdus_sent_ = 0;
    Progress receiving_;
    Progress sending_;
    std::array<uint8_t, 256> cids_{};  // outstanding commands by the low byte of their CID: a filter
    Timer timer_;  // handshake, then the end of a termination
};

}  // namespace weft::nvmf::tcp
