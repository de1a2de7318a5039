// What is served on the metrics address: / for people, /metrics for Prometheus, /figures.json for the former.
#pragma once

#include <memory>

#include "app/observe/snapshot.h"
#include "http/server.h"

namespace weft::app {

extern const char* const page_html;

// "9009" (on loopback), "127.0.0.1:9009", "[::1]:9009", "0.0.0.0:9009". Port 0 takes a free one. Errors:
// invalid_argument, with the forms that are right.
Result<env::Address> parse_metrics_address(const std::string& text);

// Lives on the app thread. Snapshots are taken one at a time: who comes meanwhile waits for his.
class Pages {
public:
    // Errors: those of env::Network::listen.
    static Result<std::unique_ptr<Pages>> open(Sources sources, const env::Address& address);
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages();

    Task<void> stop() { return server_->stop(); }
    [[nodiscard]] env::Address address() const { return server_->address(); }

private:
    explicit Pages(Sources sources) : sources_(sources) {}
    Task<void> answer(const http::Request& request, http::Reply& reply);
    Task<Snapshot> look(const http::Reply& reply);
    Task<void> send_metrics(http::Reply& reply);
    Task<void> send_figures(http::Reply& reply);

    const Sources sources_;
    AsyncMutex looking_;  // outlives the server, whose handlers use it
    std::unique_ptr<http::Server> server_;
};

}  // namespace weft::app
