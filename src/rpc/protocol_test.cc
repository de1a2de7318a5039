// The catalogue of bad requests, and batches.
#include "rpc/protocol.h"

#include <gtest/gtest.h>

#include "rpc/example_methods.h"

namespace weft::rpc {

namespace {

using example::run_now;

class ProtocolTest : public testing::Test {
protected:
    ProtocolTest() {
        example::add_example_methods(registry);
        registry.set_state(runtime);
    }
    Answer ask(std::string text) { return run_now(answer(registry, std::move(text), size_t{1} << 20)); }
    // The code of the error and the id that came with it: "-32600 null".
    std::string error_of(std::string text) {
        const auto reply = parse_json(ask(std::move(text)).text);
        if (!reply || !reply->is_object() || !reply->contains("error")) return "no error";
        EXPECT_EQ((*reply)["jsonrpc"], "2.0");
        EXPECT_FALSE((*reply)["error"]["message"].get<std::string>().empty());
        return dump_json((*reply)["error"]["code"]) + " " + dump_json((*reply)["id"]);
    }
    Registry registry;
};

std::string call_text(std::string_view method, std::string_view params) {
    std::string text = R"({"jsonrpc":"2.0","id":1,"method":")";
    text.append(method).append(R"(","params":)").append(params).append("}");
    return text;
}

struct Case {
    const char* name;
    std::string text;
    const char* expected;
};

