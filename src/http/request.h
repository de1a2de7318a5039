// The head of an HTTP/1.1 request (RFC 9112), as far as a server of a few read-only pages needs it.
//
// Strict, since what lies between us and the client may read a loose request otherwise than we do: lines end with
// CRLF, no folded lines, no blanks before a colon, one Host, and no body at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace weft::http {

inline constexpr size_t head_bytes_max = 8192;
inline constexpr size_t header_count_max = 64;

struct Request {
    std::string method;        // GET or HEAD
    std::string path;          // from the first slash to the question mark; as it came, nothing is decoded
    std::string query;         // behind the question mark
    std::string host;          // the Host header, "" when there is none (HTTP/1.0)
    bool is_version_1_1 = false;
    bool keeps_alive = false;  // the client wants to go on with this connection
};

// The head is not complete.
struct NeedMore {};
// A head, and how long it was: what follows is the next request.
struct Parsed {
    Request request;
    size_t bytes = 0;
};
// The connection must end after the answer `status`: where the next request begins is not known.
struct Refused {
    int status = 400;
    std::string_view why;
};

// Looks at the head at the beginning of `input`.
std::variant<NeedMore, Parsed, Refused> parse_request(std::string_view input);

// "Not Found" for 404; "Error" for what we do not use.
std::string_view reason_of(int status);

}  // namespace weft::http
