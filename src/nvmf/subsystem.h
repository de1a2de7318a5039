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
#include "nvmf/qpair.h"
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
};

class Subsystem {
public:
    struct Namespace {
        NamespaceIdentity identity;
        std::unique_ptr<bdev::Descriptor> descriptor;
    };
    struct Listener {
        TransportId address;
        Transport* transport = nullptr;
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

    // Inactive → Activating → Active: its views appear on every poll group.
    Task<Result<void>> start();
    // Active → Deactivating → Inactive: its controllers end, its views go.
    Task<Result<void>> stop();

    // Errors: no_such_device (the bdev), busy (claimed), already_exists (the nsid), invalid_argument.
    Task<Result<uint32_t>> add_namespace(NamespaceOptions options);
    // Errors: no_such_device.
    Task<Result<void>> remove_namespace(uint32_t nsid);
    // What a connected host must be told after its device has changed size.
    Task<void> namespace_resized(uint32_t nsid);

    Task<Result<void>> add_listener(TransportId address, Transport& transport);
    Task<Result<void>> remove_listener(TransportId address);
    Task<Result<void>> add_host(std::string hostnqn);
    // Ends the host's controllers.
    Task<Result<void>> remove_host(std::string hostnqn);
    Task<Result<void>> set_allow_any_host(bool allow);
    void set_allow_any_host_at_start(bool allow) { allow_any_host_ = allow; }

    // Serialises changes, and Connects with them; nullopt when the subsystem is being deleted.
    Task<std::optional<AsyncMutex::Guard>> begin_change();
    // No change begins any more; ends when those that wait have left.
    Task<void> close_for_changes();

    // A lower number of changes to discover is worth a wait, not a failure: state changes that meet go one by one.
    std::set<uint64_t> controller_uids;  // of its living controllers; kept by Target

private:
    Task<void> pause(uint32_t nsid);
    Task<void> resume(uint32_t nsid);
    Task<Result<void>> open_views(const NamespaceIdentity& identity, bdev::Device& device);
    Task<void> close_views(uint32_t nsid);
    Task<void> tell_namespace_changed(uint32_t nsid);
    [[nodiscard]] Result<NamespaceIdentity> identify_namespace(const NamespaceOptions& options) const;
    [[nodiscard]] Result<void> check_unique(const NamespaceIdentity& identity) const;
    void on_device_event(uint32_t nsid, bdev::Event event);
    Task<void> end_controllers(std::string why, std::optional<std::string> hostnqn);

    Target& target_;
    const SubsystemIdentity identity_;
    SubsystemState state_ = SubsystemState::inactive;
    bool allow_any_host_ = false;
    std::set<std::string, std::less<>> hosts_;
    std::vector<Listener> listeners_;
    std::map<uint32_t, Namespace> namespaces_;
    // Within a change.
    Task<void> take_namespace_away(uint32_t nsid);

    AsyncMutex changing_;
    Gate gate_;
    bool is_stopping_ = false;
};

}  // namespace weft::nvmf
