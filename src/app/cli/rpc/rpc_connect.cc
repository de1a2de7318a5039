#include "app/cli/rpc/rpc_connect.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "reactor/reactor.h"

namespace weft::cli {

namespace {

constexpr std::string_view tls_scheme = "tls://";
constexpr size_t pem_bytes_max = size_t{1} << 20;

std::unexpected<Error> fail_file(const char* option, const Error& error) {
    return fail(error.code, fmt::format("{}: {}", option, error.message));
}

Task<Result<std::unique_ptr<net::TlsContext>>> read_context(TlsOptions options) {
    const std::pair<const char*, const std::string&> files[] = {{"--tls-cert (or WEFT_TLS_CERT)", options.certificate},
                                                                {"--tls-key (or WEFT_TLS_KEY)", options.key},
                                                                {"--tls-ca (or WEFT_TLS_CA)", options.authority}};
    for (const auto& [option, file] : files) {
        if (file.empty()) {
            co_return fail(Errc::invalid_argument,
                           fmt::format("tls:// needs a certificate that the server knows: {} is missing", option));
        }
    }
    env::Environment& environment = Reactor::current().environment();
    env::Files& system = environment.files();
    struct Texts {
        Result<std::string> certificate, key, authority;
    };
    const Texts texts = co_await offload([&options, &system] {
        return Texts{.certificate = system.read_all(options.certificate, pem_bytes_max),
                     .key = system.read_secret(options.key, pem_bytes_max),
                     .authority = system.read_all(options.authority, pem_bytes_max)};
    });
    if (!texts.certificate) co_return fail_file("--tls-cert", texts.certificate.error());
    if (!texts.key) co_return fail_file("--tls-key", texts.key.error());
    if (!texts.authority) co_return fail_file("--tls-ca", texts.authority.error());
    const net::TlsFiles pem{.certificate = {"--tls-cert " + options.certificate, *texts.certificate},
                            .key = {"--tls-key " + options.key, *texts.key},
                            .authority = {"--tls-ca " + options.authority, *texts.authority}};
    co_return net::TlsContext::make(net::TlsContext::Side::client, pem, environment.clock().wall());
}

Result<env::Address> parse_tls_address(const std::string& text) {
    const std::string rest = text.substr(tls_scheme.size());
    const size_t colon = rest.rfind(':');
    uint16_t port = 0;
    const char* const end = rest.data() + rest.size();
    const bool has_port = colon != std::string::npos && rest.find(']', colon) == std::string::npos;
    const auto parsed =
        has_port ? std::from_chars(rest.data() + colon + 1, end, port) : std::from_chars_result{end, {}};
    if (port == 0 || parsed.ec != std::errc{} || parsed.ptr != end) {
        return fail(Errc::invalid_argument, fmt::format("-s '{}': give tls://ADDRESS:PORT", text));
    }
    std::string host = rest.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    auto address = env::parse_ip(host, port);
    if (address) return address;
    return fail(Errc::invalid_argument,
                fmt::format("-s '{}': {}; names are not looked up: give the address, and --tls-name {}", text,
                            address.error().message, host.empty() ? "NAME" : host));
}

}  // namespace

void declare_tls_options(CLI::App& sub, TlsOptions& options) {
    sub.add_option("--tls-cert", options.certificate, "For -s tls://ADDRESS:PORT: our certificate (PEM)")
        ->envname("WEFT_TLS_CERT");
    sub.add_option("--tls-key", options.key, "Its private key (PEM); readable by nobody else")->envname("WEFT_TLS_KEY");
    sub.add_option("--tls-ca", options.authority, "The authority that signed the server's certificate (PEM)")
        ->envname("WEFT_TLS_CA");
    sub.add_option("--tls-name", options.name, "Name that the server's certificate must be for (default: the address)");
}

Task<Result<RpcServer>> RpcServer::find(const std::string& text, const TlsOptions& options,
                                        Result<env::Address> (*plain)(const std::string& text, uint16_t port),
                                        uint16_t port) {
    RpcServer server;
    const bool is_tls = text.starts_with(tls_scheme);
    auto address = is_tls ? parse_tls_address(text) : plain(text, port);
    if (!address) co_return std::unexpected(std::move(address).error());
    server.address_ = std::move(*address);
    if (is_tls) {
        auto context = co_await read_context(options);
        if (!context) co_return std::unexpected(std::move(context).error());
        server.context_ = std::move(*context);
        server.name_ = options.name.empty() ? server.address_.host : options.name;
    }
    co_return server;
}

Task<Result<std::unique_ptr<rpc::Client>>> RpcServer::connect(env::TimeNs timeout) const {
    if (context_ == nullptr) return rpc::Client::connect(address_, timeout);
    return rpc::Client::connect(address_, *context_, name_, timeout);
}

}  // namespace weft::cli
