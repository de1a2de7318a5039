// An NVMe controller: what one host sees of one subsystem through one association (NVMe Base 2.0, 3.1). It is made
// by Connect on the admin queue's poll group and lives on that thread; I/O queues may be on any poll group and know
// it by group and uid only. It ends when its admin queue does, when keep-alive runs out, or when it is told to.
#pragma once

#include <array>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/uuid.h"
#include "nvme/async_event.h"
#include "nvme/feature.h"
#include "nvme/log_page.h"
#include "nvme/registers.h"
#include "nvmf/qpair.h"
#include "reactor/task.h"

namespace weft::nvmf {

class PollGroup;

struct ControllerIdentity {
    uint64_t uid = 0;      // of the process: names it to other threads
    uint16_t cntlid = 0;
    std::string hostnqn;
    Uuid hostid;
    TransportId listener;  // through which the host came
    TransportId local;     // the address it reached there
};

// An error of the error information log (LID 01h).
using ErrorEntry = nvme::ErrorInformation;

class Controller {
public:
    Controller(PollGroup& group, Qpair& admin, ControllerIdentity identity, const TransportOptions& options,
               uint32_t kato_ms);
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;
    ~Controller();

    [[nodiscard]] uint64_t uid() const { return identity_.uid; }
    [[nodiscard]] const ControllerIdentity& identity() const { return identity_; }
    [[nodiscard]] PollGroup& group() const { return group_; }
    [[nodiscard]] SubsystemView& subsystem() const { return *subsystem_; }
    [[nodiscard]] const TransportOptions& options() const { return options_; }
    [[nodiscard]] bool is_discovery() const { return subsystem_->identity.is_discovery; }
    [[nodiscard]] uint32_t io_queue_count() const { return static_cast<uint32_t>(queues_.size()); }

    // Fills the completion's value; returns the status.
    nvme::Status property_get(Request& request);
    nvme::Status property_set(Request& request);
    // An admin command, in state executing.
    void execute(Request& request);

    // An I/O queue joins; the statuses are Connect's. `iosqes` must match what CC says.
    nvme::Status attach_queue(uint16_t qid, PollGroup& queue_group, uint64_t qpair_uid, Request& request);
    // It is gone, and what it executed has ended.
    void detach_queue(uint16_t qid, uint64_t qpair_uid);
    // Where an I/O queue of it is: the group and the queue's uid there; nullptr when there is none.
    [[nodiscard]] std::pair<PollGroup*, uint64_t> place_of_queue(uint16_t qid) const;

    // Something changed that the host may want to know.
    // The host uses the CID of one of its event requests again, which it so gives up: it ends without a completion.
    // False when none has this CID.
    bool drop_event_request(uint16_t cid);
    void namespace_changed(uint32_t nsid);
    void discovery_log_changed();
    // States of ANA groups on the way through the controller's listener.
    void ana_changed();
    // The host is to hear of it: it was registered with the namespace.
    void reservation_changed(uint32_t nsid, nvme::ReservationNotificationType type);

    // The admin connection is closing: what it waits for is given back, and the controller ends.
    void admin_closing();
    // The admin connection is gone.
    void admin_gone();
    // Ends all queues; the controller is destroyed when they are gone.
    void end(std::string_view why);
    [[nodiscard]] bool is_ending() const { return is_ending_; }

    // A command came on the admin queue that execute() does not see: the keep-alive time begins anew.
    void note_traffic() { start_keep_alive(); }
    // Called by the timer: the keep-alive time is over, or the grace after it.
    void on_silence();

    // The namespace, if it is there and this controller has it.
    [[nodiscard]] NamespaceView* find_namespace(uint32_t nsid) const {
        return admin_ == nullptr ? nullptr : admin_->find_namespace(nsid);
    }

