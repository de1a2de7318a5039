#include "app/observe/pages.h"

#include <fmt/format.h>

#include <charconv>

#include "app/observe/figures_json.h"
#include "app/observe/metrics.h"

namespace weft::app {

namespace {

constexpr size_t piece_bytes = size_t{32} << 10;
constexpr size_t queues_on_page = 200;
// The page has its script and style in itself, and asks this server only.
constexpr std::string_view page_policy =
    "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
constexpr const char* forms = "give a PORT (on 127.0.0.1), ADDRESS:PORT, or [ADDRESS]:PORT for IPv6";

}  // namespace

Result<env::Address> parse_metrics_address(const std::string& text) {
    const size_t colon = text.rfind(':');
    std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
    const std::string number = colon == std::string::npos ? text : text.substr(colon + 1);
    uint16_t port = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), port);
    if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size()) {
        return fail(Errc::invalid_argument,
                    fmt::format("--metrics {}: the port must be a number up to 65535; {}", text, forms));
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    auto address = env::parse_ip(host, port);
    if (!address) {
        return fail(Errc::invalid_argument, fmt::format("--metrics {}: {} is no IP address; {}", text, host, forms));
    }
    return address;
}

Result<std::unique_ptr<Pages>> Pages::open(Sources sources, const env::Address& address) {
    std::unique_ptr<Pages> pages(new Pages(sources));
    const bool is_local = address.host.starts_with("127.") || address.host == "::1";
    auto server = http::Server::listen({.address = address, .is_local = is_local},
                                       [self = pages.get()](const http::Request& request, http::Reply& reply) {
                                           return self->answer(request, reply);
                                       });
    if (!server) return std::unexpected(std::move(server).error());
    pages->server_ = std::move(*server);
    return pages;
}

Pages::~Pages() = default;

Task<void> Pages::answer(const http::Request& request, http::Reply& reply) {
    if (request.path == "/metrics") {
        co_await send_metrics(reply);
    } else if (request.path == "/figures.json") {
        co_await send_figures(reply);
    } else if (request.path == "/") {
        reply.send(200, "text/html; charset=utf-8", page_html, page_policy);
    } else {
        reply.send(404, "text/plain; charset=utf-8", "There are /, /metrics and /figures.json.\n");
    }
}

Task<Snapshot> Pages::look(const http::Reply& reply) {
    const AsyncMutex::Guard guard = co_await looking_.lock();
    if (!reply.is_wanted()) co_return Snapshot{};
    co_return co_await take_snapshot(sources_);
}

Task<void> Pages::send_metrics(http::Reply& reply) {
    const Snapshot snapshot = co_await look(reply);
    reply.begin(exposition_type);
    Exposition out;
    for (const Family& family : metric_families()) {
        const size_t count = family.count(snapshot);
        out.begin_family(family.name, family.type, family.help);
        for (size_t at = 0; at < count; ++at) {
            family.write(snapshot, at, out);
            if (out.size() < piece_bytes) continue;
            if (!co_await reply.write(out.take())) co_return;
            co_await yield();  // others have work to do on this thread, too
        }
    }
    co_await reply.write(out.take());
    reply.end();
}

Task<void> Pages::send_figures(http::Reply& reply) {
    const Snapshot snapshot = co_await look(reply);
    reply.send(200, "application/json", dump_json(to_json(snapshot, queues_on_page)));
}

}  // namespace weft::app
