#include "http/request.h"

#include <gtest/gtest.h>

namespace weft::http {
namespace {

Request parsed(std::string_view text) {
    const auto outcome = parse_request(text);
    const auto* done = std::get_if<Parsed>(&outcome);
    EXPECT_NE(done, nullptr) << text;
    if (done == nullptr) return {};
    EXPECT_EQ(done->bytes, text.size());
    return done->request;
}
int refusal(std::string_view text) {
    const auto outcome = parse_request(text);
    const auto* refused = std::get_if<Refused>(&outcome);
    return refused == nullptr ? 0 : refused->status;
}

constexpr std::string_view valid = "GET /metrics?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9009\r\nAccept: */*\r\n\r\n";

TEST(ParseRequest, TakesWhatIsRight) {
    const Request request = parsed(valid);
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.path, "/metrics");
    EXPECT_EQ(request.query, "x=1");
    EXPECT_EQ(request.host, "127.0.0.1:9009");
    EXPECT_TRUE(request.is_version_1_1);
    EXPECT_TRUE(request.keeps_alive);
    EXPECT_EQ(parsed("HEAD / HTTP/1.0\r\n\r\n").keeps_alive, false);
    EXPECT_EQ(parsed("GET / HTTP/1.0\r\nconnection: foo, Keep-Alive\r\n\r\n").keeps_alive, true);
    EXPECT_EQ(parsed("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n").keeps_alive, false);
    EXPECT_EQ(parsed("GET http://a.b:1/x HTTP/1.1\r\nHost: a\r\n\r\n").path, "/x");
    EXPECT_EQ(parsed("GET http://a.b:1 HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
    EXPECT_EQ(parsed("\r\nGET / HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n").path, "/");
}

TEST(ParseRequest, WantsMoreUntilTheHeadIsWhole) {
    for (size_t size = 0; size < valid.size(); ++size) {
        EXPECT_TRUE(std::holds_alternative<NeedMore>(parse_request(valid.substr(0, size)))) << size;
    }
}

TEST(ParseRequest, SaysWhereTheNextRequestBegins) {
    const std::string two = std::string(valid) + "GET /second HTTP/1.1\r\n";
    const auto outcome = parse_request(two);
    EXPECT_EQ(std::get<Parsed>(outcome).bytes, valid.size());
}

TEST(ParseRequest, RefusesWhatIsWrong) {
    const struct {
        int status;
        std::string_view text;
    } cases[] = {
        {400, "GET\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "G\x01T / HTTP/1.1\r\n\r\n"},
        {400, "GET metrics HTTP/1.1\r\n"},
        {400, "GET /a b HTTP/1.1\r\n"},
        {400, "GET /\x7f HTTP/1.1\r\n"},
        {400, "GET /\xc3\xa4 HTTP/1.1\r\n"},
        {400, "GET / http/1.1\r\n"},
        {400, "GET / HTTP/1.10\r\n"},
        {505, "GET / HTTP/2.0\r\n"},
        {405, "POST / HTTP/1.1\r\n"},
        {405, "OPTIONS / HTTP/1.1\r\n"},
        {400, "GET / HTTP/1.1\n"},
        {400, "GET / HTTP/1.1\r\r\n"},
        {400, "GET / HTTP/1.1\r\n\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n"},
        {400, "GET / HTTP/1.1\r\n: a\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\x02\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"},
        {413, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"},
    };
    for (const auto& wrong : cases) EXPECT_EQ(refusal(wrong.text), wrong.status) << wrong.text;
    EXPECT_EQ(refusal(std::string_view("GET / HTTP/1.1\r\nHost: \0\r\n", 25)), 400);
}

TEST(ParseRequest, BoundsTheHead) {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    EXPECT_EQ(refusal("GET /" + std::string(head_bytes_max, 'a')), 414);
    EXPECT_EQ(refusal(start + "X: " + std::string(head_bytes_max, 'a')), 431);
    EXPECT_EQ(refusal(start + "X: " + std::string(head_bytes_max, 'a') + "\r\n\r\n"), 431);
    std::string many = start;
    for (size_t at = 0; at < header_count_max; ++at) many += "X: y\r\n";
    EXPECT_EQ(refusal(many + "\r\n"), 431);
}

TEST(ReasonOf, KnowsWhatTheParserAnswers) {
    for (const int status : {200, 400, 403, 404, 405, 408, 413, 414, 421, 431, 503, 505}) {
        EXPECT_NE(reason_of(status), "Error") << status;
    }
}

}  // namespace
}  // namespace weft::http
