#include "app/state/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "accel/accel_rpc.h"
#include "base/log.h"
#include "bdev/bdev_rpc.h"
#include "keyring/keyring_rpc.h"
#include "nvmf/access/network.h"
#include "nvmf/config_keys.h"
#include "nvmf/discovery/discovery.h"
#include "rpc/json.h"

namespace weft::state {

namespace {

// What we wrote ourselves, or an operator: large, but not without end.
constexpr JsonLimits state_json_limits = {
    .size_bytes_max = size_t{256} << 20, .depth_max = 64, .values_max = 32'000'000};

struct Kind {
    std::string_view name;
    std::string_view section;
    std::string_view words;  // before the name of what it is
};

// In the order in which entries can be applied. A row more for each kind that save_config learns.
constexpr std::array kinds = {
    Kind{rpc::scheduler_options_kind, "scheduler", "options of the scheduler"},
    Kind{rpc::scheduler_kind, "scheduler", "scheduler"},
    Kind{rpc::sock_default_kind, "sock", "sockets in use"},
    Kind{rpc::sock_options_kind, "sock", "options of sockets"},
    Kind{keyring::key_kind, "keyring", "key"},
    Kind{accel::options_kind, "accel", "options of operations on data"},
    Kind{accel::assignment_kind, "accel", "module for operation"},
    Kind{accel::injection_kind, "accel", "injected error of operation"},
    Kind{accel::key_kind, "accel", "crypto key"},
    Kind{bdev::options_kind, "bdev", "options of bdevs"},
    Kind{"bdev_raid_set_options", "bdev", "options of raids"},
    Kind{bdev::bdev_kind, "bdev", "bdev"},
    Kind{bdev::histogram_kind, "bdev", "histogram of bdev"},
    Kind{bdev::qos_kind, "bdev", "limits of bdev"},
    Kind{nvmf::max_subsystems_kind, "nvmf", "number of subsystems"},
    Kind{nvmf::retry_delays_kind, "nvmf", "retry delays"},
    Kind{nvmf::set_config_kind, "nvmf", "options of the target"},
    Kind{nvmf::transport_kind, "nvmf", "transport"},
    Kind{nvmf::network_kind, "nvmf", "network"},
    Kind{nvmf::discovery_nqn_kind, "nvmf", "name of the discovery subsystem"},
    Kind{nvmf::referral_kind, "nvmf", "referral"},
    Kind{nvmf::subsystem_kind, "nvmf", "subsystem"},
    Kind{nvmf::allow_any_host_kind, "nvmf", "whether any host may use"},
    Kind{nvmf::host_kind, "nvmf", "host"},
    Kind{nvmf::namespace_kind, "nvmf", "namespace"},
    Kind{nvmf::namespace_host_kind, "nvmf", "host of a namespace"},
    Kind{nvmf::listener_kind, "nvmf", "listener"},
    Kind{nvmf::ana_kind, "nvmf", "ANA states of listener"},
    Kind{nvmf::announcement_kind, "nvmf", "announcement of the discovery service"},
};

std::unexpected<Error> refuse(std::string_view method, std::string_view why) {
    return fail(Errc::invalid_argument, fmt::format("{}: {}", log::quoted(method, 64), why));
}

// Reads what names a thing out of an entry's parameters.
class Names {
public:
    Names(const Json& entry, std::string_view method)
        : params_(entry.find("params")), end_(entry.end()), method_(method) {}

    Result<std::string> text(const char* name) const { return text_in(params_ == end_ ? Json() : *params_, name); }
    Result<std::string> nqn() const {
        auto given = text("nqn");
        if (given && *given == "discovery") *given = nvme::discovery_nqn;
        return given;
    }
    Result<uint32_t> nsid() const {
        const Json ns = member("namespace");
        const auto nsid = ns.is_object() ? ns.find("nsid") : ns.end();
        if (nsid == ns.end()) return refuse(method_, "\"nsid\" of \"namespace\" must be given");
        return nsid_in(*nsid);
    }
    Result<uint32_t> nsid_of_host() const { return nsid_in(member("nsid")); }
    Result<nvmf::TransportId> address() const { return address_in(member("listen_address"), nvmf::normalise); }
    Result<nvmf::TransportId> referral_address() const { return address_in(member("address"), nvmf::referral_address); }
    // Of the only listener whose ANA states are set.
    Result<nvmf::TransportId> ana_address() const {
        const Json list = member("listeners");
        if (!list.is_array() || list.size() != 1 || !list[0].is_object() || !list[0].contains("listen_address")) {
            return refuse(method_, "\"listeners\" must have one element, with a \"listen_address\"");
        }
        return address_in(list[0]["listen_address"], nvmf::normalise);
    }

private:
    [[nodiscard]] Result<uint32_t> nsid_in(const Json& nsid) const {
        if (!nsid.is_number_unsigned() || nsid == 0U || nsid > 0xFFFFFFFEU) {
            return refuse(method_, "\"nsid\" must be given");
        }
        return nsid.get<uint32_t>();
    }
    template <class Normalise>
    [[nodiscard]] Result<nvmf::TransportId> address_in(const Json& where, Normalise normalise) const {
        auto trtype = text_in(where, "trtype");
        if (!trtype) return std::unexpected(trtype.error());
        auto traddr = text_in(where, "traddr");
        if (!traddr) return std::unexpected(traddr.error());
        return normalise(*trtype, text_in(where, "adrfam").value_or(""), *traddr,
                         text_in(where, "trsvcid").value_or(""));
    }
    [[nodiscard]] Json member(const char* name) const {
        if (params_ == end_ || !params_->is_object()) return {};
        const auto at = params_->find(name);
        return at == params_->end() ? Json() : *at;
    }
    [[nodiscard]] Result<std::string> text_in(const Json& object, const char* name) const {
        const auto at = object.is_object() ? object.find(name) : object.end();
        if (at == object.end() || !at->is_string() || at->get_ref<const std::string&>().empty()) {
            return refuse(method_, fmt::format("\"{}\" must be given", name));
        }
        return at->get<std::string>();
    }

