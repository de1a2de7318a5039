// Where the parts of a simulation say what went wrong: a GoogleTest failure in tests (gtest_failures.cc), the outcome
// of the seed in weft-sim.
#pragma once

#include <string>

namespace weft::test {

using FailureSink = void (*)(const std::string& what);
// Until it is set, a failure is printed and ends the program.
void set_failure_sink(FailureSink sink);
void fail_simulation(const std::string& what);

// Fails with `what` unless `holds`; returns it.
inline bool expect(bool holds, const std::string& what) {
    if (!holds) fail_simulation(what);
    return holds;
}

}  // namespace weft::test
