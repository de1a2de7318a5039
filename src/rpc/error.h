// Errors as JSON-RPC speaks them: a number and a sentence.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/result.h"
#include "reactor/task.h"
#include "rpc/json.h"

namespace weft::rpc {

// JSON-RPC 2.0, section 5.1; wrong_state is SPDK's. Everything else is a negative errno.
namespace code {
inline constexpr int wrong_state = -1;
inline constexpr int no_role = -1;  // EPERM
inline constexpr int parse_error = -32700;
inline constexpr int invalid_request = -32600;
inline constexpr int method_not_found = -32601;
inline constexpr int invalid_params = -32602;
inline constexpr int internal_error = -32603;
}  // namespace code

struct RpcError {
    RpcError(int number, std::string text) : code(number), message(std::move(text)) {}
    // invalid_argument becomes -32602, everything else the negative errno.
    RpcError(Error error);  // NOLINT(google-explicit-constructor): so that fail() works in both kinds of handler

    int code;
    std::string message;

    friend bool operator==(const RpcError&, const RpcError&) = default;
};

// What a handler's fail() becomes for one method, where the field's number is not the one above.
struct Codes {
    int invalid_argument = code::invalid_params;
    int others = 0;  // 0: the negative errno
};
RpcError error_of(Error error, Codes codes);

// The outcome of a call. A handler returns Task<Result<Json>>, or Task<Response> when it wants a code of its own:
//   co_return rpc::fail_code(-19, "no such device: Malloc7");
using Response = std::expected<Json, RpcError>;

inline std::unexpected<RpcError> fail_code(int number, std::string message) {
    return std::unexpected<RpcError>(RpcError(number, std::move(message)));
}

// The nearest Error to what another program answered.
Error to_error(RpcError error);

}  // namespace weft::rpc

// Running out of memory in a Task<Response> becomes its error, as in a Task<Result<T>>.
template <>
struct weft::task_detail::IsResult<weft::rpc::Response> : std::true_type {};
