// Any bytes, in any pieces, through splitter, parser, decoder and registry: what a client can do to a server.
// Every complete value gets exactly one answer, unless it only notifies, and every answer is JSON-RPC.
#include <string>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/example_methods.h"
#include "rpc/json_splitter.h"
#include "rpc/protocol.h"

namespace weft::rpc {

namespace {

constexpr size_t request_bytes_max = 4096;
constexpr size_t reply_bytes_max = 65536;

bool is_reply(const Json& reply) {
    if (!reply.is_object() || reply.size() != 3 || reply.value("jsonrpc", "") != "2.0" || !reply.contains("id"))
        return false;
    const Json& id = reply["id"];
    if (!id.is_null() && !id.is_number() && !id.is_string()) return false;
    if (reply.contains("result")) return true;
    return reply.contains("error") && reply["error"]["code"].is_number_integer() &&
           reply["error"]["message"].is_string();
}

// A request that must be answered: it has an id, or is none.
bool wants_answer(const Json& request) { return !request.is_object() || request.contains("id"); }

void check(const std::string& text, const Answer& answered) {
    const auto request = parse_json_document(text, {.size_bytes_max = text.size()});
    WEFT_ASSERT(answered.close == !request);
    if (answered.text.empty()) {
        WEFT_ASSERT(request && !request->fault);
        WEFT_ASSERT(request->value.is_array() || !wants_answer(request->value));
        return;
    }
    WEFT_ASSERT(answered.text.ends_with('\n'));
    const auto reply = parse_json(answered.text, large_json_limits);
    WEFT_ASSERT(reply.has_value());
    if (!reply->is_array()) {
        WEFT_ASSERT(is_reply(*reply));
        const bool echoes = request && !request->fault && request->value.is_object() && !(*reply)["id"].is_null();
        if (echoes) WEFT_ASSERT((*reply)["id"] == request->value["id"]);
        return;
    }
    WEFT_ASSERT(request->value.is_array() && !reply->empty() && reply->size() <= request->value.size());
    size_t wanted = 0;
    for (const Json& member : request->value) wanted += wants_answer(member) ? 1 : 0;
    WEFT_ASSERT(reply->size() >= wanted);
    for (const Json& member : *reply) WEFT_ASSERT(is_reply(member));
}

// Before an input's second byte is read, its first says how large the pieces are and what state the target is in.
void run(std::string_view input) {
    Registry registry;
    example::add_example_methods(registry);
    const auto first = static_cast<unsigned char>(input[0]);
    if ((first & 1) != 0) registry.set_state(runtime);
    const size_t piece = first / 2 == 0 ? input.size() : first / 2;
    input.remove_prefix(1);

    JsonSplitter splitter(request_bytes_max);
    while (!input.empty()) {
        splitter.append(input.substr(0, piece));
        input.remove_prefix(std::min(piece, input.size()));
        for (;;) {
            auto text = splitter.next(input.empty());
            WEFT_ASSERT(splitter.buffered_bytes() <= request_bytes_max + 65536);
            if (!text) {
                check(std::string(), answer_to_garbage(text.error().message));
                return;
            }
            if (!text->has_value()) break;
            WEFT_ASSERT(!(*text)->empty() && (*text)->size() <= request_bytes_max);
            check(**text, example::run_now(answer(registry, **text, reply_bytes_max)));
        }
    }
}

}  // namespace

}  // namespace weft::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    weft::log::set_sink([](weft::log::Level, std::string_view) {});
    if (size > 0 && size <= 65536) weft::rpc::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
