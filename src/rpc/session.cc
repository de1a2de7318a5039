#include "rpc/session.h"

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

Session::Session(Server& server, std::unique_ptr<env::Stream> stream)
    : server_(server),
      connection_(server.thread_, std::move(stream), *this),
      splitter_(server.options_.request_bytes_max),
      again_(server.thread_, [](void* self) { static_cast<Session*>(self)->take_requests(); }, this) {}

Session::~Session() {
    while (SessionCall* call = calls_.pop_front()) call->session = nullptr;
}

bool Session::has_room() const {
    return calls_.size() < server_.options_.calls_max &&
           connection_.unsent_bytes() <= server_.options_.unsent_bytes_max;
}

void Session::on_received(Bytes bytes) {
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
        if (!connection_.is_receiving()) connection_.resume_receiving();
        return end_when_answered();
    }
    // While it ends we receive on, and throw away, to notice when the client has gone.
    if (ending_) {
        if (!connection_.is_receiving()) connection_.resume_receiving();
    } else {
        connection_.pause_receiving();
    }
    end_when_answered();
}

void Session::begin(std::string text) {
    spawn([](Server& server, Session& session, std::string request) -> Task<void> {
        SessionCall call(server, session);
        Answer answer = co_await rpc::answer(server.registry_, std::move(request), server.options_.reply_bytes_max);
        if (call.session != nullptr) call.session->deliver(std::move(answer));
    }(server_, *this, std::move(text)));
}

void Session::deliver(Answer answer) {
    connection_.send(std::move(answer.text));
    if (answer.close) ending_ = true;
    // Not from here: the call that is answered still counts, and this may be below take_requests().
    again_.start_after(0);
}

void Session::end() {
    ending_ = true;
    take_requests();
}

void Session::end_when_answered() {
    if (ending_ && calls_.empty()) connection_.close_when_sent();
}

}  // namespace weft::rpc
