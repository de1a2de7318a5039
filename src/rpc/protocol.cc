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

Task<Response> perform(Registry& registry, Request& request) {
    if (request.refusal) co_return std::unexpected(std::move(*request.refusal));
    // Parameters have names here: an array could only be empty.
    if (request.params.is_array() && request.params.empty()) request.params = nullptr;
    co_return co_await registry.call(std::move(request.method), std::move(request.params));
}

Task<void> answer_member(Registry& registry, Json value, std::optional<Json>& reply, Gate& batch) {
    Request request = read_request(std::move(value));
    Response response = co_await perform(registry, request);
    if (!request.is_notification) reply = make_reply(std::move(request.id), std::move(response));
    batch.leave();
}

Task<std::string> answer_batch(Registry& registry, Json requests) {
    if (requests.empty()) co_return to_text(make_reply(nullptr, std::unexpected(invalid_request("an empty batch"))));
    std::vector<std::optional<Json>> replies(requests.size());
    Gate batch;
    // All enter before the first can leave.
    for (size_t at = 0; at < replies.size(); ++at) WEFT_ASSERT(batch.try_enter());
    for (size_t at = 0; at < replies.size(); ++at) {
        spawn(answer_member(registry, std::move(requests[at]), replies[at], batch));
    }
    co_await batch.close();
    Json array = Json::array();
    for (std::optional<Json>& reply : replies) {
        if (reply) array.push_back(std::move(*reply));
    }
    co_return array.empty() ? std::string() : to_text(array);
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

Task<Answer> answer(Registry& registry, std::string text, size_t reply_bytes_max) {
    auto document = parse_json_document(text, {.size_bytes_max = text.size()});
    text = std::string();  // a call may take long
    if (!document) co_return answer_to_garbage(document.error().message);
    if (document->fault) co_return Answer{.text = answer_to_fault(std::move(*document))};
    if (document->value.is_array()) {
        Answer batch{.text = co_await answer_batch(registry, std::move(document->value))};
        if (batch.text.size() > reply_bytes_max) {
            batch.text = to_text(make_reply(nullptr, fail_code(code::internal_error, "the reply is too large")));
        }
        co_return batch;
    }
    Request request = read_request(std::move(document->value));
    Response response = co_await perform(registry, request);
    if (request.is_notification) co_return Answer{};
    Answer single{.text = to_text(make_reply(request.id, std::move(response)))};
    if (single.text.size() > reply_bytes_max) {
        single.text = to_text(make_reply(request.id, fail_code(code::internal_error, "the reply is too large")));
    }
    co_return single;
}

}  // namespace weft::rpc
