// The target: everything that is exported. Lives on the app thread; what the data path needs of it is copied to the
// poll groups. Start: create(), then start() makes a poll group on every data reactor and the discovery subsystem.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "bdev/registry.h"
#include "nvme/auth/messages.h"
#include "nvme/status.h"
#include "nvmf/controller/admin_hook.h"
#include "nvmf/discovery/announcer.h"
#include "nvmf/discovery/discovery.h"
#include "nvmf/poll_group.h"
#include "nvmf/secure/generated_psks.h"
#include "nvmf/secure/host_psks.h"
#include "nvmf/secure/secure_channel.h"
#include "nvmf/subsystem.h"
#include "nvmf/transport.h"
#include "reactor/runtime.h"
#include "reactor/timer.h"
#include "rpc/config_key.h"

namespace weft::nvmf {

// How a target goes about its start and stop, in the field's words.
enum class TargetState : uint8_t {
    init_none,
    init_create_poll_groups,
    init_start_subsystems,
    running,
    fini_stop_subsystems,
    fini_destroy_poll_groups,
    stopped,
};

struct HostIdentity {
    std::string nqn;
    Uuid id;
};

// The answer to a Connect of an admin queue.
struct Admission {
    nvme::Status outcome;
    uint32_t cdw0 = 0;
    uint64_t uid = 0;
    uint16_t cntlid = 0;
    uint32_t subsystem_id = 0;
    bool needs_authentication = false;
    nvme::auth::SecureChannelPolicy secure_channel;  // of that authentication
};

// Through what the connection of a Connect came.
struct Arrival {
    bool is_secure = false;  // TLS
    uint64_t generated_psk = 0;  // its number, if its key is one of these

    static Arrival of(const SecureChannel* secure) {
        return secure == nullptr ? Arrival{} : Arrival{.is_secure = true, .generated_psk = secure->generated_psk};
    }
};

// Where a controller lives; group is nullptr when there is none, and cdw0 says which parameter of Connect was wrong.
struct ControllerPlace {
    PollGroup* group = nullptr;
    uint64_t uid = 0;
    uint32_t subsystem_id = 0;
    uint32_t cdw0 = 0;
    uint16_t cntlid = 0;
    std::string hostnqn;
    TransportId listener;
    bool needs_authentication = false;
    bool needs_tls = false;  // of its I/O queues
};

struct SubsystemOptions {
    std::string nqn;
    std::optional<std::string> serial_number;  // derived from machine and NQN when not given
    std::optional<std::string> model_number;
    uint32_t max_namespaces = 32;
    bool allow_any_host = false;
    bool ana_reporting = false;
    uint16_t min_cntlid = 1;
    uint16_t max_cntlid = 0xFFEF;
    std::string admin_label;
};

// Whether a host may have more than one controller of a subsystem at a listener.
enum class DuplicateHostPolicy : uint8_t { allow, restrict_per_listener };

class Target {
public:
    // The threads of its poll groups are called THREADS_poll_group_NNN: no two targets at a time may have the same.
    Target(Runtime& runtime, bdev::Registry& bdevs, std::string name, std::string threads = "nvmf_tgt");
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;
    ~Target();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] Thread& thread() const { return runtime_.app_thread(); }
    [[nodiscard]] Runtime& runtime() const { return runtime_; }
    [[nodiscard]] env::Environment& environment() const { return runtime_.environment(); }
    [[nodiscard]] bdev::Registry& bdevs() const { return bdevs_; }
    // Fixed between start() and stop(): any thread may walk it.
    [[nodiscard]] std::vector<PollGroup*> poll_groups() const;
    [[nodiscard]] TargetState state() const { return state_; }

    Task<Result<void>> start();
    // Ends every controller, subsystem, transport and poll group.
    Task<void> stop();

