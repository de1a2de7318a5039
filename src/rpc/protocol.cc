#include "rpc/protocol.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "base/log.h"
#include "rpc/json.h"

namespace weft::rpc {

namespace {

struct Request {
    Json id;                  // null when there was none, or none that can be echoed
    bool is_notification = false;
    std::string method;
    Json params;
    std::optional<RpcError> refusal;
};

Json make_reply(Json id, Response response) {
    Json reply = Json::object();
    reply["jsonrpc"] = "2.0";
    reply["id"] = std::move(id);
    if (response) {
        reply["result"] = std::move(*response);
    } else {
        reply["error"] = {{"code", response.error().code}, {"message", std::move(response.error().message)}};
    }
    return reply;
}

std::string to_text(const Json& reply) { return dump_json(reply) + "\n"; }

RpcError invalid_request(std::string_view reason) {
    return {code::invalid_request, fmt::format("Invalid request: {}", reason)};
}

// Why `id` cannot be one; empty when it can.
std::string_view objection_to_id(const Json& id) {
    if (id.is_string() && id.get_ref<const std::string&>().size() > id_bytes_max) return "id of more than 128 bytes";
    if (id.is_string() || id.is_number() || id.is_null()) return {};
    return "id must be a string, a number or null";
}

// Takes `value` apart. What is wrong with it ends up in `refusal`, and the id is kept whenever there is a good one.
Request read_request(Json value) {
    Request request;
    if (!value.is_object()) {
        request.refusal = invalid_request("not an object");
        return request;
    }
    const auto refuse = [&request](std::string_view reason) {
        if (!request.refusal) request.refusal = invalid_request(reason);
    };
    request.is_notification = true;
    bool has_version = false;
    bool has_method = false;
    for (auto& [name, member] : value.items()) {
        if (name == "id") {
            request.is_notification = false;
            const std::string_view objection = objection_to_id(member);
            if (objection.empty()) {
                request.id = std::move(member);
            } else {
                refuse(objection);
            }
        } else if (name == "jsonrpc") {
            has_version = member == "2.0";
        } else if (name == "method") {
            has_method = member.is_string();
            if (has_method) request.method = std::move(member.get_ref<std::string&>());
        } else if (name == "params") {
            if (member.is_structured() || member.is_null()) {
                request.params = std::move(member);
            } else {
                refuse("params must be an object or an array");
            }
        } else {
            refuse(fmt::format("no such member: {}", log::quoted(name, 64)));
        }
    }
    if (!has_version) refuse("\"jsonrpc\" must be \"2.0\"");
    if (!has_method) refuse("\"method\" must be a string");
    // Without an answer nobody would learn what is wrong; the id is null then (JSON-RPC 2.0, section 5).
    if (request.refusal) request.is_notification = false;
    return request;
}

Task<Response> perform(Registry& registry, Request& request, const Caller& who) {
    if (request.refusal) co_return std::unexpected(std::move(*request.refusal));
    // Parameters have names here: an array could only be empty.
    if (request.params.is_array() && request.params.empty()) request.params = nullptr;
    co_return co_await registry.call(std::move(request.method), std::move(request.params), CallOf::client, who);
}

std::string too_large(Json id) {
    return to_text(make_reply(std::move(id), fail_code(code::internal_error, "the reply is too large")));
}

// What a batch is answered, as it comes in. Kept as text, and no more of it than may be sent: there may be a thousand
// calls in a batch.
class BatchReplies {
public:
    BatchReplies(size_t count, size_t bytes_max) : texts_(count), bytes_left_(bytes_max) {
        // All enter before the first can leave.
        for (size_t at = 0; at < count; ++at) WEFT_ASSERT(running_.try_enter());
    }

    // Call number `at` is done; `text` is empty for a notification.
    void done(size_t at, std::string text) {
        if (!is_too_large_ && text.size() > bytes_left_) {
            is_too_large_ = true;
            texts_.clear();
        }
        if (!is_too_large_) {
            bytes_left_ -= text.size();
            texts_[at] = std::move(text);
        }
        running_.leave();
    }
    Task<void> all_done() { return running_.close(); }
    [[nodiscard]] bool is_too_large() const { return is_too_large_; }

    // The array; empty when there were notifications only.
    [[nodiscard]] std::string joined() const {
        std::string list;
        for (const std::string& text : texts_) {
            if (text.empty()) continue;
            list += list.empty() ? '[' : ',';
            list += text;
        }
        return list.empty() ? list : list + "]\n";
    }

private:
    std::vector<std::string> texts_;
    size_t bytes_left_;
    bool is_too_large_ = false;
    Gate running_;
};

Task<void> answer_member(Registry& registry, Json value, BatchReplies& batch, size_t at, const Caller& who) {
    Request request = read_request(std::move(value));
    Response response = co_await perform(registry, request, who);
    std::string text;
    if (!request.is_notification) text = dump_json(make_reply(std::move(request.id), std::move(response)));
    batch.done(at, std::move(text));
}

Task<std::string> answer_batch(Registry& registry, Json requests, size_t reply_bytes_max, const Caller& who) {
    if (requests.empty()) co_return to_text(make_reply(nullptr, std::unexpected(invalid_request("an empty batch"))));
    BatchReplies replies(requests.size(), reply_bytes_max);
    for (size_t at = 0; at < requests.size(); ++at) {
        spawn(answer_member(registry, std::move(requests[at]), replies, at, who));
    }
    co_await replies.all_done();
    co_return replies.is_too_large() ? too_large(nullptr) : replies.joined();
}

// The text is JSON, but not as we take it; `value` is its outline.
std::string answer_to_fault(JsonDocument document) {
    Request request = read_request(std::move(document.value));
    if (document.fault_member == "params") {
        if (!request.refusal) request.refusal = RpcError(code::invalid_params, std::move(*document.fault));
    } else {
        request.refusal = invalid_request(*document.fault);
    }
    if (document.fault_member == "id") request.id = nullptr;
    return to_text(make_reply(std::move(request.id), std::unexpected(std::move(*request.refusal))));
}

}  // namespace

Answer answer_to_garbage(const std::string& reason) {
    return {.text = to_text(make_reply(nullptr, fail_code(code::parse_error, "Parse error: " + reason))),
            .close = true};
}

Task<Answer> answer(Registry& registry, std::string text, size_t reply_bytes_max, const Caller& who) {
    auto document = parse_json_document(text, {.size_bytes_max = text.size()});
    text = std::string();  // a call may take long
    if (!document) co_return answer_to_garbage(document.error().message);
    if (document->fault) co_return Answer{.text = answer_to_fault(std::move(*document))};
    if (document->value.is_array()) {
        co_return Answer{.text = co_await answer_batch(registry, std::move(document->value), reply_bytes_max, who)};
    }
    Request request = read_request(std::move(document->value));
    Response response = co_await perform(registry, request, who);
    if (request.is_notification) co_return Answer{};
    Answer single{.text = to_text(make_reply(request.id, std::move(response)))};
    if (single.text.size() > reply_bytes_max) single.text = too_large(std::move(request.id));
    co_return single;
}

}  // namespace weft::rpc
