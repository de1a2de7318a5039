// Linked into tests: what the simulation finds wrong fails the test that runs.
#include <gtest/gtest.h>

#include "sim/failure.h"

namespace weft::test {
namespace {

const bool is_set = [] {
    set_failure_sink([](const std::string& what) { ADD_FAILURE() << what; });
    return true;
}();

}  // namespace
}  // namespace weft::test