    // Errors: invalid_argument, already_exists, too_many.
    Task<Result<Subsystem*>> create_subsystem(SubsystemOptions options);
    Task<Result<void>> delete_subsystem(std::string nqn);
    [[nodiscard]] Subsystem* find_subsystem(std::string_view nqn) const;
    [[nodiscard]] const std::map<std::string, std::unique_ptr<Subsystem>, std::less<>>& subsystems() const {
        return subsystems_;
    }
    void set_subsystem_max(uint32_t count) { subsystem_max_ = count; }
    [[nodiscard]] uint32_t subsystem_max() const { return subsystem_max_; }
    // CRDT1 to CRDT3 of controllers, in 100 ms. Before the first subsystem.
    void set_command_retry_delays(std::array<uint16_t, 3> delays) { command_retry_delays_ = delays; }
    [[nodiscard]] std::array<uint16_t, 3> command_retry_delays() const { return command_retry_delays_; }
    // What authentication may use. Set before start(), then for any thread.
    void set_auth_allowed(nvme::auth::Allowed allowed) { auth_allowed_ = allowed; }
    [[nodiscard]] nvme::auth::Allowed auth_allowed() const { return auth_allowed_; }

    // Takes over an admin opcode (C0h to FFh are the vendor's), not one that is a fabrics command. Before start().
    void set_admin_hook(uint8_t opcode, AdminHook hook);
    // nullptr: there is none. Any thread.
    [[nodiscard]] const AdminHook* admin_hook(uint8_t opcode) const { return admin_hooks_[opcode].get(); }
    DuplicateHostPolicy duplicate_host_policy = DuplicateHostPolicy::allow;  // of Connects from now on

    // Errors: already_exists, invalid_argument, no_memory when the reserves do not fit.
    Task<Result<void>> create_transport(TransportOptions options);
    [[nodiscard]] Transport* find_transport(std::string_view trtype) const;
    [[nodiscard]] const std::vector<std::unique_ptr<Transport>>& transports() const { return transports_; }
    // For transports: the group for the next connection (round robin), and a name for it.
    PollGroup& next_group();
    uint64_t next_uid() { return next_uid_++; }

    // Where reservations are kept from now on, instead of in files: an embedding program's, which outlives the target.
    void set_reservation_stores(ReservationStores& stores) { reservation_stores_ = &stores; }
    [[nodiscard]] ReservationStores& reservation_stores() const { return *reservation_stores_; }
    // nullptr when there is no such namespace (any more).
    [[nodiscard]] ReservationKeeper* reservation_of(uint32_t subsystem_id, uint32_t nsid) const;
    // nullptr when there is no such subsystem (any more).
    [[nodiscard]] Subsystem* find_subsystem(uint32_t id) const;

    // Connect. Waits while the subsystem changes, and until what is left of the host's old controllers has ended.
    Task<Admission> admit(std::string subnqn, HostIdentity host, TransportId listener, Arrival arrival,
                          PollGroup& group);
    [[nodiscard]] ControllerPlace find_controller(std::string_view subnqn, uint16_t cntlid,
                                                  const HostIdentity& host) const;
    [[nodiscard]] std::optional<ControllerPlace> place_of(uint64_t uid) const;
    // Of the controller of that subsystem and host, whoever it is when `hostnqn` is empty; 0: there is none.
    [[nodiscard]] uint64_t uid_of(const Subsystem& subsystem, uint16_t cntlid, std::string_view hostnqn) const;
    void controller_ending(uint64_t uid);
    void controller_gone(uint64_t uid);
    WaitList::Waiter wait_for_controller_end() { return controller_end_.wait(); }

    // The keys of hosts for TLS.
    [[nodiscard]] HostPsks& host_psks() { return host_psks_; }
    [[nodiscard]] const HostPsks& host_psks() const { return host_psks_; }
    // Those that hosts made by authenticating.
    [[nodiscard]] GeneratedPsks& generated_psks() { return generated_psks_; }
    // The controller's host has made this one on its admin queue; it takes the place of the one it came with. From
    // here on the controller's I/O queues must come through TLS.
    void keep_generated_psk(uint64_t controller_uid, nvme::tls::TlsPsk psk);

