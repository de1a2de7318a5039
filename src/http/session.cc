#include "http/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "reactor/reactor.h"

namespace weft::http {

namespace {

// What browsers shall do with our answers: run nothing, send nothing, keep nothing.
constexpr std::string_view safety_headers =
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n";
constexpr std::string_view default_policy = "Content-Security-Policy: default-src 'none'\r\n";

}  // namespace

Session::Session(Server& server, std::unique_ptr<env::Stream> stream)
    : server_(server),
      connection_(server.thread_, std::move(stream), *this),
      timer_(server.thread_, [](void* self) { static_cast<Session*>(self)->on_timeout(); }, this) {}

Session::~Session() {
    while (Reply* reply = replies_.pop_front()) reply->session_ = nullptr;
    sent_.wake_all();
}

Result<void> Session::start() {
    set_timeout();
    return connection_.start();
}

void Session::set_timeout() {
    if (connection_.unsent_bytes() > 0) {
        const env::TimeNs now = server_.thread_.reactor().now();
        timer_.start_at(std::min(now + server_.options_.send_timeout, answer_began_ + server_.options_.answer_timeout));
    } else if (is_answering_) {
        timer_.stop();  // it is our turn
    } else {
        timer_.start_after(received_.empty() ? server_.options_.idle_timeout : server_.options_.head_timeout);
    }
}

void Session::on_timeout() {
    if (is_answering_ || is_ending_ || received_.empty()) return connection_.close();
    refuse({408, "the request did not come to its end in time"});
}

void Session::on_received(Bytes bytes) {
    if (is_ending_) return;
    const bool is_first = received_.empty();
    received_ += text_of(bytes);
    take_request();
    if (is_first && !is_answering_ && !is_ending_) set_timeout();
}

void Session::on_end() {
    is_ending_ = true;
    if (!is_answering_) connection_.close_when_sent();
}

void Session::on_sent() {
    set_timeout();
    if (!is_behind()) sent_.wake_all();
}

bool Session::is_behind() const { return connection_.unsent_bytes() > server_.options_.unsent_bytes_max; }

void Session::on_closed() { server_.on_closed(*this); }

// Answers what the buffer holds, one after another. A handler may be done before it returns here.
void Session::take_request() {
    while (!is_answering_ && !is_ending_ && !received_.empty()) {
        auto outcome = parse_request(received_);
        if (std::holds_alternative<NeedMore>(outcome)) return;
        if (const auto* refused = std::get_if<Refused>(&outcome)) return refuse(*refused);
        auto& parsed = std::get<Parsed>(outcome);
        received_.erase(0, parsed.bytes);
        if (!is_for_us(parsed.request.host)) {
            return refuse({421, "only requests to an IP address or to localhost are answered here"});
        }
        request_ = parsed.request;
        is_answering_ = true;
        answer_began_ = server_.thread_.reactor().now();
        connection_.pause_receiving();
        spawn(answer(server_, *this, std::move(parsed.request)));
    }
}

Task<void> Session::answer(Server& server, Session& session, Request request) {
    ++server.handlers_running_;
    {
        Reply reply(session);
        co_await server.handler_(request, reply);
        if (Session* still = reply.session_) still->reply_over();
    }
    if (--server.handlers_running_ == 0) server.handlers_ended_.wake_all();
}

void Session::reply_over() {
    is_answering_ = false;
    if (!request_.keeps_alive) is_ending_ = true;
    connection_.resume_receiving();
    if (is_ending_) return connection_.close_when_sent();
    set_timeout();
    // From the loop: take_request() may be who called.
    spawn([](Server& server, Session& session) -> Task<void> {
        Reply alive(session);  // knows when the session goes
        ++server.handlers_running_;
        co_await yield();
        if (Session* still = alive.session_) still->take_request();
        if (--server.handlers_running_ == 0) server.handlers_ended_.wake_all();
    }(server_, *this));
}

void Session::refuse(const Refused& refused) {
    is_ending_ = true;
    answer_began_ = server_.thread_.reactor().now();
    request_ = {};
    received_.clear();
    const std::string body = fmt::format("{} {}: {}\n", refused.status, reason_of(refused.status), refused.why);
    const std::string headers =
        fmt::format("{}Content-Length: {}\r\n", refused.status == 405 ? "Allow: GET, HEAD\r\n" : "", body.size());
    send_head(refused.status, "text/plain; charset=utf-8", headers);
    connection_.send(body);
    set_timeout();
    connection_.close_when_sent();
}

void Session::send_head(int status, std::string_view type, std::string_view headers) {
    const bool has_policy = headers.find("Content-Security-Policy:") != std::string_view::npos;
    connection_.send(fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n{}{}{}{}\r\n", status, reason_of(status), type,
                                 headers, has_policy ? "" : default_policy, safety_headers,
                                 request_.keeps_alive ? "" : "Connection: close\r\n"));
    set_timeout();
}

bool Session::is_for_us(std::string_view host) const {
    if (!server_.options_.is_local || host.empty()) return true;
    const size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
        host = host.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return host == "localhost" || env::parse_ip(std::string(host), 1).has_value();
}

Reply::Reply(Session& session) : session_(&session) { session.replies_.push_back(*this); }

Reply::~Reply() {
    if (session_ != nullptr) session_->replies_.remove(*this);
}

void Reply::send(int status, std::string_view type, std::string_view body, std::string_view headers) {
    if (session_ == nullptr) return;
    session_->send_head(status, type, fmt::format("{}Content-Length: {}\r\n", headers, body.size()));
    if (session_->request_.method != "HEAD") session_->connection_.send(std::string(body));
}

void Reply::begin(std::string_view type) {
    if (session_ == nullptr) return;
    is_chunked_ = session_->request_.is_version_1_1;
    has_body_ = session_->request_.method != "HEAD";
    if (!is_chunked_) session_->request_.keeps_alive = false;  // the end of the connection is the end of the body
    session_->send_head(200, type, is_chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
}

Task<bool> Reply::write(std::string piece) {
    if (session_ == nullptr) co_return false;
    if (!has_body_ || piece.empty()) co_return has_body_;
    if (is_chunked_) piece = fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    session_->connection_.send(std::move(piece));
    session_->set_timeout();
    while (session_ != nullptr && session_->is_behind()) co_await session_->sent_.wait();
    co_return session_ != nullptr;
}

void Reply::end() {
    if (session_ != nullptr && has_body_ && is_chunked_) session_->connection_.send("0\r\n\r\n");
}

}  // namespace weft::http
