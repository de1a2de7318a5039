// One line of text about a command or a completion, for logs and traces.
#pragma once

#include <string>

#include "nvme/command.h"

namespace weft::nvme {

// "WRITE cid:33 nsid:1 lba:0 len:2", "GET LOG PAGE cid:2 nsid:4294967295 lid:70 off:0 len:1024",
// "FABRIC CONNECT qid:1 cid:5 sqsize:127".
std::string describe(const Command& command, bool admin_queue);

// "SUCCESS (00/00) cid:33 cdw0:0 sqhd:0000 p:0 m:0 dnr:0". `fabrics`: of a fabrics command, see name_of().
std::string describe(const Completion& completion, bool fabrics = false);

}  // namespace weft::nvme
