#include "nvme_host/target_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "base/uuid.h"
#include "env/environment.h"
#include "nvme/fabrics.h"
#include "nvme/tls/psk.h"

namespace weft::nvme_host {

namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

Result<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
        return fail(Errc::invalid_argument, fmt::format("trsvcid '{}' is not a port number from 1 to 65535", text));
    }
    return port;
}

// The first line of a file that nvme-cli keeps, without the end of line; "" when there is none.
std::string configured(env::Environment& environment, const std::string& path) {
    const auto text = environment.files().read_all(path, 4096);
    if (!text) return {};
    return text->substr(0, text->find_first_of(" \t\r\n"));
}

Result<std::array<uint8_t, 16>> parse_hostid(const std::string& text) {
    const auto id = Uuid::parse(text);
    if (!id) return fail(Errc::invalid_argument, fmt::format("hostid '{}' is not a UUID", text));
    return id->octets();
}

Result<std::array<uint8_t, 16>> choose_hostid(const TargetOptions& options, const std::string& hostnqn,
                                              env::Environment& environment) {
    if (!options.hostid.empty()) return parse_hostid(options.hostid);
    if (hostnqn.starts_with(nvme::uuid_nqn_prefix)) {
        if (const auto id = Uuid::parse(hostnqn.substr(nvme::uuid_nqn_prefix.size()))) return id->octets();
    }
    if (options.hostnqn.empty()) {
        const std::string id = configured(environment, "/etc/nvme/hostid");
        if (!id.empty()) return parse_hostid(id);
    }
    return Uuid::from_names({"hostid", hostnqn}).octets();
}

// The key of this host and that subsystem, from what was given.
Result<std::optional<net::PskKey>> tls_key(const TargetOptions& options, const ControllerOptions& made,
                                           env::Environment& environment) {
    if (!options.tls && options.tls_key.empty()) return std::nullopt;
    if (options.tls_key.empty()) {
        return fail(Errc::invalid_argument,
                    "TLS needs a key: --tls-key FILE, with what `nvme gen-tls-key` printed (NVMeTLSkey-1:…)");
    }
    constexpr size_t file_bytes_max = 4096;
    std::string text = options.tls_key;
    if (!text.starts_with("NVMeTLSkey-1:")) {
        auto read = environment.files().read_secret(text, file_bytes_max);
        if (!read) return std::unexpected(std::move(read).error());
        text = read->substr(0, read->find_last_not_of(" \t\r\n") + 1);
    }
    const auto configured = nvme::tls::parse_interchange(text);
    explicit_bzero(text.data(), text.size());
    if (!configured) return std::unexpected(configured.error());
    if (options.tls_identity_version > 1) {
        return fail(Errc::invalid_argument, "the version of the TLS identity is 0 or 1");
    }
    const auto derivation =
        options.tls_old_derivation ? nvme::tls::Derivation::libnvme_before_1_16 : nvme::tls::Derivation::standard;
    const auto psk = nvme::tls::make_tls_psk(*configured, made.hostnqn, made.subnqn,
                                             static_cast<uint8_t>(options.tls_identity_version), derivation);
    if (!psk) {
        return fail(Errc::invalid_argument,
                    "the NQNs of host and subsystem are too long for a TLS identity of version 0: take version 1");
    }
    return net::PskKey(psk->identity.text(), psk->key.bytes());
}

// A name out of a list, as the one bit that is set. Errors: invalid_argument, with the list.
template <class T, size_t count>
Result<uint32_t> only(std::string_view option, const std::string& name, const std::array<T, count>& all) {
    std::string names;
    for (const T one : all) {
        if (nvme::auth::name_of(one) == name) return 1U << static_cast<uint8_t>(one);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", nvme::auth::name_of(one));
    }
    return fail(Errc::invalid_argument, fmt::format("{} '{}' is none of {}", option, name, names));
}

Result<void> take_keys(const TargetOptions& options, env::Environment& environment, ControllerOptions& made) {
    if (options.concat && (options.tls || !options.tls_key.empty())) {
        return fail(Errc::invalid_argument, "concat makes the key for TLS itself: it goes without tls and tls-key");
    }
    if (options.dhchap_key.empty()) {
        if (options.concat) return fail(Errc::invalid_argument, "concat needs dhchap-key: its key comes of that");
        if (options.dhchap_ctrl_key.empty()) return {};
        return fail(Errc::invalid_argument, "dhchap-ctrl-key needs dhchap-key: the host authenticates first");
    }
    DhchapKeys keys;
    auto key = read_dhchap_key(environment, options.dhchap_key);
    if (!key) return fail(key.error().code, fmt::format("dhchap-key: {}", key.error().message));
    keys.host = std::move(*key);
    if (!options.dhchap_ctrl_key.empty()) {
        auto other = read_dhchap_key(environment, options.dhchap_ctrl_key);
        if (!other) return fail(other.error().code, fmt::format("dhchap-ctrl-key: {}", other.error().message));
        keys.controller = std::move(*other);
    }
    if (!options.dhchap_digest.empty()) {
        const auto bits = only("dhchap-digest", options.dhchap_digest, nvme::auth::all_hashes);
        if (!bits) return std::unexpected(bits.error());
        keys.allowed.hashes = *bits;
    }
    if (!options.dhchap_dhgroup.empty()) {
        const auto bits = only("dhchap-dhgroup", options.dhchap_dhgroup, nvme::auth::all_groups);
        if (!bits) return std::unexpected(bits.error());
        keys.allowed.groups = *bits;
    }
    if (options.concat) {
        const nvme::auth::Allowed usable = keys.allowed & nvme::auth::concatenation_allows;
        if (usable.hashes == 0 || usable.groups == 0) {
            return fail(Errc::invalid_argument,
                        "concat needs sha256 or sha384, and a DH group other than null: its key comes of them");
        }
    }
    made.dhchap = std::move(keys);
    made.concatenate = options.concat;
    return {};
}

}  // namespace

