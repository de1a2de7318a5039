// An example of each method for docs/rpc.md, as a command line that works in a target with these objects (the tests run
// each one in such a target): bdevs Malloc0 (with a histogram), Null0, Null5, Null6 (below Crypto0), Null7, Zoned1,
// File0 (aio, in two parts) and Ring0 (uring), Delay0 on Null12, EE_Delay0 on that, Passthru0 on that, Zones0 on Ring0,
// Null13, key key0, subsystem nqn.2016-06.io.spdk:cnode1 (which reports ANA) with Null0 as namespace 1, host
// nqn.2016-06.io.spdk:host1, a TCP listener on 127.0.0.1:4420.
// Besides, for raids: Null8 to Null11 and Raid1, a raid1 on Null8 and Null9 that Null9 was taken out of.
#pragma once

#include <string_view>

namespace weft::app {

// The words after `weft rpc`; empty when there is none for that method.
std::string_view rpc_example(std::string_view method);

}  // namespace weft::app