std::string many_values() {
    std::string list = "[0";
    for (int at = 1; at < 10'001; ++at) list += ",0";
    return list + "]";
}

std::vector<Case> catalogue() {
    const std::string method_with_nul = R"({"jsonrpc":"2.0","id":1,"method":"echo\u0000x","params":{"value":1}})";
    const std::string blocks = R"(,"block_size":512})";
    return {
        {"J02 not_json", "hello\n", "-32700 null"},
        {"J06 scalar", "42", "-32600 null"},
        {"scalar string", "\"x\"", "-32600 null"},
        {"J08 method_number", R"({"jsonrpc":"2.0","id":1,"method":5})", "-32600 1"},
        {"method_absent", R"({"jsonrpc":"2.0","id":"a"})", "-32600 \"a\""},
        {"J10 method_with_nul", method_with_nul, "-32601 1"},
        {"J12 version_absent", R"({"id":1,"method":"echo","params":{"value":1}})", "-32600 1"},
        {"version_number", R"({"jsonrpc":2.0,"id":1,"method":"echo","params":{"value":1}})", "-32600 1"},
        {"J14 id_string_4k", R"({"jsonrpc":"2.0","id":")" + std::string(4096, 'i') + R"(","method":"x"})",
         "-32600 null"},
        {"id_string_129", R"({"jsonrpc":"2.0","id":")" + std::string(129, 'i') + R"(","method":"x"})", "-32600 null"},
        {"id_object", R"({"jsonrpc":"2.0","id":{},"method":"rpc_get_methods"})", "-32600 null"},
        {"id_bool", R"({"jsonrpc":"2.0","id":true,"method":"rpc_get_methods"})", "-32600 null"},
        {"id_overflow", R"({"jsonrpc":"2.0","id":18446744073709551616,"method":"rpc_get_methods"})", "-32600 null"},
        {"J16 params_string", call_text("echo", "\"x\""), "-32600 1"},
        {"params_list", call_text("echo", "[1]"), "-32602 1"},
        {"J18 number_overflow", call_text("bdev_malloc_create", R"({"num_blocks":18446744073709551616)" + blocks),
         "-32602 1"},
        {"J20 number_huge_alloc", call_text("bdev_malloc_create", R"({"num_blocks":4503599627370496)" + blocks),
         "-12 1"},
        {"J22 invalid_utf8", call_text("ech\xFF", "{}"), "-32700 null"},
        {"J24 nesting_100000", std::string(100'000, '['), "-32700 null"},
        {"nesting_closed", std::string(100'000, '[') + std::string(100'000, ']'), "-32700 null"},
        {"J26 values_10001", call_text("echo", many_values()), "-32602 1"},
        {"values_in_member", R"({"jsonrpc":"2.0","id":1,"method":"echo","extra":)" + many_values() + "}", "-32600 1"},
        {"batch_of_too_many", "[" + many_values() + "]", "-32600 null"},
        {"J36 nqn_224",
         call_text("nvmf_subsystem_add_listener",
                   R"({"nqn":")" + std::string(224, 'n') + R"(","listen_address":{"trtype":"t","traddr":"a"}})"),
         "-32602 1"},
        {"J38 http_post_on_socket", "POST / HTTP/1.1\r\nHost: x\r\n\r\n{}", "-32700 null"},
        {"unknown_member", R"({"jsonrpc":"2.0","id":1,"method":"echo","parms":{}})", "-32600 1"},
        {"duplicate_id", R"({"jsonrpc":"2.0","id":1,"id":2,"method":"echo"})", "-32600 null"},
        {"duplicate_param", call_text("echo", R"({"value":1,"value":2})"), "-32602 1"},
        {"unknown_param", call_text("echo", R"({"valeu":1})"), "-32602 1"},
        {"empty_object", "{}", "-32600 null"},
        {"empty_batch", "[]", "-32600 null"},
        {"refused_notification", R"({"jsonrpc":"2.0","method":7})", "-32600 null"},
    };
}

TEST_F(ProtocolTest, AnswersTheCatalogue) {
    for (const Case& one : catalogue()) EXPECT_EQ(error_of(one.text), one.expected) << one.name;
}

TEST_F(ProtocolTest, ClosesOnlyAfterWhatIsNotJson) {
    EXPECT_TRUE(ask("hello").close);
    EXPECT_TRUE(ask("{\"a\":}").close);
    EXPECT_FALSE(ask("42").close);
    EXPECT_FALSE(ask(call_text("no_such", "{}")).close);
}

TEST_F(ProtocolTest, EchoesEveryKindOfId) {
    const std::string longest = "\"" + std::string(128, 'i') + "\"";
    for (const std::string& id : {std::string("1"), std::string("-5"), std::string("18446744073709551615"),
                                  std::string("\"\""), std::string("\"a\\u0000b\""), std::string("null"), longest}) {
        EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"echo","params":{"value":1}})").text,
                  R"({"jsonrpc":"2.0","id":)" + id + ",\"result\":1}\n");
    }
}

TEST_F(ProtocolTest, TakesParamsThatAreAbsentOrEmpty) {
    for (const char* params : {"", R"(,"params":null)", R"(,"params":{})", R"(,"params":[])"}) {
        const std::string text = std::string(R"({"jsonrpc":"2.0","id":1,"method":"rpc_get_methods")") + params + "}";
        EXPECT_NE(ask(text).text.find("\"result\":["), std::string::npos) << text;
    }
}

TEST_F(ProtocolTest, NotificationsGetNoReply) {
    EXPECT_EQ(ask(R"({"jsonrpc":"2.0","method":"echo","params":{"value":1}})").text, "");
    EXPECT_EQ(ask(R"({"jsonrpc":"2.0","method":"no_such"})").text, "");
    EXPECT_EQ(ask(R"([{"jsonrpc":"2.0","method":"echo"},{"jsonrpc":"2.0","method":"no_such"}])").text, "");
}

TEST_F(ProtocolTest, ABatchIsAnsweredInOneArray) {
    const auto reply = parse_json(ask(R"([{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":"a"}},
                                          {"jsonrpc":"2.0","method":"echo","params":{"value":"silent"}},
                                          7,
                                          {"jsonrpc":"2.0","id":"x","method":"no_such"},
                                          []])")
                                      .text);
    ASSERT_TRUE(reply && reply->is_array());
    ASSERT_EQ(reply->size(), 4U);
    EXPECT_EQ((*reply)[0]["result"], "a");
    EXPECT_EQ((*reply)[1]["error"]["code"], -32600);
    EXPECT_EQ((*reply)[1]["id"], nullptr);
    EXPECT_EQ((*reply)[2]["error"]["code"], -32601);
    EXPECT_EQ((*reply)[2]["id"], "x");
    EXPECT_EQ((*reply)[3]["error"]["code"], -32600);
}

TEST_F(ProtocolTest, AReplyThatIsTooLargeBecomesAnError) {
    const std::string text = call_text("echo", R"({"value":")" + std::string(5000, 'x') + "\"}");
    const Answer small = run_now(answer(registry, text, 4096));
    EXPECT_EQ(small.text,
              "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"the reply is too large\"}}\n");
    EXPECT_EQ(run_now(answer(registry, "[" + text + "]", 4096)).text.find("{\"jsonrpc\":\"2.0\",\"id\":null"), 0U);
}

TEST_F(ProtocolTest, ManyRepliesOfABatchAreTooLargeTogether) {
    const std::string text = call_text("echo", R"({"value":")" + std::string(1000, 'x') + "\"}");
    const auto ask_for = [&](int count) {
        std::string batch = "[" + text;
        for (int at = 1; at < count; ++at) batch += "," + text;
        const auto reply = parse_json(run_now(answer(registry, batch + "]", 4096)).text);
        return reply && reply->is_array() ? static_cast<int>(reply->size()) : 0;
    };
    EXPECT_EQ(ask_for(3), 3);
    EXPECT_EQ(ask_for(4), 0) << "one error";
    EXPECT_EQ(ask_for(40), 0) << "also when more come after it";
}

}  // namespace

}  // namespace weft::rpc
