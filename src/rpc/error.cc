#include "rpc/error.h"

#include "rpc/json.h"

namespace weft::rpc {

RpcError::RpcError(Error error)
    : code(error.code == Errc::invalid_argument ? code::invalid_params : -to_errno(error.code)),
      message(error.message.empty() ? std::string(describe(error.code)) : std::move(error.message)) {}

RpcError error_of(Error error, Codes codes) {
    const bool is_invalid = error.code == Errc::invalid_argument;
    RpcError answer(std::move(error));
    if (is_invalid) {
        answer.code = codes.invalid_argument;
    } else if (codes.others != 0) {
        answer.code = codes.others;
    }
    return answer;
}

Error to_error(RpcError error) {
    switch (error.code) {
        case code::invalid_params:
        case code::invalid_request: return {Errc::invalid_argument, std::move(error.message)};
        case code::method_not_found:
        case code::wrong_state: return {Errc::not_supported, std::move(error.message)};
        case code::parse_error: return {Errc::protocol_error, std::move(error.message)};
        default: break;
    }
    constexpr int errno_max = 4095;
    const bool is_errno = error.code < 0 && error.code >= -errno_max;
    return {is_errno ? errc_from_errno(-error.code) : Errc::io_error, std::move(error.message)};
}

}  // namespace weft::rpc
