#include "rpc/server.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "reactor/reactor.h"
#include "rpc/session.h"

namespace weft::rpc {

namespace {

std::string lock_path(const env::Address& address) { return address.host + ".lock"; }

Error in_use(const env::Address& address) {
    const bool is_path = address.family == env::Family::unix_path;
    return {Errc::address_in_use,
            is_path
                ? fmt::format("address in use: another target listens on {}; stop it or give another -r", address.host)
                : fmt::format("address in use: another program listens on {}", env::to_string(address))};
}

// A socket's mode keeps others out; this is for one whose mode somebody widened, and for a descriptor handed on.
bool may_call(const env::Stream& stream, const env::Environment& environment) {
    const auto peer = stream.peer_process();
    if (peer && (peer->user == 0 || peer->user == environment.user_id())) return true;
    WEFT_WARNLOG(
        "RPC: a client of user {} (process {}) is refused: only root and user {}, whom this target runs as, may "
        "call",
        peer ? fmt::to_string(peer->user) : "unknown", peer ? peer->process : 0, environment.user_id());
    return false;
}

bool is_loopback(const env::Address& address) {
    return address.family == env::Family::unix_path || address.host == "::1" || address.host.starts_with("127.");
}

}  // namespace

Server::Server(Registry& registry, ServerOptions options)
    : registry_(registry),
      options_(std::move(options)),
      thread_(Thread::current()),
      room_(thread_, [](void* self) { static_cast<Server*>(self)->look_for_room(); }, this) {}

Server::~Server() {
    WEFT_ASSERT(thread_.is_current());
    acceptor_.reset();
    sessions_.clear();
    while (SessionCall* call = calls_.pop_front()) call->server = nullptr;
}

Task<Result<std::unique_ptr<Server>>> Server::listen(Registry& registry, ServerOptions options) {
    std::unique_ptr<Server> server(new Server(registry, std::move(options)));
    const env::Address& address = server->options_.address;
    env::Environment& environment = server->thread_.reactor().environment();
    // The lock tells a target that is just starting or stopping from one that left its socket behind.
    if (address.family == env::Family::unix_path) {
        auto opened = co_await offload([&environment, path = lock_path(address)] {
            return environment.files().open(path, {.create = true, .exclusive = true});
        });
        if (!opened) {
            if (opened.error().code == Errc::busy) co_return std::unexpected(in_use(address));
            co_return fail(opened.error().code,
                           fmt::format("cannot lock {}: {}", lock_path(address), opened.error().message));
        }
        server->lock_ = std::move(*opened);
    }
    if (server->options_.admission == nullptr && !is_loopback(address)) {
        WEFT_WARNLOG("RPC on {}: anybody who can reach this address controls the target", env::to_string(address));
    }
    auto acceptor = net::Acceptor::listen(
        server->thread_, address, {.path_mode = 0600},
        [self = server.get()](std::unique_ptr<env::Stream> stream) { self->on_accepted(std::move(stream)); });
    if (!acceptor) {
        const bool is_taken = acceptor.error().code == Errc::address_in_use;
        co_await server->remove_files();
        co_return std::unexpected(is_taken ? in_use(address) : std::move(acceptor).error());
    }
    server->acceptor_ = std::move(*acceptor);
    co_return server;
}

env::Address Server::address() const { return acceptor_ == nullptr ? options_.address : acceptor_->local_address(); }

void Server::on_accepted(std::unique_ptr<env::Stream> stream) {
    const bool is_path = options_.address.family == env::Family::unix_path;
    if (is_path && !may_call(*stream, thread_.reactor().environment())) return;
    auto session = std::make_unique<Session>(*this, std::move(stream));
    if (const auto started = session->start(); !started) {
        WEFT_WARNLOG("RPC connection dropped: {}", started.error().message);
        return;
    }
    sessions_.push_back(std::move(session));
    look_for_room();
}

void Server::look_for_room() {
    if (stopping_ || sessions_.size() < options_.connections_max || make_room()) return;
    acceptor_->pause();
    room_.start_after(options_.idle_min);
}

// Who has not proved who it is must not keep those out who can, nor who says nothing those who have something to say.
// It dies in its on_closed(); until then there is one more than there should be.
bool Server::make_room() {
    const env::TimeNs now = thread_.reactor().now();
    Session* out = nullptr;
    for (const auto& session : sessions_) {
        if (session->is_stranger()) {
            out = session.get();
            break;
        }
        if (!session->is_idle() || now - session->last_active() < options_.idle_min) continue;
        if (out == nullptr || session->last_active() < out->last_active()) out = session.get();
    }
    if (out == nullptr) return false;
    if (!out->is_stranger()) WEFT_NOTICELOG("RPC: too many clients, the one that is idle for the longest is closed");
    out->close();
    return true;
}

// The last thing that a session does: it dies here.
void Server::on_session_closed(Session& session) {
    std::erase_if(sessions_, [&session](const auto& owned) { return owned.get() == &session; });
    if (!stopping_ && sessions_.size() < options_.connections_max) acceptor_->resume();
    note_change();
}

void Server::note_change() {
    if (stopping_) changed_.wake_all();
}

Task<void> Server::stop() {
    WEFT_ASSERT(thread_.is_current());
    if (stopping_) co_return;
    stopping_ = true;
    room_.stop();
    if (acceptor_ != nullptr) acceptor_->close();
    for (const auto& session : sessions_) session->end();

    bool is_late = false;
    struct Late {
        WaitList& waiting;
        bool& is_late;
    } late{changed_, is_late};
    Timer timer(
        thread_,
        [](void* context) {
            auto* fired = static_cast<Late*>(context);
            fired->is_late = true;
            fired->waiting.wake_all();
        },
        &late);
    timer.start_after(options_.stop_timeout);
    while (!is_late && (!calls_.empty() || !sessions_.empty())) co_await changed_.wait();
    timer.stop();

    if (!calls_.empty()) WEFT_WARNLOG("RPC server stops while {} calls have not ended", calls_.size());
    sessions_.clear();
    co_await remove_files();
}

Task<void> Server::remove_files() {
    acceptor_.reset();  // removes the socket file
    if (lock_ == nullptr) co_return;
    env::Environment& environment = thread_.reactor().environment();
    // The lock is held until its file is gone, so that we never remove another target's.
    co_await offload([&environment, path = lock_path(options_.address)] { return environment.files().remove(path); });
    lock_.reset();
}

}  // namespace weft::rpc