    // For identify.cc, log_pages.cc and features.cc.
    [[nodiscard]] nvme::Configuration configuration() const { return cc_; }
    [[nodiscard]] nvme::Capabilities capabilities() const;
    [[nodiscard]] const std::list<ErrorEntry>& errors() const { return errors_; }
    [[nodiscard]] uint32_t async_event_configuration() const { return async_event_configuration_; }
    nvme::ChangedNamespaceList take_changed_namespaces(bool retain);
    // The oldest; all zero when there is none.
    nvme::ReservationNotification take_reservation_notice(bool retain);
    void log_was_read(nvme::LogPage page);
    nvme::Status get_feature(Request& request);
    nvme::Status set_feature(Request& request);

private:
    static constexpr size_t async_event_max = 4;  // AERL + 1
    static constexpr size_t error_max = 64;
    static constexpr size_t reservation_notice_max = 255;  // what "available" can count, and the first

    Task<void> look_for_commands();
    void start_keep_alive();
    void silence_is_over();
    Task<void> end_task(std::string why);
    Task<void> disable_task(bool is_shutdown);
    Task<void> end_io_queues();
    void complete(Request& request, nvme::Status outcome);
    void note_error(const Request& request, nvme::Status outcome);
    Task<void> smart_log_task(Request& request);
    Task<void> discovery_log_task(Request& request);
    Task<void> ana_log_task(Request& request);
    Task<void> set_persistence_task(Request& request);
    [[nodiscard]] nvme::Status check_feature_namespace(uint32_t nsid) const;
    nvme::Status get_reservation_feature(Request& request, nvme::FeatureId id, bool is_current);
    nvme::Status set_reservation_mask(uint32_t nsid, uint32_t mask);
    nvme::Status answer_reservation_notice(Request& request);
    void get_log_page(Request& request);
    void abort(Request& request);
    void async_event_request(Request& request);
    void namespace_attachment(Request& request);
    nvme::Status get_lba_status(Request& request) const;
    void raise(const nvme::AsyncEvent& event);
    void deliver_events();
    nvme::Status set_configuration(nvme::Configuration wanted);
    nvme::Status set_keep_alive(uint32_t kato_ms);
    void reset_features();
    [[nodiscard]] nvme::Timestamp timestamp() const;

    PollGroup& group_;
    SubsystemView* const subsystem_;
    Qpair* admin_;  // nullptr when it is gone
    const ControllerIdentity identity_;
    const TransportOptions options_;

    nvme::Configuration cc_;
    nvme::ControllerStatus csts_;
    uint32_t kato_ms_ = 0;
    bool is_kato_ours_ = false;  // the host named none
    uint64_t commands_seen_ = 0;  // of these, when it was last looked
    Timer keep_alive_;
    bool is_in_grace_ = false;

    struct Queue {
        PollGroup* group;
        uint64_t qpair_uid;
    };
    std::map<uint16_t, Queue> queues_;  // by qid
    WaitList queue_gone_;

    std::map<uint8_t, uint32_t> features_;  // values of the simple ones that were set
    nvme::HostBehavior host_behavior_;
    uint64_t timestamp_ms_ = 0;  // Timestamp, as it was at timestamp_set_at_
    env::TimeNs timestamp_set_at_ = 0;
    bool is_timestamp_hosts_ = false;  // a host set it
    uint32_t async_event_configuration_ = 0;
    // Lists: of thousands of controllers most have nothing in them, and a deque takes half a KiB for that.
    std::list<Request*> async_requests_;
    std::list<nvme::AsyncEvent> events_;  // not delivered yet
    std::set<nvme::LogPage> masked_until_read_;  // an event was delivered; the next waits until its log was read
    std::set<uint32_t> changed_namespaces_;
    std::map<uint32_t, uint32_t> reservation_masks_;  // feature 82h by nsid, of those that were set
    std::list<nvme::ReservationNotification> reservation_notices_;  // the oldest first
    uint64_t reservation_notice_count_ = 0;
    std::list<ErrorEntry> errors_;  // newest first
    uint64_t error_count_ = 0;

    bool is_ending_ = false;
    bool is_disabling_ = false;
    WaitList admin_gone_;
    Gate gate_;  // coroutines of this object
};

}  // namespace weft::nvmf