    // Something that the discovery log shows has changed: counts the generation and tells discovery controllers.
    void discovery_changed();
    [[nodiscard]] uint64_t discovery_generation() const { return generation_; }
    // Told each entry of the configuration that came, went or changed, at once; may be empty.
    std::function<void(rpc::ConfigKey key)> on_config_change;
    void config_changed(rpc::ConfigKey key) const {
        if (on_config_change) on_config_change(std::move(key));
    }
    [[nodiscard]] std::vector<std::byte> discovery_log(const DiscoveryQuery& query) const;
    [[nodiscard]] Announcer& announcer() { return announcer_; }
    [[nodiscard]] const Announcer& announcer() const { return announcer_; }
    DiscoveryFilter discovery_filter;  // of what hosts are shown from now on
    // Errors: invalid_argument, too_many. One that is there already is left as it is.
    Result<void> add_referral(Referral referral);
    Result<void> remove_referral(const TransportId& address, std::string_view subnqn);  // errors: not_found
    [[nodiscard]] const std::vector<Referral>& referrals() const { return referrals_; }
    // A name of its own for the discovery subsystem, which is reached by it and by the well-known one (TP8013); ""
    // takes it away. Controllers that are there keep theirs. Errors: invalid_argument, already_exists.
    Task<Result<void>> set_discovery_nqn(std::string nqn);
    // What the log and Identify call it.
    [[nodiscard]] std::string_view discovery_nqn() const;
    [[nodiscard]] const std::string& unique_discovery_nqn() const { return unique_discovery_nqn_; }

private:
    struct ControllerEntry {
        Subsystem* subsystem = nullptr;
        PollGroup* group = nullptr;
        uint16_t cntlid = 0;
        HostIdentity host;
        TransportId listener;
        bool needs_tls = false;
        uint64_t generated_psk = 0;  // that its admin queue came with; 0: none
        bool is_ending = false;
    };
    void expire_generated_psks();
    [[nodiscard]] uint16_t allocate_cntlid(Subsystem& subsystem);
    [[nodiscard]] bool has_ending_controller(const Subsystem& subsystem, const HostIdentity& host) const;
    [[nodiscard]] Result<SubsystemIdentity> check(const SubsystemOptions& options) const;
    Task<void> tell_discovery_controllers();
    [[nodiscard]] std::optional<TransportId> reachable_address(const Subsystem::Listener& listener,
                                                               const TransportId& local) const;
    [[nodiscard]] bool is_duplicate(const Subsystem& subsystem, const HostIdentity& host,
                                    const TransportId& listener) const;

    Runtime& runtime_;
    bdev::Registry& bdevs_;
    const std::string name_;
    const std::string threads_;
    TargetState state_ = TargetState::init_none;
    std::vector<std::unique_ptr<PollGroup>> poll_groups_;
    std::vector<std::unique_ptr<Transport>> transports_;
    std::map<std::string, std::unique_ptr<Subsystem>, std::less<>> subsystems_;
    std::map<uint64_t, ControllerEntry> controllers_;  // by uid
    std::map<const Subsystem*, uint16_t> last_cntlid_;
    HostPsks host_psks_;
    GeneratedPsks generated_psks_;
    Timer psk_timer_;
    WaitList controller_end_;
    ReservationFiles reservation_files_;
    ReservationStores* reservation_stores_ = &reservation_files_;
    uint32_t subsystem_max_ = 1024;
    std::array<uint16_t, 3> command_retry_delays_{};
    nvme::auth::Allowed auth_allowed_;
    uint64_t next_uid_ = 1;
    uint64_t generation_ = 0;
    std::vector<Referral> referrals_;
    std::string unique_discovery_nqn_;
    std::array<std::unique_ptr<AdminHook>, 256> admin_hooks_;
    size_t next_group_ = 0;
    Announcer announcer_{*this};
};

}  // namespace weft::nvmf
