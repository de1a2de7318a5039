#include "rpc/client.h"

#include <fmt/format.h>

#include "base/log.h"
#include "net/connect.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::rpc {

// A call that waits for its answer; lives in its coroutine's frame.
struct Client::Pending {
    WaitList answered;
    std::optional<Response> response;
    Timer timer;

    explicit Pending(Thread& thread)
        : timer(
              thread, [](void* self) { static_cast<Pending*>(self)->finish(fail(Errc::timed_out, "no answer")); },
              this) {}

    void finish(Response outcome) {
        if (response) return;
        response.emplace(std::move(outcome));
        answered.wake_all();
    }
};

Task<Result<std::unique_ptr<Client>>> Client::connect(env::Address address, env::TimeNs timeout) {
    auto stream = co_await net::connect(std::move(address), {}, timeout);
    if (!stream) co_return std::unexpected(std::move(stream).error());
    std::unique_ptr<Client> client(new Client());
    client->channel_ = std::make_unique<net::Connection>(Thread::current(), std::move(*stream), client->user());
    WEFT_CO_TRY(client->channel_->start());
    co_return client;
}

Task<Result<std::unique_ptr<Client>>> Client::connect(env::Address address, const net::TlsContext& context,
                                                      std::string name, env::TimeNs timeout) {
    auto stream = co_await net::connect(std::move(address), {}, timeout);
    if (!stream) co_return std::unexpected(std::move(stream).error());
    std::unique_ptr<Client> client(new Client());
    client->channel_ = std::make_unique<net::TlsConnection>(Thread::current(), std::move(*stream), client->user(),
                                                            context, client->handshakes_, name);
    WEFT_CO_TRY(client->channel_->start());
    while (!client->channel_->is_ready() && client->connected_) co_await client->changed_.wait();
    if (client->connected_) co_return client;
    co_await client->handshakes_.close();
    co_return std::unexpected(client->failure());
}

Client::Client() : splitter_(large_json_limits.size_bytes_max, 64) {}

Client::~Client() { WEFT_ASSERT(pending_.empty()); }

// Why there is no connection any more.
Error Client::failure() const {
    const Error* const failure = channel_->failure();
    return failure != nullptr ? *failure : Error{Errc::connection_lost, "the connection was lost"};
}

Task<Response> Client::request(std::string method, Json params, env::TimeNs timeout) {
    if (!connected_) co_return std::unexpected(failure());
    const uint64_t id = next_id_++;
    Json request = {{"jsonrpc", "2.0"}, {"id", id}, {"method", std::move(method)}};
    if (!params.is_null()) request["params"] = std::move(params);
    channel_->send(dump_json(request) + "\n");

    Pending pending(Thread::current());
    pending_.emplace(id, &pending);
    pending.timer.start_after(timeout);
    while (!pending.response) co_await pending.answered.wait();
    pending.timer.stop();
    pending_.erase(id);
    co_return std::move(*pending.response);
}

Task<Result<Json>> Client::call(std::string method, Json params, env::TimeNs timeout) {
    Response response = co_await request(std::move(method), std::move(params), timeout);
    if (!response) co_return std::unexpected(to_error(std::move(response).error()));
    co_return std::move(*response);
}

void Client::on_received(Bytes bytes) {
    splitter_.append(text_of(bytes));
    for (;;) {
        auto text = splitter_.next();
        if (text && !text->has_value()) return;
        if (!text) {
            fail_all(std::move(text).error());
            channel_->close();
            return;
        }
        take_reply(**text);
    }
}

void Client::take_reply(const std::string& text) {
    auto reply = parse_json(text, large_json_limits);
    if (!reply || !reply->is_object()) {
        fail_all(reply ? Error{Errc::protocol_error, "the answer is not an object"} : std::move(reply).error());
        channel_->close();
        return;
    }
    const auto id = reply->find("id");
    const auto error = reply->find("error");
    const auto result = reply->find("result");
    Response response = fail(Errc::protocol_error, "the answer has neither result nor error");
    if (error != reply->end() && error->is_object()) {
        const auto number = error->find("code");
        const auto message = error->find("message");
        response = fail_code(number != error->end() && number->is_number_integer() ? number->get<int>() : 0,
                             message != error->end() && message->is_string() ? message->get<std::string>() : "");
    } else if (result != reply->end()) {
        response = std::move(*result);
    }
    if (id != reply->end() && id->is_number_unsigned()) {
        // An answer that comes after its time is not missed.
        const auto waiting = pending_.find(id->get<uint64_t>());
        if (waiting != pending_.end()) waiting->second->finish(std::move(response));
    } else if (!response) {
        // Without an id: the server could not tell whose call it was. Nobody would be told otherwise.
        for (const auto& [number, waiting] : pending_) waiting->finish(response);
    }
}

void Client::fail_all(const Error& error) {
    connected_ = false;
    for (const auto& [number, waiting] : pending_) waiting->finish(std::unexpected(error));
}

void Client::on_end() {
    fail_all({Errc::connection_lost, "the server closed the connection"});
    channel_->close();
}

void Client::on_closed() {
    fail_all(failure());
    changed_.wake_all();
}

}  // namespace weft::rpc