    Json::const_iterator params_;
    Json::const_iterator end_;
    std::string_view method_;
};

// libstdc++ 12 has no expected::transform().
template <class T, class Make>
Result<rpc::ConfigKey> key_from(Result<T> name, Make make) {
    if (!name) return std::unexpected(std::move(name).error());
    return make(std::move(*name));
}

std::string upper(std::string text) {
    for (char& letter : text) letter = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
    return text;
}

// Also those of modules that others loaded (bdev/module.h), whose names follow the field's custom.
bool makes_bdev(std::string_view method) {
    return (method.starts_with("bdev_") && method.ends_with("_create")) || method == "weft_zoned_create";
}

// A key that is in a call itself stays where it came from.
Result<rpc::ConfigKey> key_of_crypto_key(std::string_view method, const Names& names) {
    if (names.text("key") || names.text("key2")) {
        return refuse(method,
                      "a configuration that is kept or compared has no keys in it: put the key into a file, name "
                      "it by keyring_file_add_key, and give \"keyring_key\" and \"keyring_key2\"");
    }
    return key_from(names.text("name"), accel::crypto_key_key);
}

Result<rpc::ConfigKey> key_of_part(std::string_view method, const Names& names) {
    auto nqn = names.nqn();
    if (!nqn) return std::unexpected(nqn.error());
    if (method == "nvmf_create_subsystem") {
        if (*nqn == nvme::discovery_nqn) return refuse(method, "the discovery subsystem is always there");
        return nvmf::subsystem_key(*nqn);
    }
    if (method == nvmf::allow_any_host_kind) {
        if (*nqn == nvme::discovery_nqn) return nvmf::subsystem_key(*nqn);
        return refuse(method, "nvmf_create_subsystem says so, with \"allow_any_host\"");
    }
    if (method == "nvmf_subsystem_add_host") {
        return key_from(names.text("host"), [&](const std::string& host) { return nvmf::host_key(*nqn, host); });
    }
    if (method == "nvmf_ns_add_host") {
        const auto nsid = names.nsid_of_host();
        if (!nsid) return std::unexpected(nsid.error());
        return key_from(names.text("host"),
                        [&](const std::string& host) { return nvmf::namespace_host_key(*nqn, *nsid, host); });
    }
    if (method == "nvmf_subsystem_add_ns") {
        return key_from(names.nsid(), [&](uint32_t nsid) { return nvmf::namespace_key(*nqn, nsid); });
    }
    if (method == "weft_nvmf_set_ana_states") {
        return key_from(names.ana_address(), [&](const nvmf::TransportId& id) { return nvmf::ana_key(*nqn, id); });
    }
    return key_from(names.address(), [&](const nvmf::TransportId& id) { return nvmf::listener_key(*nqn, id); });
}

}  // namespace

Result<rpc::ConfigKey> key_of(const Json& entry) {
    const auto named = entry.is_object() ? entry.find("method") : entry.end();
    if (named == entry.end() || !named->is_string()) {
        return fail(Errc::invalid_argument, "an entry has no \"method\"");
    }
    const auto& method = named->get_ref<const std::string&>();
    const auto params = entry.find("params");
    if (entry.size() > (params == entry.end() ? 1U : 2U)) return refuse(method, "only \"params\" may stand beside it");
    if (params != entry.end() && !params->is_object()) return refuse(method, "\"params\" must be an object");
    const Names names(entry, method);
    if (method == bdev::options_kind || method == nvmf::max_subsystems_kind || method == nvmf::retry_delays_kind ||
        method == nvmf::set_config_kind || method == nvmf::discovery_nqn_kind || method == nvmf::announcement_kind ||
        method == rpc::sock_default_kind || method == rpc::scheduler_options_kind || method == rpc::scheduler_kind ||
        method == accel::options_kind || method == "bdev_raid_set_options") {
        return rpc::ConfigKey{method, "", ""};
    }
    if (method == rpc::sock_options_kind) {
        return key_from(names.text("impl_name"),
                        [](std::string impl) { return rpc::ConfigKey{rpc::sock_options_kind, std::move(impl), ""}; });
    }
    if (method == bdev::histogram_kind) return key_from(names.text("name"), bdev::histogram_key);
    if (method == bdev::qos_kind) return key_from(names.text("name"), bdev::qos_key);
    // What is made has a name after what it stands on; of several it is saved under the first.
    if (method == "bdev_error_create") {
        return key_from(names.text("base_name"), [](const std::string& base) { return bdev::bdev_key("EE_" + base); });
    }
    if (method == "bdev_split_create") {
        return key_from(names.text("base_bdev"), [](const std::string& base) { return bdev::bdev_key(base + "p0"); });
    }
    if (makes_bdev(method)) return key_from(names.text("name"), bdev::bdev_key);
    if (method == "accel_crypto_key_create") return key_of_crypto_key(method, names);
    if (method == accel::assignment_kind) {
        return key_from(names.text("opname"),
                        [](std::string op) { return rpc::ConfigKey{accel::assignment_kind, std::move(op), ""}; });
    }
    if (method == accel::injection_kind) {
        return key_from(names.text("opcode"),
                        [](std::string op) { return rpc::ConfigKey{accel::injection_kind, std::move(op), ""}; });
    }
    if (method == "keyring_file_add_key") return key_from(names.text("name"), keyring::config_key);
    if (method == "nvmf_create_transport") {
        return key_from(names.text("trtype"),
                        [](std::string type) { return nvmf::transport_key(upper(std::move(type))); });
    }
    if (method == "nvmf_put_blockservice2transport") {
        auto trtype = names.text("trtype");
        if (!trtype) return std::unexpected(std::move(trtype).error());
        auto given = names.text("blockservice");
        if (!given) return std::unexpected(std::move(given).error());
        return key_from(nvmf::Network::parse(*given), [&](const nvmf::Network& network) {
            return nvmf::network_key(upper(*trtype), network.to_string());
        });
    }
    if (method == "nvmf_discovery_add_referral") {
        return key_from(names.referral_address(), [&](const nvmf::TransportId& address) {
            return nvmf::referral_key(address, names.text("subnqn").value_or(std::string(nvme::discovery_nqn)));
        });
    }
    constexpr std::array parts = {"nvmf_create_subsystem",   nvmf::allow_any_host_kind, "nvmf_subsystem_add_host",
                                  "nvmf_subsystem_add_ns",   "nvmf_ns_add_host",        "nvmf_subsystem_add_listener",
                                  "weft_nvmf_set_ana_states"};
    if (std::ranges::find(parts, method) != parts.end()) return key_of_part(method, names);
    if (method == "nvmf_create_target") {
        return refuse(method,
                      "a state directory and a comparison know the program's own target only; weftd -c and "
                      "load_config make others");
    }
    return refuse(method, "save_config writes no such method");
}

Result<size_t> rank_of(const rpc::ConfigKey& key) {
    const auto* const at = std::ranges::find(kinds, key.kind, &Kind::name);
    if (at == kinds.end()) return refuse(key.kind, "there is no such kind of entry");
    return static_cast<size_t>(at - kinds.begin());
}

std::string_view section_of(const rpc::ConfigKey& key) {
    const auto rank = rank_of(key);
    return rank ? kinds[*rank].section : std::string_view();
}

std::string describe(const rpc::ConfigKey& key) {
    const auto rank = rank_of(key);
    std::string words = rank ? std::string(kinds[*rank].words) : key.kind;
    if (!key.part.empty()) return fmt::format("{} {} of {}", words, key.part, key.object);
    return key.object.empty() ? words : words + " " + key.object;
}

bool Document::put(const rpc::ConfigKey& key, const Json& entry) {
    std::string text = dump_json(entry);
    const auto at = entries_.find(key);
    if (at != entries_.end()) {
        if (at->second.text == text) return false;
        at->second.text = std::move(text);
        return true;
    }
    const Place place{.rank = rank_of(key).value_or(kinds.size()), .order = next_order_++};
    entries_.emplace(key, Entry{.place = place, .text = std::move(text)});
    return true;
}

bool Document::erase(const rpc::ConfigKey& key) { return entries_.erase(key) > 0; }

const std::string* Document::find(const rpc::ConfigKey& key) const {
    const auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : &at->second.text;
}

Json Document::entry(const rpc::ConfigKey& key) const {
    const std::string* text = find(key);
    if (text == nullptr) return {};
    auto value = parse_json(*text, state_json_limits);
    WEFT_ASSERT(value.has_value());
    return std::move(*value);
}

std::vector<const std::pair<const rpc::ConfigKey, Document::Entry>*> Document::sorted() const {
    std::vector<const std::pair<const rpc::ConfigKey, Entry>*> list;
    list.reserve(entries_.size());
    for (const auto& entry : entries_) list.push_back(&entry);
    std::ranges::sort(list, {}, [](const auto* entry) { return entry->second.place; });
    return list;
}

std::vector<rpc::ConfigKey> Document::keys() const {
    std::vector<rpc::ConfigKey> list;
    for (const auto* entry : sorted()) list.push_back(entry->first);
    return list;
}

std::vector<rpc::ConfigCall> Document::calls() const {
    std::vector<rpc::ConfigCall> list;
    for (const auto* entry : sorted()) {
        auto call = parse_json(entry->second.text, state_json_limits);
        WEFT_ASSERT(call.has_value());
        list.push_back({.number = list.size() + 1,
                        .subsystem = std::string(section_of(entry->first)),
                        .method = (*call)["method"].get<std::string>(),
                        .params = call->value("params", Json())});
    }
    return list;
}

std::string Document::to_text() const {
    std::string text = "{\"subsystems\":[";
    std::string_view section;
    for (const auto* entry : sorted()) {
        const std::string_view own = section_of(entry->first);
        if (own != section) {
            if (!section.empty()) text += "]},";
            text += fmt::format("{{\"subsystem\":\"{}\",\"config\":[", own);
            section = own;
        } else {
            text += ',';
        }
        text += entry->second.text;
    }
    return text + (section.empty() ? "]}" : "]}]}");
}

Result<void> Document::read_text(std::string_view text) {
    auto root = parse_json(text, state_json_limits);
    if (!root) return std::unexpected(root.error());
    auto calls = rpc::parse_config(*root);
    if (!calls) return std::unexpected(calls.error());
    Document made;
    for (rpc::ConfigCall& call : *calls) {
        Json entry{{"method", call.method}};
        if (!call.params.is_null()) entry["params"] = std::move(call.params);
        if (call.method == "bdev_wait_for_examine") continue;  // save_config ends the bdevs with it; it makes nothing
        const auto key = key_of(entry);
        if (!key) return fail(Errc::invalid_argument, fmt::format("entry {}: {}", call.number, key.error().message));
        if (made.find(*key) != nullptr) {
            return fail(Errc::invalid_argument,
                        fmt::format("entry {}: {} is there twice", call.number, describe(*key)));
        }
        made.put(*key, entry);
    }
    *this = std::move(made);
    return {};
}

void Change::put(std::string_view entry_text) {
    items_ += fmt::format("{}{{\"put\":{}}}", items_.empty() ? "" : ",", entry_text);
}

void Change::erase(const rpc::ConfigKey& key) {
    const Json names = Json::array({key.kind, key.object, key.part});
    items_ += fmt::format("{}{{\"erase\":{}}}", items_.empty() ? "" : ",", dump_json(names));
}

Result<void> apply_change(std::string_view text, Document& document) {
    auto root = parse_json(text, state_json_limits);
    if (!root) return std::unexpected(root.error());
    const auto wrong = [] { return fail(Errc::invalid_argument, "not the form of a change"); };
    const auto changes = root->is_object() ? root->find("changes") : root->end();
    if (changes == root->end() || !changes->is_array()) return wrong();
    std::vector<std::pair<rpc::ConfigKey, const Json*>> items;  // without an entry: erase
    for (const Json& item : *changes) {
        if (!item.is_object() || item.size() != 1) return wrong();
        if (const auto put = item.find("put"); put != item.end()) {
            auto key = key_of(*put);
            if (!key) return std::unexpected(key.error());
            items.emplace_back(std::move(*key), &*put);
        } else if (const auto names = item.find("erase"); names != item.end()) {
            const bool is_key = names->is_array() && names->size() == 3 &&
                                std::ranges::all_of(*names, [](const Json& name) { return name.is_string(); });
            if (!is_key) return wrong();
            items.emplace_back(rpc::ConfigKey{(*names)[0], (*names)[1], (*names)[2]}, nullptr);
        } else {
            return wrong();
        }
    }
    for (const auto& [key, entry] : items) {
        if (entry != nullptr) {
            // In the order of members in which a file is read.
            Json ordered{{"method", entry->at("method")}};
            if (entry->contains("params")) ordered["params"] = entry->at("params");
            document.put(key, ordered);
        } else {
            document.erase(key);
        }
    }
    return {};
}

}  // namespace weft::state
