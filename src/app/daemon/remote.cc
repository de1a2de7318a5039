#include "app/daemon/remote.h"

#include <fmt/format.h>

#include <charconv>

#include "base/log.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::app {

namespace {

constexpr std::string_view tls_scheme = "tls://";
constexpr size_t pem_bytes_max = size_t{1} << 20;
constexpr size_t roles_bytes_max = size_t{1} << 20;

std::unexpected<Error> fail_file(const char* option, const Error& error) {
    return fail(error.code, fmt::format("{}: {}", option, error.message));
}

}  // namespace

Remote::~Remote() { methods_.set_audit(nullptr); }

// A path, or host:port.
Result<Remote::Place> Remote::parse(const std::string& text) {
    const bool is_tls = text.starts_with(tls_scheme);
    const std::string rest = is_tls ? text.substr(tls_scheme.size()) : text;
    const size_t colon = rest.rfind(':');
    const bool is_path = rest.find('/') != std::string::npos || colon == std::string::npos;
    if (is_path && !is_tls) {
        return Place{.address = {.family = env::Family::unix_path, .host = rest, .port = 0}, .is_tls = false};
    }
    if (is_path) {
        return fail(Errc::invalid_argument,
                    fmt::format("RPC address {}: give tls://ADDRESS:PORT, as tls://[::]:5261", text));
    }
    std::string host = rest.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    uint16_t port = 0;
    const char* const end = rest.data() + rest.size();
    const auto parsed = std::from_chars(rest.data() + colon + 1, end, port);
    if (parsed.ec != std::errc{} || parsed.ptr != end || port == 0) {
        return fail(Errc::invalid_argument,
                    fmt::format("RPC address {}: the port is not a number from 1 to 65535", text));
    }
    auto address = env::parse_ip(host, port);
    if (!address) return std::unexpected(std::move(address).error());
    if (!is_tls && !(address->host.starts_with("127.") || address->host == "::1")) {
        return fail(Errc::invalid_argument,
                    fmt::format("RPC address {}: only loopback addresses are served, since anybody who connects is "
                                "obeyed; use tls://{}, or a tunnel",
                                text, env::to_string(*address)));
    }
    return Place{.address = std::move(*address), .is_tls = is_tls};
}

Result<void> Remote::check_options(bool has_tls) const {
    const std::pair<const char*, const std::string&> files[] = {{"--rpc-tls-cert", options_.certificate},
                                                                {"--rpc-tls-key", options_.key},
                                                                {"--rpc-tls-ca", options_.authority},
                                                                {"--rpc-roles", options_.roles}};
    for (const auto& [option, file] : files) {
        if (has_tls && file.empty()) {
            return fail(Errc::invalid_argument,
                        fmt::format("-r tls://…: {} FILE is missing (docs/remote-control.md)", option));
        }
        if (!has_tls && !file.empty()) {
            return fail(Errc::invalid_argument,
                        fmt::format("{} {}: it is for -r tls://ADDRESS:PORT, and there is none", option, file));
        }
    }
    return {};
}

Task<Result<Remote::Credentials>> Remote::read_credentials() const {
    env::Environment& environment = Reactor::current().environment();
    env::Files& files = environment.files();
    struct Texts {
        Result<std::string> certificate, key, authority, roles;
    };
    const Texts texts = co_await offload([this, &files] {
        return Texts{.certificate = files.read_all(options_.certificate, pem_bytes_max),
                     .key = files.read_secret(options_.key, pem_bytes_max),
                     .authority = files.read_all(options_.authority, pem_bytes_max),
                     .roles = files.read_all(options_.roles, roles_bytes_max)};
    });
    if (!texts.certificate) co_return fail_file("--rpc-tls-cert", texts.certificate.error());
    if (!texts.key) co_return fail_file("--rpc-tls-key", texts.key.error());
    if (!texts.authority) co_return fail_file("--rpc-tls-ca", texts.authority.error());
    if (!texts.roles) co_return fail_file("--rpc-roles", texts.roles.error());

    const net::TlsFiles pem{.certificate = {"--rpc-tls-cert " + options_.certificate, *texts.certificate},
                            .key = {"--rpc-tls-key " + options_.key, *texts.key},
                            .authority = {"--rpc-tls-ca " + options_.authority, *texts.authority}};
    auto context = net::TlsContext::make(net::TlsContext::Side::server, pem, environment.clock().wall());
    if (!context) co_return std::unexpected(std::move(context).error());
    auto roles = rpc::Roles::parse(*texts.roles);
    if (!roles) {
        co_return fail(roles.error().code, fmt::format("--rpc-roles {}: {}", options_.roles, roles.error().message));
    }
    co_return Credentials{.context = std::move(*context), .roles = std::move(*roles)};
}

