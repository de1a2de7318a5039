// What lies between the configuration that runs and the one that is wanted: in words, and as calls.
//
// What an entry of the wanted configuration leaves out stays as it is, or is made up as its method does. What it does
// not name at all goes, but for the options that can only be set before the start: these stay.
#pragma once

#include <string>
#include <vector>

#include "app/state/document.h"
#include "rpc/json_fwd.h"

namespace weft::state {

struct Difference {
    enum class Kind : uint8_t { added, removed, changed };
    Kind kind = Kind::added;
    rpc::ConfigKey key;
    std::string text;  // one line: "~ bdev A: num_blocks 8 → 16; made anew, what it holds is lost"
};

struct Plan {
    std::vector<Difference> differences;  // in the order of save_config
    std::vector<rpc::ConfigCall> calls;   // in an order that works
};

// The order of the calls: parts of subsystems go, then subsystems, then devices; what can be altered in place is; what
// is new comes, devices first. RAM disks that merely go do so at the very end, when nothing can fail any more: what
// they hold is lost with them. Pure. Errors: not_supported, naming what cannot be changed while the target runs.
Result<Plan> make_plan(const Document& running, const Document& wanted);

}  // namespace weft::state
