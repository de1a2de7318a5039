#include "app/state/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "bdev/bdev_rpc.h"
#include "nvmf/config_keys.h"
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
    Kind{bdev::options_kind, "bdev", "options of bdevs"},
    Kind{bdev::bdev_kind, "bdev", "bdev"},
    Kind{bdev::histogram_kind, "bdev", "histogram of bdev"},
    Kind{nvmf::max_subsystems_kind, "nvmf", "number of subsystems"},
    Kind{nvmf::retry_delays_kind, "nvmf", "retry delays"},
    Kind{nvmf::transport_kind, "nvmf", "transport"},
    Kind{nvmf::subsystem_kind, "nvmf", "subsystem"},
    Kind{nvmf::allow_any_host_kind, "nvmf", "whether any host may use"},
    Kind{nvmf::host_kind, "nvmf", "host"},
    Kind{nvmf::namespace_kind, "nvmf", "namespace"},
    Kind{nvmf::listener_kind, "nvmf", "listener"},
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
        if (nsid == ns.end() || !nsid->is_number_unsigned() || *nsid == 0U || *nsid > 0xFFFFFFFEU) {
            return refuse(method_, "\"nsid\" of \"namespace\" must be given");
        }
        return nsid->get<uint32_t>();
    }
    Result<nvmf::TransportId> address() const {
        const Json where = member("listen_address");
        auto trtype = text_in(where, "trtype");
        if (!trtype) return std::unexpected(trtype.error());
        auto traddr = text_in(where, "traddr");
        if (!traddr) return std::unexpected(traddr.error());
        return nvmf::normalise(*trtype, text_in(where, "adrfam").value_or(""), *traddr,
                               text_in(where, "trsvcid").value_or(""));
    }

private:
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

bool makes_bdev(std::string_view method) {
    return method == "bdev_malloc_create" || method == "bdev_null_create" || method == "bdev_aio_create" ||
           method == "bdev_uring_create";
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
    if (method == "nvmf_subsystem_add_ns") {
        return key_from(names.nsid(), [&](uint32_t nsid) { return nvmf::namespace_key(*nqn, nsid); });
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
        method == rpc::sock_default_kind || method == rpc::scheduler_options_kind || method == rpc::scheduler_kind) {
        return rpc::ConfigKey{method, "", ""};
    }
    if (method == rpc::sock_options_kind) {
        return key_from(names.text("impl_name"),
                        [](std::string impl) { return rpc::ConfigKey{rpc::sock_options_kind, std::move(impl), ""}; });
    }
    if (method == bdev::histogram_kind) return key_from(names.text("name"), bdev::histogram_key);
    if (makes_bdev(method)) return key_from(names.text("name"), bdev::bdev_key);
    if (method == "nvmf_create_transport") {
        return key_from(names.text("trtype"),
                        [](std::string type) { return nvmf::transport_key(upper(std::move(type))); });
    }
    constexpr std::array parts = {"nvmf_create_subsystem", nvmf::allow_any_host_kind, "nvmf_subsystem_add_host",
                                  "nvmf_subsystem_add_ns", "nvmf_subsystem_add_listener"};
    if (std::ranges::find(parts, method) != parts.end()) return key_of_part(method, names);
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
