#include "rpc/session.h"

#include <fmt/format.h>

#include "base/log.h"
#include "net/connection.h"
#include "reactor/reactor.h"

namespace weft::rpc {

SessionCall::SessionCall(Server& of_server, Session& of_session) : server(&of_server), session(&of_session) {
    server->calls_.push_back(*this);
    session->calls_.push_back(*this);
}

SessionCall::~SessionCall() {
    if (session != nullptr) session->calls_.remove(*this);
    if (server != nullptr) {
        server->calls_.remove(*this);
        server->note_change();
    }
}

namespace {

// Of a path the system tells who it is, of a TCP port only where it is.
Caller local_caller(env::Stream& stream) {
    Caller caller{.role = Role::admin, .name = {}, .address = env::to_string(stream.peer_address())};
    if (const auto peer = stream.peer_process()) {
        caller.name = fmt::format("uid {}, pid {}", peer->user, peer->process);
        caller.address = env::to_string(stream.local_address());
    }
    return caller;
}

std::unique_ptr<net::Channel> open_channel(Admission* admission, Thread& thread, std::unique_ptr<env::Stream> stream,
                                           net::ConnectionUser& user) {
    if (admission != nullptr) return admission->open(thread, std::move(stream), user);
    return std::make_unique<net::Connection>(thread, std::move(stream), user);
}

}  // namespace

Session::Session(Server& server, std::unique_ptr<env::Stream> stream)
    : server_(server),
      channel_(open_channel(server.options_.admission, server.thread_, std::move(stream), *this)),
      local_(server.options_.admission == nullptr ? local_caller(channel_->stream()) : Caller{.role = Role::none}),
      splitter_(server.options_.request_bytes_max),
      again_(server.thread_, [](void* self) { static_cast<Session*>(self)->take_requests(); }, this) {
    last_active_ = server.thread_.reactor().now();
}

Session::~Session() {
    while (SessionCall* call = calls_.pop_front()) call->session = nullptr;
}

bool Session::has_room() const {
    return calls_.size() < server_.options_.calls_max && channel_->unsent_bytes() <= server_.options_.unsent_bytes_max;
}

void Session::on_received(Bytes bytes) {
    last_active_ = server_.thread_.reactor().now();
    if (ending_) return;
    splitter_.append(text_of(bytes));
    take_requests();
}

void Session::on_end() {
    peer_ended_ = true;
    take_requests();
}

// Begins what the buffer holds, as far as there is room; what is left waits, and so does the client.
void Session::take_requests() {
    for (uint32_t count = 0; !ending_ && has_room(); ++count) {
        if (count == requests_per_turn) {
            again_.start_after(0);
            break;
        }
        auto text = splitter_.next(peer_ended_);
        if (!text) {
            deliver(answer_to_garbage(text.error().message));
            break;
        }
        if (text->has_value()) {
            begin(std::move(**text));
            continue;
        }
        if (peer_ended_) {
            if (splitter_.is_inside_value()) deliver(answer_to_garbage("it ends in the middle"));
            ending_ = true;
        }
        if (!channel_->is_receiving()) channel_->resume_receiving();
        return end_when_answered();
    }
    // While it ends we receive on, and throw away, to notice when the client has gone.
    if (ending_) {
        if (!channel_->is_receiving()) channel_->resume_receiving();
    } else {
        channel_->pause_receiving();
    }
    end_when_answered();
}

// Asked for each call: what a client may do can change while it is connected.
Caller Session::caller() const {
    const Admission* const admission = server_.options_.admission;
    return admission == nullptr ? local_ : admission->caller_of(*channel_);
}

void Session::close() {
    is_closed_ = true;
    channel_->close();
}

void Session::on_closed() {
    if (const Error* const failure = channel_->failure()) {
        WEFT_WARNLOG("RPC client {}: {}", env::to_string(channel_->stream().peer_address()), failure->message);
    }
    server_.on_session_closed(*this);
}

void Session::begin(std::string text) {
    spawn([](Server& server, Session& session, std::string request) -> Task<void> {
        SessionCall call(server, session);
        const Caller who = session.caller();
        Answer answer =
            co_await rpc::answer(server.registry_, std::move(request), server.options_.reply_bytes_max, who);
        if (call.session != nullptr) call.session->deliver(std::move(answer));
    }(server_, *this, std::move(text)));
}

void Session::deliver(Answer answer) {
    last_active_ = server_.thread_.reactor().now();
    channel_->send(std::move(answer.text));
    if (answer.close) ending_ = true;
    // Not from here: the call that is answered still counts, and this may be below take_requests().
    again_.start_after(0);
}

void Session::end() {
    ending_ = true;
    take_requests();
}

void Session::end_when_answered() {
    if (ending_ && calls_.empty()) channel_->close_when_sent();
}

}  // namespace weft::rpc
