// A subsystem: namespaces, hosts, listeners, and the state machine that lets them change under load. Lives on the
// app thread; its copies on the poll groups are SubsystemView.
//
// A change of a namespace: begin_change() (one change at a time) → pause its admin queues and that one namespace on
// every poll group → new views → resume → tell the hosts. I/O of other namespaces never stops; I/O of the paused one
// waits on its poll group. Hosts and listeners are looked at on the app thread only, so they change without a pause.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "bdev/registry.h"
#include "keyring/keyring.h"
#include "nvmf/ana/table.h"
#include "nvmf/qpair.h"
#include "nvmf/reservation/keeper.h"
#include "nvmf/views.h"
#include "reactor/task.h"

namespace weft::nvmf {

class PollGroup;
class Target;
class Transport;

enum class SubsystemState : uint8_t { inactive, activating, active, pausing, paused, resuming, deactivating };
std::string_view name_of(SubsystemState state);

struct NamespaceOptions {
    std::string bdev_name;
    std::optional<uint32_t> nsid;                       // default: the lowest free one
    std::optional<std::array<uint8_t, 16>> nguid;       // those not given are derived: stable over restarts
    std::optional<std::array<uint8_t, 8>> eui64;
    std::optional<Uuid> uuid;
    std::optional<uint32_t> anagrpid;                   // default: the nsid
    bool no_auto_visible = false;                       // shown to the hosts that set_namespace_host() names only
    bool hide_metadata = false;                         // protection information is made and checked by the target
    std::string ptpl_file;  // where its reservation is kept over a restart; empty: nowhere
};

// Whether hosts that authenticate at a listener may go on through TLS with a key that both sides make of that, or must.
enum class Concatenation : uint8_t { off, allowed, required };
std::string_view name_of(Concatenation concatenation);

struct ListenerOptions {
    bool is_secure = false;  // with TLS only
    Concatenation concatenation = Concatenation::off;  // not with is_secure
    nvme::AnaState ana_state = nvme::AnaState::optimized;  // of all groups on the way through it, where ANA is reported
    std::set<std::string, std::less<>> hosts;  // those that may come in there; empty: all that may use the subsystem
};

// Of one host with one subsystem: either may be empty; without `host` there is no authentication.
struct HostKeys {
    keyring::KeyRef host;  // dhchap_key: what the host proves itself with
    keyring::KeyRef controller;  // dhchap_ctrlr_key: what we prove ourselves with, when the host asks
};

// How much a host may do in a second (bdev/gate/rate_limiter.h); what is not named stays as it is.
struct LimitChange {
    std::optional<uint64_t> operations, bytes, read_bytes, written_bytes;
    [[nodiscard]] bool is_empty() const { return !operations && !bytes && !read_bytes && !written_bytes; }
    [[nodiscard]] bdev::RateLimits applied_to(const bdev::RateLimits& limits) const {
        return {.operations = operations.value_or(limits.operations),
                .bytes = bytes.value_or(limits.bytes),
                .read_bytes = read_bytes.value_or(limits.read_bytes),
                .written_bytes = written_bytes.value_or(limits.written_bytes)};
    }
};

// What became of a host's wish to attach or detach a namespace.
enum class Attachment : uint8_t { done, no_namespace, bad_controller, is_so_already, busy };

class Subsystem {
public:
    static constexpr size_t namespace_hosts_max = 1024;
    struct Namespace {
        NamespaceIdentity identity;
        Visibility visibility;
        std::unique_ptr<bdev::Descriptor> descriptor;
        std::unique_ptr<ReservationKeeper> reservation;
    };
    struct Listener {
        TransportId address;
        Transport* transport = nullptr;
        bool is_secure = false;  // with TLS only
        Concatenation concatenation = Concatenation::off;
        AnaTable ana;
        // Those that may come in here, if the subsystem allows them, too; empty: all of these.
        std::set<std::string, std::less<>> hosts;
        [[nodiscard]] bool admits(std::string_view hostnqn) const { return hosts.empty() || hosts.contains(hostnqn); }
    };