Result<void> apply_transport_id(std::string_view text, TargetOptions& options) {
    struct Field {
        std::string_view name;
        std::string TargetOptions::* member;
    };
    static constexpr Field fields[] = {
        {"trtype", &TargetOptions::trtype},   {"adrfam", &TargetOptions::adrfam}, {"traddr", &TargetOptions::traddr},
        {"trsvcid", &TargetOptions::trsvcid}, {"subnqn", &TargetOptions::subnqn}, {"hostnqn", &TargetOptions::hostnqn},
    };
    while (true) {
        const size_t start = text.find_first_not_of(" \t\n");
        if (start == std::string_view::npos) return {};
        text.remove_prefix(start);
        const std::string_view item = text.substr(0, text.find_first_of(" \t\n"));
        text.remove_prefix(item.size());
        const size_t colon = item.find_first_of(":=");  // the first: values have colons, too
        if (colon == std::string_view::npos) {
            return fail(Errc::invalid_argument, fmt::format("transport id: '{}' is not 'name:value'", item));
        }
        const std::string name = lower(item.substr(0, colon));
        const auto* field = std::ranges::find(fields, name, &Field::name);
        if (field == std::end(fields)) {
            return fail(Errc::invalid_argument,
                        fmt::format("transport id: there is no field '{}'; there are trtype, adrfam, traddr, trsvcid, "
                                    "subnqn and hostnqn",
                                    name));
        }
        options.*field->member = item.substr(colon + 1);
    }
}

Result<ControllerOptions> controller_options(const TargetOptions& given, env::Environment& environment,
                                             std::string_view default_subnqn) {
    TargetOptions options = given;
    WEFT_TRY(apply_transport_id(given.transport_id, options));
    if (lower(options.trtype) != "tcp") {
        return fail(Errc::not_supported,
                    fmt::format("trtype '{}': Weft is a host for tcp only, so far", options.trtype));
    }
    const auto port = parse_port(options.trsvcid);
    if (!port) return std::unexpected(port.error());
    const std::string host = options.traddr == "localhost" ? "127.0.0.1" : options.traddr;
    auto address = env::parse_ip(host, *port);
    if (!address) {
        return fail(Errc::invalid_argument,
                    fmt::format("traddr '{}' is not a numeric address such as 10.0.0.1 or fe80::1%eth0; names are "
                                "not looked up",
                                options.traddr));
    }
    const std::string family = lower(options.adrfam);
    if (!family.empty() && family != (address->family == env::Family::ipv4 ? "ipv4" : "ipv6")) {
        return fail(Errc::invalid_argument,
                    fmt::format("adrfam '{}' does not fit address {}", options.adrfam, options.traddr));
    }
    if (options.subnqn.empty() && default_subnqn.empty()) {
        return fail(Errc::invalid_argument,
                    fmt::format("subnqn is missing: which subsystem? `weft discover -a {} -s {}` lists them",
                                options.traddr, options.trsvcid));
    }

    ControllerOptions made;
    made.address = std::move(*address);
    made.socket.congestion_control = options.congestion;
    made.subnqn = options.subnqn.empty() ? std::string(default_subnqn) : options.subnqn;
    made.hostnqn = options.hostnqn.empty() ? configured(environment, "/etc/nvme/hostnqn") : options.hostnqn;
    if (made.hostnqn.empty()) {
        made.hostnqn = fmt::format("{}{}", nvme::uuid_nqn_prefix,
                                   Uuid::from_names({"hostnqn", environment.machine_id()}).to_string());
    }
    auto hostid = choose_hostid(options, made.hostnqn, environment);
    if (!hostid) return std::unexpected(std::move(hostid).error());
    made.hostid = *hostid;
    auto key = tls_key(options, made, environment);
    if (!key) return std::unexpected(std::move(key).error());
    made.tls_key = std::move(*key);

    WEFT_TRY(take_keys(options, environment, made));
    made.header_digest = options.header_digest;
    made.data_digest = options.data_digest;
    made.kato_ms = options.kato_ms;
    made.connect_timeout = options.timeout_s * env::ns_per_s;
    made.admin_timeout = options.timeout_s * env::ns_per_s;
    return made;
}

}  // namespace weft::nvme_host
