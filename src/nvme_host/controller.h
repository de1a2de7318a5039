// A controller as its host sees it: the admin queue and what is known by it, the keep-alive, the events it
// reports, and the I/O queues.
//
//   auto controller = co_await Controller::connect(group, {.address = …, .subnqn = …, .hostnqn = …});
//   auto qpair = co_await (*controller)->create_io_qpair(group);
//   (*qpair)->submit(io);
//   …
//   co_await (*controller)->disconnect();
//
// NVMe Base 2.0: 3.5.1 (initialization), 3.6 (shutdown), 3.9 (keep alive), 5.2 (events), 6 (fabrics commands).
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/network.h"
#include "nvme/async_event.h"
#include "nvme/fabrics.h"
#include "nvme/identify.h"
#include "nvme/registers.h"
#include "nvme_host/authentication.h"
#include "nvme_host/qpair.h"
#include "nvme_host/tcp/connection.h"
#include "nvme_host/tcp/connection_group.h"

namespace weft::nvme_host {

struct ControllerOptions {
    env::Address address;
    env::SocketOptions socket;
    std::string subnqn;
    std::string hostnqn;
    std::optional<net::PskKey> tls_key;  // of this host and that subsystem (nvme/tls/psk.h); with it: all through TLS
    std::array<uint8_t, 16> hostid{};
    uint16_t cntlid = nvme::cntlid_dynamic;

    uint32_t admin_depth = 31;  // commands outstanding: one less than the queue's entries
    uint32_t io_queue_max = 0;  // asked for; see io_queue_limit()
    uint32_t io_depth = 127;  // as above; cut to what CAP.MQES allows
    uint32_t kato_ms = 10'000;  // 0: no keep-alive
    bool header_digest = false;
    bool data_digest = false;
    uint8_t data_alignment = 0;  // HPDA, 0's based, in dwords
    bool sq_flow_control = false;  // without it the controller need not send an answer after data (SUCCESS)
    bool discard = false;  // data read on I/O queues is counted and thrown away

    std::optional<DhchapKeys> dhchap;  // without it, a controller that demands authentication is of no use
    // Authenticates without TLS, and then begins anew through TLS with the key that came of it (secure channel
    // concatenation). With dhchap, without tls_key.
    bool concatenate = false;

    env::TimeNs connect_timeout = 10 * env::ns_per_s;
    env::TimeNs admin_timeout = 30 * env::ns_per_s;  // a queue that does not answer for so long is given up
    env::TimeNs io_timeout = 0;  // 0: never

    std::function<void(const nvme::AsyncEvent&)> on_event;  // from the loop of the controller's thread
    std::function<void(const Error&)> on_lost;  // the same, once: the admin queue is gone
};

// Lives on the thread that it was connected on, with its admin queue; its I/O queues live where they were created.
class Controller {
public:
    // Errors name the step that failed, and the status it failed with.
    static Task<Result<std::unique_ptr<Controller>>> connect(tcp::ConnectionGroup& group, ControllerOptions options);
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;
    ~Controller();  // after disconnect()

    // Closes the I/O queues, each on its thread, tells the controller to shut down, and closes the admin queue.
    // What fails on the way is left out. No command is in flight but those that the closing is to end.
    Task<void> disconnect();

    // Connects one more I/O queue, from the controller's thread, on the group's; returns to the controller's.
    Task<Result<Qpair*>> create_io_qpair(tcp::ConnectionGroup& group);
    Task<void> destroy_io_qpair(Qpair& qpair);

    // Authenticates the admin queue and every I/O queue once more, one after the other; needs
    // ControllerOptions::dhchap. With concatenation the admin queue only, which gives the I/O queues to come another
    // key. Errors: of the first one that failed, which is lost.
    Task<Result<void>> authenticate_again();

    // A command on the admin queue. A status of the controller's is a value; Errors: the queue is gone, or the
    // data came with a wrong digest. `data` is read or written by the opcode's direction.
    Task<Result<nvme::Completion>> admin(nvme::Command command, MutableBytes data = {});
    // The same, and any status but success is an Error that names `step`.
    Task<Result<nvme::Completion>> admin_or_error(std::string step, nvme::Command command, MutableBytes data = {});

    [[nodiscard]] const nvme::IdentifyController& identity() const { return identity_; }
    [[nodiscard]] nvme::Capabilities capabilities() const { return capabilities_; }
    [[nodiscard]] nvme::Version version() const { return version_; }
    [[nodiscard]] uint16_t cntlid() const { return cntlid_; }
    [[nodiscard]] const ControllerOptions& options() const { return options_; }
    [[nodiscard]] bool is_discovery() const;
    // I/O queues that the controller granted.
    [[nodiscard]] uint32_t io_queue_limit() const { return io_queue_limit_; }
    // Bytes that one command may move (MDTS); UINT32_MAX without a limit.
    [[nodiscard]] uint32_t transfer_bytes_max() const;
    // Bytes of data that may go with an I/O command's capsule.
    [[nodiscard]] uint32_t in_capsule_max() const;
    // Why it is of no more use; nullptr while it is.
    [[nodiscard]] const Error* failure() const { return admin_ != nullptr ? admin_->failure() : nullptr; }
    [[nodiscard]] Thread& thread() const { return home_; }

private:
    Controller(tcp::ConnectionGroup& group, ControllerOptions options);

    Task<Result<void>> initialize();
    Task<Result<void>> connect_admin_queue();
    Task<Result<void>> concatenate();
    Task<Result<void>> enable();
    Task<Result<void>> wait_ready(bool ready);
    Task<Result<void>> configure();
    Task<Result<uint32_t>> fabrics_connect(Qpair& qpair, uint16_t qid, uint32_t depth);
    Task<Result<void>> authenticate_queue(Qpair& qpair, uint16_t qid, uint32_t connect_cdw0);
    Task<Result<void>> run_authentication(Qpair& qpair, std::string step, nvme::auth::SecureChannel channel);
    [[nodiscard]] bool is_concatenated() const { return options_.concatenate && options_.tls_key.has_value(); }
    Task<Result<uint64_t>> get_property(std::string name, uint32_t offset, uint8_t size);
    Task<Result<void>> set_property(std::string name, uint32_t offset, uint32_t value);
    Task<Result<std::unique_ptr<tcp::Connection>>> open_io_queue(tcp::ConnectionGroup& group, uint16_t qid);
    Task<void> shut_down();
    [[nodiscard]] tcp::ConnectionOptions connection_options(bool admin) const;
    [[nodiscard]] uint32_t io_depth() const;

    void start_keep_alive();
    void on_keep_alive_timer();
    void start_events();
    void on_event(Io& io);
    void tell_lost();

    struct IoQueue {
        uint16_t qid = 0;
        std::unique_ptr<tcp::Connection> connection;
    };

    Thread& home_;
    tcp::ConnectionGroup& group_;
    ControllerOptions options_;
    std::unique_ptr<tcp::Connection> admin_;
    std::vector<IoQueue> io_queues_;

    std::atomic<uint16_t> auth_transaction_ = 0;  // of the last exchange, of whichever queue
    uint16_t cntlid_ = 0;
    nvme::Capabilities capabilities_;
    nvme::Version version_;
    nvme::IdentifyController identity_;
    uint32_t io_queue_limit_ = 0;
    bool is_lost_told_ = false;

    Timer keep_alive_timer_;
    Io keep_alive_;
    bool is_keep_alive_out_ = false;
    Io event_request_;
};

}  // namespace weft::nvme_host
