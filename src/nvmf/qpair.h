// A queue pair as the transport-independent code sees it. Each transport derives its connection from this. Lives
// on its poll group's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/intrusive_list.h"
#include "env/address.h"
#include "memory/buffer_pool.h"
#include "nvme/auth/messages.h"
#include "nvmf/figures.h"
#include "nvmf/request.h"
#include "nvmf/secure/secure_channel.h"
#include "nvmf/transport_id.h"
#include "nvmf/transport_options.h"
#include "nvmf/views.h"

namespace weft::nvmf {

class Controller;
class PollGroup;
class QpairAuth;

class Qpair {
public:
    enum class State : uint8_t { uninitialized, connecting, authenticating, enabled, deactivating };

    // `options` are its transport's, which outlives it.
    Qpair(PollGroup& group, const TransportOptions& options, uint64_t uid);
    Qpair(const Qpair&) = delete;
    Qpair& operator=(const Qpair&) = delete;
    virtual ~Qpair();

    // `request` is executed: its completion is filled but for sqhd and cid. Sends data and completion. A request
    // whose connection is gone is only released.
    virtual void send(Request& request) = 0;
    // A request that was held or parked may be tried again.
    virtual void resume(Request& request) = 0;
    // Ends the connection, some time later: nothing is executed any more, what executes is waited for. Idempotent.
    virtual void close(std::string_view why) = 0;
    // A Connect is being executed: how long that takes is not the host's doing.
    virtual void connect_began() = 0;
    // It succeeded: the queue has its depth and may take I/O; with `auth`, once that is completed.
    virtual void connected() = 0;
    // It is not executed any more, whatever came of it.
    virtual void connect_ended() = 0;
    // Takes back reads of `ns` (all when nullptr) that wait to be sent from device memory, and holds them.
    virtual void withdraw(NamespaceView& ns) = 0;
    [[nodiscard]] virtual BufferCache& buffers() = 0;
    [[nodiscard]] const TransportOptions& options() const { return options_; }
    // The listener it came through, as it was configured; and the address it reached, which differs from that when
    // the listener is a wildcard.
    [[nodiscard]] virtual TransportId listen_id() const = 0;
    [[nodiscard]] virtual TransportId local_id() const = 0;
    [[nodiscard]] virtual TransportId peer_id() const = 0;

    [[nodiscard]] PollGroup& group() const { return group_; }
    [[nodiscard]] uint64_t uid() const { return uid_; }
    [[nodiscard]] bool is_admin() const { return qid == 0; }
    // While it is not enabled: success when the command may be looked at all the same.
    [[nodiscard]] nvme::Status check_early(const nvme::Command& command) const;
    // The namespace, if it is there and this queue's controller has it; connected queues only.
    [[nodiscard]] NamespaceView* find_namespace(uint32_t nsid) const {
        NamespaceView* ns = subsystem->find(nsid);
        return ns == nullptr || !ns->is_selective || is_attached(nsid) ? ns : nullptr;
    }
    // A bit for each namespace that not all controllers have.
    void set_attached(uint32_t nsid, bool is_so);
    // SQHD of the next completion (NVMe Base 2.0, 3.3.1.2.1.2): counted, or FFFFh without flow control.
    uint16_t next_sqhd();

    State state = State::uninitialized;
    uint16_t qid = 0;
    uint16_t cntlid = 0;
    uint16_t queue_size = 0;  // entries, not 0's based; 0 before Connect
    bool has_flow_control = true;
    bool is_connecting = false;  // a Connect is being executed
    SubsystemView* subsystem = nullptr;
    AnaView* ana = nullptr;  // of the controller's listener; nullptr where ANA is not reported
    HostLane* lane = nullptr;  // I/O queues: where its commands wait, when the host's rates are limited
    Controller* controller = nullptr;     // admin queues: owned by the poll group, on this thread
    PollGroup* controller_group = nullptr;  // where the controller lives
    uint64_t controller_uid = 0;
    std::string hostnqn;
    Uuid hostid;
    std::unique_ptr<const SecureChannel> secure;  // through TLS: as whom
    nvme::auth::SecureChannelPolicy secure_channel;  // of authentications
    std::unique_ptr<QpairAuth> auth;  // from when authentication is demanded, or was begun by the host
    std::unique_ptr<IoMeter> io;  // I/O queues, from Connect on: commands answered

    // The command before was the first of a fused pair: it, or (when it has failed) that it was.
    bool awaits_fused = false;
    bool fused_first_failed = false;
    Request* fused_first = nullptr;

    IntrusiveList<Request, &Request::outstanding_link> outstanding;
    ListLink<Qpair> link;  // the poll group's list

private:
    [[nodiscard]] bool is_attached(uint32_t nsid) const {
        const size_t word = (nsid - 1) / 64;
        return word < attached_.size() && (attached_[word] >> ((nsid - 1) % 64) & 1) != 0;
    }

    PollGroup& group_;
    const TransportOptions& options_;
    std::vector<uint64_t> attached_;  // as far as there is a bit set, or was
    const uint64_t uid_;
    uint16_t sqhd_ = 0;
};

}  // namespace weft::nvmf