Task<Result<void>> Remote::prepare(const std::vector<std::string>& texts) {
    bool has_tls = false;
    for (const std::string& text : texts) {
        auto place = parse(text);
        if (!place) co_return std::unexpected(std::move(place).error());
        has_tls = has_tls || place->is_tls;
        places_.push_back(std::move(*place));
    }
    WEFT_CO_TRY(check_options(has_tls));
    if (has_tls) {
        auto credentials = co_await read_credentials();
        if (!credentials) co_return std::unexpected(std::move(credentials).error());
        admission_ =
            std::make_unique<rpc::TlsAdmission>(std::move(credentials->context), std::move(credentials->roles));
    }
    if (options_.audit.empty()) co_return Result<void>{};
    auto audit = co_await rpc::AuditLog::open(options_.audit);
    if (!audit) co_return std::unexpected(std::move(audit).error());
    audit_ = std::move(*audit);
    methods_.set_audit(audit_.get());
    co_return Result<void>{};
}

Task<Result<void>> Remote::listen() {
    for (const Place& place : places_) {
        rpc::ServerOptions options{.address = place.address};
        if (place.is_tls) options.admission = admission_.get();
        auto server = co_await rpc::Server::listen(methods_, std::move(options));
        if (!server) {
            for (const auto& open : servers_) co_await open->stop();
            servers_.clear();
            co_return std::unexpected(std::move(server).error());
        }
        servers_.push_back(std::move(*server));
        if (place.is_tls) WEFT_NOTICELOG("RPC through TLS: {}", env::to_string(place.address));
    }
    co_return Result<void>{};
}

Task<Result<void>> Remote::reload() {
    Result<void> outcome;
    if (admission_ != nullptr) {
        auto credentials = co_await read_credentials();
        if (credentials) {
            const size_t names = credentials->roles.size();
            admission_->replace(std::move(credentials->context), std::move(credentials->roles));
            WEFT_NOTICELOG("reload: certificates, and roles of {} names", names);
        } else {
            outcome = std::unexpected(std::move(credentials).error());
        }
    }
    if (audit_ != nullptr) {
        Result<void> opened = co_await audit_->reopen();
        if (opened) {
            WEFT_NOTICELOG("reload: the audit log is {}", audit_->path());
        } else if (outcome) {
            outcome = std::move(opened);
        } else {
            WEFT_ERRLOG("reload: {}; the old file stays in use", opened.error().message);
        }
    }
    co_return outcome;
}

Task<void> Remote::stop() {
    for (const auto& server : servers_) co_await server->stop();
    servers_.clear();
    if (admission_ != nullptr) co_await admission_->stop();
}

Task<void> Remote::close_audit() {
    if (audit_ != nullptr) co_await audit_->close();
}

namespace {

Task<Result<Json>> get_audit(const Remote& remote) {
    const rpc::AuditLog* const audit = remote.audit();
    if (audit == nullptr) co_return fail(Errc::not_supported, "weftd runs without --audit: nothing is written down");
    const rpc::AuditLog::Figures& figures = audit->figures();
    co_return Json{{"file", audit->path()},
                   {"lines_written", figures.lines_written},
                   {"lines_lost", figures.lines_lost},
                   {"failure", figures.failure}};
}

}  // namespace

void add_remote_methods(rpc::Registry& registry, const Remote& remote) {
    registry.add<rpc::NoParams>(
        {.name = "weft_get_audit",
         .role = rpc::Role::read,
         .text = "The audit log: how many lines were written and lost, and why the last ones were lost",
         .states = rpc::States::any,
         .result = "object: file, lines_written, lines_lost, failure"},
        [&remote](rpc::NoParams) { return get_audit(remote); });
}

}  // namespace weft::app
