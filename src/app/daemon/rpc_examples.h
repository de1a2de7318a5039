// An example of each method for docs/rpc.md, as a command line that works in a target with these objects (the tests run
// each one in such a target): bdevs Malloc0 (with a histogram), Null0, File0 (aio) and Ring0 (uring), subsystem
// nqn.2016-06.io.spdk:cnode1 with Null0 as namespace 1, host nqn.2016-06.io.spdk:host1, a TCP listener on
// 127.0.0.1:4420.
#pragma once

#include <string_view>

namespace weft::app {

// The words after `weft rpc`; empty when there is none for that method.
std::string_view rpc_example(std::string_view method);

}  // namespace weft::app
