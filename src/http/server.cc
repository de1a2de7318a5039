#include "http/server.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "http/session.h"
#include "reactor/reactor.h"

namespace weft::http {

Server::Server(ServerOptions options, Handler handler)
    : options_(std::move(options)), handler_(std::move(handler)), thread_(Thread::current()) {}

Server::~Server() {
    WEFT_ASSERT(thread_.is_current() && handlers_running_ == 0);
    acceptor_.reset();
    sessions_.clear();
}

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, Handler handler) {
    std::unique_ptr<Server> server(new Server(std::move(options), std::move(handler)));
    auto acceptor = net::Acceptor::listen(
        server->thread_, server->options_.address, {},
        [self = server.get()](std::unique_ptr<env::Stream> stream) { self->on_accepted(std::move(stream)); });
    if (!acceptor) return std::unexpected(std::move(acceptor).error());
    server->acceptor_ = std::move(*acceptor);
    return server;
}

void Server::on_accepted(std::unique_ptr<env::Stream> stream) {
    if (sessions_.size() >= options_.connections_max && !close_an_idle_one()) {
        acceptor_->pause();  // and this one is dropped: those that are being answered go on
        return;
    }
    auto session = std::make_unique<Session>(*this, std::move(stream));
    if (const auto started = session->start(); !started) {
        WEFT_WARNLOG("HTTP connection dropped: {}", started.error().message);
        return;
    }
    sessions_.push_back(std::move(session));
}

bool Server::close_an_idle_one() {
    const auto idle = std::ranges::find_if(sessions_, [](const auto& session) { return session->is_idle(); });
    if (idle == sessions_.end()) return false;
    (*idle)->close();  // it dies in its on_closed(); until then there is one more than there should be
    return true;
}

// The last thing that a session does: it dies here.
void Server::on_closed(Session& session) {
    std::erase_if(sessions_, [&session](const auto& owned) { return owned.get() == &session; });
    if (!is_stopping_ && sessions_.size() < options_.connections_max) acceptor_->resume();
}

Task<void> Server::stop() {
    is_stopping_ = true;
    acceptor_->close();
    sessions_.clear();  // handlers find out when they write
    while (handlers_running_ > 0) co_await handlers_ended_.wait();
}

}  // namespace weft::http
