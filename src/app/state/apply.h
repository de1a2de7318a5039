// A wanted configuration as one transaction: all of it, or what was before.
#pragma once

#include <functional>

#include "app/state/document.h"
#include "app/state/plan.h"
#include "reactor/task.h"
#include "rpc/registry.h"

namespace weft::state {

// Makes `wanted` of what `running` tells, by calls that are parts of one change, and checks that it is so then. When
// one fails, the way back is planned and gone the same way. Errors: make_plan()'s, before anything is done; of the call
// that failed, saying whether all is as it was. What a RAM disk held that was made anew is not brought back.
Task<Result<Plan>> apply(rpc::Registry& methods, std::function<Result<Document>()> running, Document wanted);

// The document of entries as save_config lists them. Errors: those of key_of().
Result<Document> document_of(const Json& entries);

}  // namespace weft::state
