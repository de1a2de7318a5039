// The host's side of one NVMe/TCP queue, without the socket: commands go in, bytes to send come out, bytes that
// arrived go in, commands that are done come out.
//
// The controller is not trusted. Data goes only where a command of ours that is outstanding has room for it, in
// order and once; what does not fit, names no command or comes out of turn ends the connection with an H2CTermReq.
// A success that moved less than all of the data is turned into an error.
//
// NVMe/TCP Transport 1.0: 3.1 (ICReq), 3.3 (data transfer, R2T), 3.5 (errors). No allocation after construction,
// but for the message of a failure. Sans-I/O; belongs to one connection and lives on its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "env/clock.h"
#include "nvme/wire/receiver.h"
#include "nvme_host/io.h"
#include "nvme_host/tcp/send_queue.h"
#include "nvme_host/tcp/slot_table.h"

namespace weft::nvme_host::tcp {

struct ProtocolOptions {
    uint32_t depth = 31;          // commands outstanding: one less than the queue's entries
    bool is_admin = false;
    bool header_digest = false;
    bool data_digest = false;
    uint8_t data_alignment = 0;   // HPDA
    uint32_t in_capsule_max = 0;  // bytes of data that may go with a command; known from IOCCSZ
    bool discard = false;         // blocks that arrive are checked and counted, and stored nowhere
};

// In-capsule data of fabrics commands, and of all commands of an admin queue (NVMe/TCP 1.0, 3.3.2.1).
inline constexpr uint32_t admin_in_capsule_max = 8192;
// R2Ts that may be outstanding for one command. MAXR2T is 0's based.
inline constexpr uint32_t r2t_max = 1;

class QueueProtocol {
public:
    explicit QueueProtocol(const ProtocolOptions& options);
    QueueProtocol(const QueueProtocol&) = delete;
    QueueProtocol& operator=(const QueueProtocol&) = delete;
    ~QueueProtocol();  // no command is inside, asserted

    // Puts the ICReq into what is to be sent.
    void start();
    // ICReq and ICResp have been exchanged: commands are sent.
    [[nodiscard]] bool is_ready() const { return is_ready_; }

    // Takes any number: those without a slot wait inside. After a failure or lost() they are done at once.
    void submit(Io& io, env::TimeNs now);

    // Describes what is to be sent next; sent() tells how many bytes of it the connection took.
    [[nodiscard]] bool has_output() const { return !output_.empty(); }
    SendQueue::Gathered gather(std::span<iovec> pieces, size_t bytes_max) { return output_.gather(pieces, bytes_max); }
    void sent(size_t bytes, env::TimeNs now);

    // Bytes that arrived. Those behind a failure are ignored.
    void receive(Bytes input, env::TimeNs now);
    // Where the next bytes to arrive could be put so that receive() need not copy them; empty when there are
    // less than `size_min` such bytes. Stays valid until the next call of anything else.
    [[nodiscard]] MutableBytes direct_destination(size_t size_min) const;

    // The next command that is done; nullptr when there is none. Its `done` is the caller's to call.
    Io* pop_done();
    [[nodiscard]] bool has_done() const { return !done_.empty(); }

    // Why the connection must end: after one last gather(), which may hold an H2CTermReq, then lost().
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
    // Fails for a reason from outside (the socket's, a timeout); the first reason is kept.
    void fail_connection(Error error);
    // Nothing will be sent or received any more: every command inside is done, with host_path_error.
    void lost();

    // A command that has been with the controller since before `deadline`; nullptr when there is none.
    [[nodiscard]] const Io* overdue(env::TimeNs deadline) const;

    // Commands inside, but those in the background: a reason to look at the connection often.
    [[nodiscard]] uint32_t in_flight() const { return in_flight_; }
    [[nodiscard]] bool is_empty() const { return slots_.in_use() == 0 && waiting_.empty() && done_.empty(); }
    [[nodiscard]] uint32_t depth() const { return slots_.depth(); }
    [[nodiscard]] uint32_t max_h2c_data() const { return max_h2c_data_; }

    struct Counters {
        uint64_t bytes_received = 0;  // payload of C2HData
        uint64_t pdus_received = 0;
        uint64_t digest_errors = 0;
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

private:
    void start_waiting(env::TimeNs now);
    void start_command(Slot& slot, Io& io, env::TimeNs now);
    void send_h2c_data(Slot& slot);
    void on_sent(Slot& slot, env::TimeNs now);

    // Blocks only: what fabrics commands bring says how the connection goes on.
    [[nodiscard]] bool discards(const Slot& slot) const { return options_.discard && !slot.io->command.is_fabrics(); }
    void on_begin(env::TimeNs now);
    void on_data(const nvme::wire::Event& event);
    void on_end(bool digest_ok, env::TimeNs now);
    void on_ic_resp();
    void on_c2h_data();
    void on_r2t();
    void on_answer(const nvme::Completion& answer, uint32_t cid_offset, env::TimeNs now);

    SlotAction advance(Slot& slot, SlotEvent event);
    void complete(Slot& slot, const nvme::Completion& answer);
    void finish(Io& io);
    void finish_locally(Io& io, nvme::Status status);
    void refuse(const nvme::wire::Violation& violation, std::string_view what);
    void refuse(SlotAction action, std::string_view what);

    const ProtocolOptions options_;
    nvme::wire::PduReceiver receiver_{nvme::wire::End::host};
    nvme::wire::Framing framing_;
    uint32_t max_h2c_data_ = 0;
    bool is_ready_ = false;
    bool is_lost_ = false;
    uint32_t in_flight_ = 0;
    Slot* receiving_ = nullptr;  // whose C2HData is being received
    std::optional<Error> failure_;

    SlotTable slots_;
    SendQueue output_;  // after slots_: what it holds lies there
    Outgoing control_;  // ICReq, at the end H2CTermReq
    IoList waiting_;
    IoList done_;
    Counters counters_;
};

}  // namespace weft::nvme_host::tcp
