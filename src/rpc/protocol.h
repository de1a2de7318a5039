// JSON-RPC 2.0 between the text of one value and the registry; knows no connection.
#pragma once

#include <string>

#include "reactor/task.h"
#include "rpc/registry.h"

namespace weft::rpc {

inline constexpr size_t id_bytes_max = 128;  // longer string ids are refused, never cut

struct Answer {
    std::string text;    // ends with a newline; empty: there is none (a notification)
    bool close = false;  // the peer does not speak JSON
};

// Answers the text of one value: a call, or a batch, whose calls run at the same time and are answered in one array.
// An answer larger than `reply_bytes_max` becomes an error. `who` lives until the task ends.
Task<Answer> answer(Registry& registry, std::string text, size_t reply_bytes_max, const Caller& who = own_program);

// The answer to what is no JSON at all.
Answer answer_to_garbage(const std::string& reason);

}  // namespace weft::rpc
