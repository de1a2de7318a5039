// Results of operations of ours that can fail: a value, or an Error that says what was being done.
//
// Protocol errors are not Errors: they are values of the protocol (nvme::Status, wire::Violation).
// Broken invariants are not Errors either: they are WEFT_ASSERT.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

// For branching; the message is for a person. to_errno() gives the number that JSON-RPC clients expect.
enum class Errc : uint8_t {
    invalid_argument,
    not_found,
    no_such_device,
    already_exists,
    busy,
    again,  // would block, or not now: try later
    no_memory,
    no_space,
    permission_denied,
    io_error,
    timed_out,
    not_supported,
    cancelled,
    out_of_range,
    too_many,
    address_in_use,
    connection_refused,
    connection_lost,
    protocol_error,
    in_progress,
};

// The positive errno value closest to `code`.
int to_errno(Errc code);
// The Errc closest to a positive errno value.
Errc errc_from_errno(int number);
// A short lower-case phrase: "no such device".
std::string_view describe(Errc code);

struct Error {
    Errc code = Errc::io_error;
    std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string message) {
    return std::unexpected<Error>(Error{code, std::move(message)});
}

// Failure of a system call: the message gets ": " and the text of `number` appended.
std::unexpected<Error> fail_errno(int number, std::string_view doing);

}  // namespace weft

// Returns from the function with the error of `expression`, a Result<void> or anything with .error().
#define WEFT_TRY(expression)                                                      \
    do {                                                                          \
        if (auto weft_try_result = (expression); !weft_try_result) [[unlikely]] { \
            return std::unexpected(std::move(weft_try_result).error());           \
        }                                                                         \
    } while (false)

// The same inside a coroutine.
#define WEFT_CO_TRY(expression)                                                   \
    do {                                                                          \
        if (auto weft_try_result = (expression); !weft_try_result) [[unlikely]] { \
            co_return std::unexpected(std::move(weft_try_result).error());        \
        }                                                                         \
    } while (false)