    Subsystem(Target& target, SubsystemIdentity identity) : target_(target), identity_(std::move(identity)) {}
    Subsystem(const Subsystem&) = delete;
    Subsystem& operator=(const Subsystem&) = delete;
    ~Subsystem();

    [[nodiscard]] const SubsystemIdentity& identity() const { return identity_; }
    [[nodiscard]] const std::string& nqn() const { return identity_.nqn; }
    [[nodiscard]] SubsystemState state() const { return state_; }
    [[nodiscard]] const std::map<uint32_t, Namespace>& namespaces() const { return namespaces_; }
    [[nodiscard]] const std::set<std::string, std::less<>>& hosts() const { return hosts_; }
    [[nodiscard]] const std::vector<Listener>& listeners() const { return listeners_; }
    [[nodiscard]] bool allows_any_host() const { return allow_any_host_; }
    [[nodiscard]] bool allows_host(std::string_view hostnqn) const;
    // Whether a host that came in at `listener` may use this subsystem: only through one of its own listeners, the
    // discovery subsystem through any.
    [[nodiscard]] bool is_reachable_at(const TransportId& listener) const;
    // Whether the list of that listener, if it is one of its own and has one, names the host.
    [[nodiscard]] bool allows_host_at(const TransportId& listener, std::string_view hostnqn) const;
    [[nodiscard]] Concatenation concatenation_at(const TransportId& listener) const;

    // Inactive → Activating → Active: its views appear on every poll group.
    Task<Result<void>> start();
    // Active → Deactivating → Inactive: its controllers end, its views go.
    Task<Result<void>> stop();

    // Errors: no_such_device (the bdev), busy (claimed), already_exists (the nsid), invalid_argument.
    Task<Result<uint32_t>> add_namespace(NamespaceOptions options);
    // Errors: no_such_device.
    Task<Result<void>> remove_namespace(uint32_t nsid);
    // Shows the namespace to one host more, or less; its controllers are told. Errors: no_such_device, invalid_argument
    // (no NQN), permission_denied (it was added for all hosts), too_many.
    Task<Result<void>> set_namespace_host(uint32_t nsid, std::string hostnqn, bool is_shown);
    // The wish of host `hostnqn`, for controllers of its own.
    Task<Attachment> attach_namespace(uint32_t nsid, std::string hostnqn, std::vector<uint16_t> cntlids,
                                      bool is_attached);
    // What a connected host must be told after its device has changed size.
    Task<void> namespace_resized(uint32_t nsid);

    // Errors: invalid_argument (what the subsystem does not go with), already_exists; those of listening.
    Task<Result<void>> add_listener(TransportId address, Transport& transport, ListenerOptions options = {});
    // Ends the controllers of hosts that came in there and may no longer. Errors: not_found, invalid_argument.
    Task<Result<void>> set_listener_hosts(TransportId address, std::set<std::string, std::less<>> hosts);
    Task<Result<void>> remove_listener(TransportId address);
    Task<Result<void>> add_host(std::string hostnqn, HostKeys keys = {}, LimitChange limits = {});
    // From now on; who is connected stays, and uses them when it authenticates again. Errors: not_found.
    Task<Result<void>> set_host_keys(std::string hostnqn, HostKeys keys);
    // Empty for a host that has none, or is not there.
    [[nodiscard]] HostKeys keys_of(std::string_view hostnqn) const;
    [[nodiscard]] bool needs_authentication(std::string_view hostnqn) const;
    // From now on, by all its controllers and queues together; what waits goes on by the new limits. Errors: not_found.
    Task<Result<void>> set_host_limits(std::string hostnqn, LimitChange change);
    [[nodiscard]] bdev::RateLimits limits_of(std::string_view hostnqn) const;
    // Ends the host's controllers.
    Task<Result<void>> remove_host(std::string hostnqn);
    Task<Result<void>> set_allow_any_host(bool allow);
    void set_allow_any_host_at_start(bool allow) { allow_any_host_ = allow; }

