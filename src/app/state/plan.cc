#include "app/state/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "accel/accel_rpc.h"
#include "base/assert.h"
#include "bdev/bdev_rpc.h"
#include "keyring/keyring_rpc.h"
#include "nvmf/config_keys.h"
#include "rpc/json.h"

namespace weft::state {

namespace {

constexpr uint64_t mebibyte = uint64_t{1} << 20;
constexpr size_t rank_max = 32;

// Set before the start, once.
bool is_option(const rpc::ConfigKey& key) {
    constexpr std::array kinds = {bdev::options_kind,          nvmf::max_subsystems_kind, nvmf::retry_delays_kind,
                                  nvmf::set_config_kind,       rpc::sock_default_kind,    rpc::sock_options_kind,
                                  rpc::scheduler_options_kind, accel::options_kind,       accel::assignment_kind,
                                  "bdev_raid_set_options"};
    return std::ranges::find(kinds, key.kind) != kinds.end();
}
bool is_part_of_subsystem(const rpc::ConfigKey& key) {
    return key.kind == nvmf::host_kind || key.kind == nvmf::namespace_kind || key.kind == nvmf::listener_kind ||
           key.kind == nvmf::ana_kind || key.kind == nvmf::namespace_host_kind;
}
// Of a host of a namespace.
rpc::ConfigKey namespace_of(const rpc::ConfigKey& key) {
    return {nvmf::namespace_kind, key.object, key.part.substr(0, key.part.find(' '))};
}

std::string text_of(const Json& object, const char* name) {
    const auto at = object.is_object() ? object.find(name) : object.end();
    return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

const Json& params_of(const Json& entry) {
    static const Json none = Json::object();
    const auto at = entry.find("params");
    return at == entry.end() || !at->is_object() ? none : *at;
}

std::string method_of(const Json& entry) { return text_of(entry, "method"); }

// Whether a value says no more than its absence.
bool says_nothing(const Json& value) {
    return value.is_null() || value == false || value == 0 || (value.is_string() && value.empty()) ||
           (value.is_structured() && value.empty());
}

bool is_equal(const std::string& name, const Json& left, const Json& right) {
    const bool any_case = name == "nguid" || name == "eui64" || name == "uuid" || name == "trtype" || name == "adrfam";
    if (!any_case || !left.is_string() || !right.is_string()) return left == right;
    return nvmf::equal_ignoring_case(left.get_ref<const std::string&>(), right.get_ref<const std::string&>());
}

// Adds to `details` how `wanted` differs from `running` in what it says, and takes that over into `merged`.
void compare(const Json& wanted, Json& merged, std::vector<std::string>& details, std::set<std::string>& names) {
    for (const auto& [name, value] : wanted.items()) {
        if (name == "nqn" || name == "listen_address") continue;  // the entry's name, in whatever form
        const auto at = merged.find(name);
        if (at == merged.end()) {
            if (says_nothing(value)) continue;
            details.push_back(fmt::format("{} {}", name, dump_json(value)));
            merged[name] = value;
        } else if (value.is_object() && at->is_object()) {
            compare(value, *at, details, names);
            continue;
        } else if (!is_equal(name, value, *at)) {
            details.push_back(fmt::format("{} {} → {}", name, dump_json(*at), dump_json(value)));
            *at = value;
        } else {
            continue;
        }
        names.insert(name);
    }
}

constexpr const char* set_listener_state = "nvmf_subsystem_listener_set_ana_state";

// For all of its groups. `of`: what has nqn and listen_address.
Json listener_state(const Json& of, const std::string& state) {
    return {{"nqn", of.at("nqn")}, {"listen_address", of.at("listen_address")}, {"ana_state", state}};
}

rpc::ConfigKey listener_of(const rpc::ConfigKey& ana) { return {nvmf::listener_kind, ana.object, ana.part}; }

constexpr std::array host_keys = {"dhchap_key", "dhchap_ctrlr_key"};
constexpr std::array host_limits = {"rw_ios_per_sec", "rw_mbytes_per_sec", "r_mbytes_per_sec", "w_mbytes_per_sec"};

// What nvmf_subsystem_set_keys takes of a host's entry.
Json keys_of_host(const Json& host) {
    Json params{{"nqn", host.at("nqn")}, {"host", host.at("host")}};
    for (const char* name : host_keys) {
        if (host.contains(name)) params[name] = host.at(name);
    }
    return params;
}

class Planner {
public:
    Planner(const Document& running, const Document& wanted) : running_(running), wanted_(wanted) {}
    Result<Plan> make();

private:
    using Key = rpc::ConfigKey;
    struct Altered {
        Key key;
        std::string method;
        Json params;
    };

    Result<void> find_differences();
    Result<void> find_addition(const Key& key);
    Result<void> find_change(const Key& key);
    // The call that does it without making the thing anew; an empty method when there is none.
    [[nodiscard]] Altered alter_in_place(const Key& key, const Json& before, const Json& after,
                                         const std::set<std::string>& names) const;
    void replace(const Key& key, Json entry);
    void find_what_goes_along();
    void find_what_uses_keys();
    Result<void> find_raids();
    [[nodiscard]] bool bdev_goes(const std::string& name, size_t depth = 0) const;
    void note(Difference::Kind kind, const Key& key, std::string text) {
        plan_.differences.push_back({kind, key, std::move(text)});
    }
    void call(std::string method, Json params) {
        plan_.calls.push_back(
            {.number = plan_.calls.size() + 1, .method = std::move(method), .params = std::move(params)});
    }
    void remove(const Key& key);
    [[nodiscard]] bool goes_late(const Key& key) const;
    [[nodiscard]] bool is_ram_disk(const Key& key) const {
        if (key.kind != bdev::bdev_kind) return false;
        const std::string method = method_of(running_.entry(key));
        return method == "bdev_malloc_create" || method == "weft_zoned_create";
    }
    void write_calls();

    const Document& running_;
    const Document& wanted_;
    Plan plan_;
    std::set<Key> gone_;
    std::map<Key, Json> made_;  // the entries to call
    std::vector<Altered> altered_;
};

std::unexpected<Error> cannot(const rpc::ConfigKey& key, std::string_view what) {
    return fail(Errc::not_supported, fmt::format("{}: {}", describe(key), what));
}

Result<void> Planner::find_differences() {
    for (const Key& key : running_.keys()) {
        // There is always a scheduler; a file that does not say which leaves it as it is.
        if (wanted_.find(key) != nullptr || is_option(key) || key.kind == rpc::scheduler_kind) continue;
        if (key.kind == nvmf::transport_kind) {
            return cannot(key, "a transport cannot be removed while the target runs; leave its entry in the file");
        }
        gone_.insert(key);
        note(Difference::Kind::removed, key,
             fmt::format("- {}{}", describe(key), is_ram_disk(key) ? "; what it holds is lost" : ""));
    }
    for (const Key& key : wanted_.keys()) {
        const bool is_there = running_.find(key) != nullptr;
        WEFT_TRY(is_there ? find_change(key) : find_addition(key));
    }
    return {};
}

Result<void> Planner::find_addition(const Key& key) {
    if (is_option(key)) {
        return cannot(key, "can only be set before the start: weftd --wait-for-rpc, or a configuration file (-c)");
    }
    Json entry = wanted_.entry(key);
    if (key.kind == bdev::histogram_kind && params_of(entry).value("enable", Json()) == false) return {};
    note(Difference::Kind::added, key, fmt::format("+ {}: {}", describe(key), dump_json(params_of(entry))));
    made_.emplace(key, std::move(entry));
    return {};
}

Result<void> Planner::find_change(const Key& key) {
    if (*running_.find(key) == *wanted_.find(key)) return {};
    const Json before = running_.entry(key);
    const Json after = wanted_.entry(key);
    Json merged = before;
    std::vector<std::string> details;
    std::set<std::string> names;
    if (method_of(before) != method_of(after)) {
        merged = after;
        details.push_back(fmt::format("{} → {}", method_of(before), method_of(after)));
    } else {
        Json params = params_of(before);
        compare(params_of(after), params, details, names);
        merged["params"] = std::move(params);
    }
    if (details.empty()) return {};
    std::string text = fmt::format("~ {}: {}", describe(key), fmt::join(details, ", "));
    if (is_option(key) || key.kind == nvmf::transport_kind) {
        return fail(Errc::not_supported, fmt::format("{}; this cannot change while the target runs: restart weftd with "
                                                     "the file (-c, with --state also --config-wins)",
                                                     text.substr(2)));
    }
    if (Altered altered = alter_in_place(key, before, merged, names); !altered.method.empty()) {
        altered_.push_back(std::move(altered));
    } else {
        text += is_ram_disk(key) ? "; made anew, what it holds is lost" : "; made anew";
        replace(key, std::move(merged));
    }
    note(Difference::Kind::changed, key, std::move(text));
    return {};
}

Planner::Altered Planner::alter_in_place(const Key& key, const Json& before, const Json& after,
                                         const std::set<std::string>& names) const {
    const Json& wanted = params_of(after);
    if (key.kind == rpc::scheduler_kind || key.kind == nvmf::discovery_nqn_kind || key.kind == bdev::qos_kind) {
        return {key, key.kind, wanted};
    }
    if (key.kind == nvmf::subsystem_kind && names == std::set<std::string>{"allow_any_host"}) {
        return {key, nvmf::allow_any_host_kind, {{"nqn", key.object}, {"allow_any_host", wanted.at("allow_any_host")}}};
    }
    const bool is_of_keys = std::ranges::all_of(
        names, [&](const std::string& name) { return std::ranges::find(host_keys, name) != host_keys.end(); });
    const bool is_of_limits = std::ranges::all_of(
        names, [&](const std::string& name) { return std::ranges::find(host_limits, name) != host_limits.end(); });
    if (key.kind == nvmf::host_kind && is_of_keys) return {key, "nvmf_subsystem_set_keys", keys_of_host(wanted)};
    if (key.kind == nvmf::host_kind && is_of_limits) {
        Json params{{"nqn", key.object}, {"host", key.part}};
        for (const char* name : host_limits) {
            if (wanted.contains(name)) params[name] = wanted.at(name);
        }
        return {key, "nvmf_subsystem_set_host_qos_limit", std::move(params)};
    }
    if (key.kind == nvmf::namespace_kind && names == std::set<std::string>{"anagrpid"}) {
        const Json& ns = wanted.at("namespace");
        return {key,
                "nvmf_subsystem_set_ns_ana_group",
                {{"nqn", key.object}, {"nsid", ns.at("nsid")}, {"anagrpid", ns.at("anagrpid")}}};
    }
    if (key.kind == nvmf::listener_kind && names == std::set<std::string>{"ana_state"}) {
        return {key, set_listener_state, listener_state(wanted, text_of(wanted, "ana_state"))};
    }
    if (key.kind == nvmf::listener_kind && names == std::set<std::string>{"hosts"}) {
        return {key,
                "nvmf_subsystem_listener_set_hosts",
                {{"nqn", key.object}, {"listen_address", wanted.at("listen_address")}, {"hosts", wanted.at("hosts")}}};
    }
    if (method_of(after) == "bdev_null_create" && names == std::set<std::string>{"num_blocks"}) {
        const Json& had = params_of(before);
        const Json& blocks = wanted.at("num_blocks");
        if (!blocks.is_number_unsigned() || blocks <= had.at("num_blocks")) return {};
        const uint64_t size = blocks.get<uint64_t>() * had.at("block_size").get<uint64_t>();
        if (size % mebibyte != 0) return {};  // as it is told
        return {key, "bdev_null_resize", {{"name", key.object}, {"new_size", size / mebibyte}}};
    }
    return {};
}

void Planner::replace(const Key& key, Json entry) {
    gone_.insert(key);
    made_.emplace(key, std::move(entry));
}

// A key that comes back is another key: what was made with it is made anew.
void Planner::find_what_uses_keys() {
    for (const Key& key : running_.keys()) {
        if (gone_.contains(key) || (key.kind != accel::key_kind && key.kind != bdev::bdev_kind)) continue;
        const Json entry = running_.entry(key);
        const auto names_one_that_goes = [&](const char* parameter, auto key_of_name) {
            const std::string name = text_of(params_of(entry), parameter);
            return !name.empty() && gone_.contains(key_of_name(name));
        };
        const bool goes = key.kind == bdev::bdev_kind ? names_one_that_goes("key_name", accel::crypto_key_key)
                                                      : names_one_that_goes("keyring_key", keyring::config_key) ||
                                                            names_one_that_goes("keyring_key2", keyring::config_key);
        if (!goes) continue;
        gone_.insert(key);
        if (wanted_.find(key) != nullptr) made_.emplace(key, entry);
    }
}

// Also of what stands on others: they go with their base and come back with it by themselves, but not their
// namespaces.
bool Planner::bdev_goes(const std::string& name, size_t depth) const {
    constexpr size_t depth_max = 32;  // two may wait for each other
    if (name.empty() || depth > depth_max) return false;
    for (const Key& key : running_.keys()) {
        if (key.kind != bdev::bdev_kind) continue;
        const Json entry = running_.entry(key);
        const Json& params = params_of(entry);
        std::string base = text_of(params, "base_bdev");
        const bool is_part = method_of(entry) == "bdev_split_create" && name.starts_with(base + "p");
        if (key.object != name && text_of(params, "uuid") != name && !is_part) continue;
        if (gone_.contains(key)) return true;
        for (const char* older : {"base_bdev_name", "base_name"}) {
            if (base.empty()) base = text_of(params, older);
        }
        return bdev_goes(base, depth + 1);
    }
    return false;
}

// Stripes and chains are made anew with any base. What has redundancy would be made of old and of new ones, and read
// from both: that is for whoever knows which of them to believe.
Result<void> Planner::find_raids() {
    const auto bases_of = [](const Json& entry) { return params_of(entry).value("base_bdevs", Json::array()); };
    for (bool is_settled = false; !std::exchange(is_settled, true);) {
        for (const Key& key : running_.keys()) {
            const Json entry = running_.entry(key);
            if (method_of(entry) != "bdev_raid_create") continue;
            const std::string level = text_of(params_of(entry), "raid_level");
            const bool has_redundancy = level != "raid0" && level != "concat";
            const Json bases = bases_of(entry);
            const auto made = made_.find(key);
            const bool has_others = made != made_.end() && bases_of(made->second) != bases;
            const auto going = std::ranges::find_if(
                bases, [this](const Json& base) { return base.is_string() && bdev_goes(base.get<std::string>()); });
            const bool is_removed = gone_.contains(key) && made == made_.end();
            if (is_removed || (going == bases.end() && !has_others)) continue;
            if (has_redundancy) {
                return cannot(key, fmt::format("{}: take base bdevs that go out of it first "
                                               "(bdev_raid_remove_base_bdev), and add those that come "
                                               "(bdev_raid_add_base_bdev), which fills them",
                                               going == bases.end() ? "other base bdevs are wanted"
                                                                    : going->get<std::string>() + " would go"));
            }
            if (!gone_.insert(key).second) continue;
            if (wanted_.find(key) != nullptr) made_.emplace(key, entry);
            is_settled = false;
        }
    }
    return {};
}

// With a subsystem go its parts, with a device the namespaces that show it; those that are wanted come again, as they
// were but for what the file says.
void Planner::find_what_goes_along() {
    for (const Key& key : running_.keys()) {
        const bool is_of_bdev = bdev::is_part_of_bdev(key);
        if ((!is_part_of_subsystem(key) && !is_of_bdev) || gone_.contains(key)) continue;
        bool goes = gone_.contains(is_of_bdev ? bdev::bdev_key(key.object) : nvmf::subsystem_key(key.object));
        const Json entry = running_.entry(key);
        // Namespaces come before their hosts.
        if (key.kind == nvmf::namespace_host_kind) goes = goes || gone_.contains(namespace_of(key));
        if (!goes && key.kind == nvmf::namespace_kind) {
            const std::string shown = text_of(params_of(entry).value("namespace", Json::object()), "bdev_name");
            goes = bdev_goes(shown);
        }
        if (key.kind == nvmf::ana_kind && !goes) {
            // With the listener; and a state that is set for all of its groups takes the place of these.
            goes = gone_.contains(listener_of(key)) || std::ranges::any_of(altered_, [&](const Altered& altered) {
                       return altered.key == listener_of(key);
                   });
        }
        if (!goes) continue;
        gone_.insert(key);
        if (wanted_.find(key) == nullptr || made_.contains(key)) continue;
        made_.emplace(key, entry);
    }
    // A key that comes back from another file is another key: those who use it are given it anew.
    for (const Key& key : running_.keys()) {
        if (key.kind != nvmf::host_kind || gone_.contains(key) || wanted_.find(key) == nullptr) continue;
        if (std::ranges::any_of(altered_, [&key](const Altered& altered) { return altered.key == key; })) continue;
        const Json entry = running_.entry(key);
        const Json& params = params_of(entry);
        const bool is_concerned = std::ranges::any_of(host_keys, [&](const char* name) {
            const rpc::ConfigKey used = keyring::config_key(text_of(params, name));
            return gone_.contains(used) && made_.contains(used);
        });
        if (is_concerned) altered_.push_back({key, "nvmf_subsystem_set_keys", keys_of_host(params)});
    }
    // What would be altered in place, but goes and comes anyway, comes as it is wanted.
    std::erase_if(altered_, [this](const Altered& altered) { return gone_.contains(altered.key); });
}

bool Planner::goes_late(const Key& key) const {
    // A list that is empty for a moment would let all come.
    if (key.kind == nvmf::network_kind) return true;
    if (!is_ram_disk(key) || made_.contains(key)) return false;
    const std::string uuid = text_of(params_of(running_.entry(key)), "uuid");
    return std::ranges::none_of(made_, [&](const auto& made) {
        return nvmf::equal_ignoring_case(text_of(params_of(made.second), "uuid"), uuid);
    });
}

void Planner::remove(const Key& key) {
    const Json entry = running_.entry(key);
    if (key.kind == bdev::bdev_kind) {
        std::string method = method_of(entry);
        method.replace(method.rfind("_create"), std::string::npos, "_delete");
        const bool is_split = method == "bdev_split_delete";
        call(std::move(method),
             is_split ? Json{{"base_bdev", text_of(params_of(entry), "base_bdev")}} : Json{{"name", key.object}});
    } else if (key.kind == bdev::histogram_kind) {
        call(bdev::histogram_kind, {{"name", key.object}, {"enable", false}});
    } else if (key.kind == bdev::qos_kind) {
        Json none = params_of(entry);
        for (auto& [name, limit] : none.items()) {
            if (name != "name") limit = 0;
        }
        call(bdev::qos_kind, std::move(none));
    } else if (key.kind == nvmf::namespace_host_kind) {
        call("nvmf_ns_remove_host", params_of(entry));
    } else if (key.kind == nvmf::discovery_nqn_kind) {
        call(nvmf::discovery_nqn_kind, {{"discovery_nqn", ""}});
    } else if (key.kind == nvmf::announcement_kind) {
        call("nvmf_stop_mdns_prr", Json::object());
    } else if (key.kind == nvmf::referral_kind) {
        const Json params = params_of(entry);
        call("nvmf_discovery_remove_referral", {{"address", params.at("address")}, {"subnqn", params.at("subnqn")}});
    } else if (key.kind == nvmf::network_kind) {
        call("nvmf_remove_blockservice2transport", {{"trtype", key.object}, {"blockservice", key.part}});
    } else if (key.kind == accel::key_kind) {
        call("accel_crypto_key_destroy", {{"key_name", key.object}});
    } else if (key.kind == accel::injection_kind) {
        call(accel::injection_kind, {{"opcode", key.object}, {"type", "disable"}});
    } else if (key.kind == keyring::key_kind) {
        call("keyring_file_remove_key", {{"name", key.object}});
    } else if (key.kind == nvmf::subsystem_kind) {
        call("nvmf_delete_subsystem", {{"nqn", key.object}});
    } else if (key.kind == nvmf::allow_any_host_kind) {
        call(nvmf::allow_any_host_kind, {{"nqn", key.object}, {"allow_any_host", true}});
    } else if (key.kind == nvmf::host_kind) {
        call("nvmf_subsystem_remove_host", {{"nqn", key.object}, {"host", key.part}});
    } else if (key.kind == nvmf::namespace_kind) {
        call("nvmf_subsystem_remove_ns", {{"nqn", key.object}, {"nsid", params_of(entry).at("namespace").at("nsid")}});
    } else if (key.kind == nvmf::ana_kind) {
        // All as the listener was made.
        const Json made = running_.entry(listener_of(key));
        const std::string state = text_of(params_of(made), "ana_state");
        call(set_listener_state, listener_state(params_of(made), state.empty() ? "optimized" : state));
    } else {
        WEFT_ASSERT(key.kind == nvmf::listener_kind);
        call("nvmf_subsystem_remove_listener", params_of(entry));
    }
}

void Planner::write_calls() {
    std::vector<Key> going = running_.keys();
    std::erase_if(going, [this](const Key& key) { return !gone_.contains(key); });
    std::ranges::reverse(going);  // what depends on others first
    for (const Key& key : going) {
        // A device takes its histogram and its limits along, a subsystem its parts.
        if (bdev::is_part_of_bdev(key) && gone_.contains(bdev::bdev_key(key.object))) continue;
        if (is_part_of_subsystem(key) && gone_.contains(nvmf::subsystem_key(key.object)) &&
            key.object != nvme::discovery_nqn) {
            continue;
        }
        if (key.kind == nvmf::ana_kind && gone_.contains(listener_of(key))) continue;
        if (key.kind == nvmf::namespace_host_kind && gone_.contains(namespace_of(key))) continue;
        if (!goes_late(key)) remove(key);
    }
    const auto make_those = [this](bool keys) {
        for (const Key& key : wanted_.keys()) {
            const auto made = made_.find(key);
            const bool is_key = key.kind == keyring::key_kind || key.kind == accel::key_kind;
            if (made == made_.end() || is_key != keys) continue;
            call(method_of(made->second), params_of(made->second));
        }
    };
    make_those(true);  // what hosts are given in place
    for (Altered& altered : altered_) call(std::move(altered.method), std::move(altered.params));
    make_those(false);
    for (const Key& key : going) {
        if (goes_late(key)) remove(key);
    }
}

Result<Plan> Planner::make() {
    WEFT_TRY(find_differences());
    find_what_uses_keys();
    WEFT_TRY(find_raids());
    find_what_goes_along();
    write_calls();
    // Numbers of one length compare as numbers do.
    std::ranges::sort(plan_.differences, {}, [](const Difference& difference) {
        const Key& key = difference.key;
        return std::tuple(rank_of(key).value_or(rank_max), key.object, key.part.size(), key.part);
    });
    return std::move(plan_);
}

}  // namespace

Result<Plan> make_plan(const Document& running, const Document& wanted) { return Planner(running, wanted).make(); }

}  // namespace weft::state
