#include "http/request.h"

#include <algorithm>
#include <optional>

namespace weft::http {

namespace {

// RFC 9110, 5.6.2.
bool is_token_char(char character) {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z') || others.find(character) != std::string_view::npos;
}
bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }
bool is_visible(char character) { return character > 0x20 && character < 0x7F; }
// RFC 9110, 5.5: what a field's value may hold; bytes above 7Fh are opaque.
bool is_field_char(char character) {
    const auto byte = static_cast<unsigned char>(character);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
}

char lower(char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
}
bool equals_ignoring_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, [](char a, char b) { return lower(a) == lower(b); });
}
std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}
bool has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const size_t comma = list.find(',');
        if (equals_ignoring_case(trimmed(list.substr(0, comma)), token)) return true;
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    }
    return false;
}

using Trouble = std::optional<Refused>;

Trouble take_target(std::string_view target, Request& request) {
    // The absolute form, as proxies are sent it (RFC 9112, 3.2.2): its path is what we are asked for.
    constexpr std::string_view scheme = "http://";
    if (target.starts_with(scheme)) {
        const size_t slash = target.find('/', scheme.size());
        target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
    }
    if (!target.starts_with('/') || !std::ranges::all_of(target, is_visible)) {
        return Refused{400, "the target is not a path"};
    }
    const size_t question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) request.query = target.substr(question + 1);
    return std::nullopt;
}

Trouble take_request_line(std::string_view line, Request& request) {
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return Refused{400, "the request line has not three words"};
    const std::string_view method = line.substr(0, first);
    const std::string_view version = line.substr(last + 1);
    if (!is_token(method)) return Refused{400, "the method is not a word"};
    const bool is_http = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.';
    if (!is_http) return Refused{400, "the request line does not end with HTTP/1.1"};
    if (version[5] != '1') return Refused{505, "only HTTP/1.0 and HTTP/1.1 are spoken"};
    request.is_version_1_1 = version[7] != '0';
    request.keeps_alive = request.is_version_1_1;
    request.method = method;
    if (auto trouble = take_target(line.substr(first + 1, last - first - 1), request)) return trouble;
    if (method != "GET" && method != "HEAD") return Refused{405, "only GET and HEAD are answered"};
    return std::nullopt;
}

struct Seen {
    size_t hosts = 0;
    size_t headers = 0;
};

Trouble take_header(std::string_view line, Request& request, Seen& seen) {
    if (++seen.headers > header_count_max) return Refused{431, "more than 64 header lines"};
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
        return Refused{400, "a header line is not 'name: value'"};
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!std::ranges::all_of(value, is_field_char)) return Refused{400, "a header has control bytes"};
    if (equals_ignoring_case(name, "host")) {
        ++seen.hosts;
        request.host = value;
    } else if (equals_ignoring_case(name, "connection")) {
        if (has_token(value, "close")) request.keeps_alive = false;
        if (has_token(value, "keep-alive") && !request.is_version_1_1) request.keeps_alive = true;
    } else if (equals_ignoring_case(name, "transfer-encoding") ||
               (equals_ignoring_case(name, "content-length") && value != "0")) {
        return Refused{413, "a request here has no body"};
    }
    return std::nullopt;
}

}  // namespace

std::variant<NeedMore, Parsed, Refused> parse_request(std::string_view input) {
    // A line before the request is left over from the one before (RFC 9112, 2.2).
    size_t at = input.starts_with("\r\n") ? 2 : 0;
    Request request;
    Seen seen;
    bool is_first = true;
    for (;;) {
        const size_t end = input.find('\n', at);
        const bool has_end = end != std::string_view::npos;
        if (!has_end && input.size() < head_bytes_max) return NeedMore{};
        if (!has_end || end >= head_bytes_max) {
            return is_first ? Refused{414, "the request line is too long"} : Refused{431, "the head is too long"};
        }
        if (end == at || input[end - 1] != '\r') return Refused{400, "a line does not end with CRLF"};
        const std::string_view line = input.substr(at, end - 1 - at);
        if (line.find('\r') != std::string_view::npos) return Refused{400, "a line has a CR inside"};
        at = end + 1;
        if (is_first) {
            is_first = false;
            if (auto trouble = take_request_line(line, request)) return *trouble;
        } else if (!line.empty()) {
            if (auto trouble = take_header(line, request, seen)) return *trouble;
        } else if (seen.hosts > 1 || (seen.hosts == 0 && request.is_version_1_1)) {
            return Refused{400, "there must be one Host header"};
        } else {
            return Parsed{std::move(request), at};
        }
    }
}

std::string_view reason_of(int status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 421: return "Misdirected Request";
        case 431: return "Request Header Fields Too Large";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "Error";
    }
}

}  // namespace weft::http