    // ANA (ana/subsystem_ana.cc). All of `changes` or, on an error, none. Ends when no command is executed any more
    // that came by a path which they close. Errors: invalid_argument.
    Task<Result<void>> set_ana_states(std::vector<AnaChange> changes);
    // Errors: no_such_device, invalid_argument.
    Task<Result<void>> set_namespace_ana_group(uint32_t nsid, uint32_t group);
    // The log page as a controller sees it that came through `listener`.
    [[nodiscard]] std::vector<std::byte> ana_log_of(const TransportId& listener, bool groups_only) const;

    // Serialises changes, and Connects with them; nullopt when the subsystem is being deleted.
    Task<std::optional<AsyncMutex::Guard>> begin_change();
    // No change begins any more; ends when those that wait have left.
    Task<void> close_for_changes();

    // A lower number of changes to discover is worth a wait, not a failure: state changes that meet go one by one.
    std::set<uint64_t> controller_uids;  // of its living controllers; kept by Target

private:
    Task<void> pause(uint32_t nsid);
    Task<void> resume(uint32_t nsid);
    Task<Result<void>> open_views(const NamespaceIdentity& identity, const Visibility& visibility, bdev::Device& device,
                                  const ReservationKeeper& reservation);
    // A keeper with what was stored. Errors: of the store; already_exists when another namespace has the file.
    Task<Result<std::unique_ptr<ReservationKeeper>>> open_reservation(const NamespaceIdentity& identity,
                                                                      const Uuid& device);
    [[nodiscard]] Result<void> check_ana_group(uint32_t group) const;
    Result<void> apply_ana(const std::vector<AnaChange>& changes, std::vector<TransportId>& changed);
    static Task<void> drain_closed_paths(Target& target, uint32_t subsystem_id, TransportId listener);
    Task<void> open_ana(TransportId listener);
    Task<void> close_ana(TransportId listener);
    Task<void> tell_ana_changed(const std::vector<TransportId>* through);
    void note_ana_members(uint32_t group);
    Task<void> close_views(uint32_t nsid);
    // Those that have it, or had it.
    Task<void> tell_namespace_changed(uint32_t nsid, Visibility visibility);
    Task<void> change_visibility(uint32_t nsid, Visibility after);
    Task<void> apply_visibility(uint32_t nsid, const Visibility& visibility);
    [[nodiscard]] uint32_t lowest_free_nsid() const;
    [[nodiscard]] Result<NamespaceIdentity> identify_namespace(const NamespaceOptions& options) const;
    [[nodiscard]] Result<void> check_unique(const NamespaceIdentity& identity) const;
    void on_device_event(uint32_t nsid, bdev::Event event);
    Task<void> end_controllers(std::string why, std::optional<std::string> hostnqn);
    Task<void> end_controllers_at(TransportId address, std::set<std::string, std::less<>> kept, std::string why);

    Target& target_;
    const SubsystemIdentity identity_;
    SubsystemState state_ = SubsystemState::inactive;
    bool allow_any_host_ = false;
    std::set<std::string, std::less<>> hosts_;
    std::map<std::string, HostKeys, std::less<>> host_keys_;  // of those of the hosts that have some
    struct HostLimits {
        bdev::RateLimits rates;
        bdev::RateLimiter limiter;  // of the poll groups' lanes, which end before it
    };
    std::map<std::string, std::unique_ptr<HostLimits>, std::less<>> host_limits_;  // of those that have some
    Task<void> apply_limits(std::string hostnqn, bdev::RateLimits limits);
    std::vector<Listener> listeners_;
    std::map<uint32_t, Namespace> namespaces_;
    // Within a change.
    Task<void> take_namespace_away(uint32_t nsid);

    AsyncMutex changing_;
    Gate gate_;
    bool is_stopping_ = false;
};

}  // namespace weft::nvmf
