// The networks whose hosts may come to a transport, while it runs.
#pragma once

#include "base/result.h"
#include "nvmf/access/network.h"
#include "reactor/task.h"

namespace weft::nvmf {

class Target;
class Transport;

// On the app thread. What is connected stays. Errors: already_exists, too_many.
Result<void> allow_network(Target& target, Transport& transport, const Network& network);
// Ends the connections of hosts that are of none of those left; when none is left, all may come. Errors: not_found.
Task<Result<void>> forbid_network(Target& target, Transport& transport, Network network);

}  // namespace weft::nvmf
