#include "sim/failure.h"

#include <cstdio>
#include <cstdlib>

namespace weft::test {

namespace {

void print_and_end(const std::string& what) {
    std::fprintf(stderr, "simulation: %s\n", what.c_str());
    std::abort();
}

FailureSink current_sink = print_and_end;

}  // namespace

void set_failure_sink(FailureSink sink) { current_sink = sink; }
void fail_simulation(const std::string& what) { current_sink(what); }

}  // namespace weft::test
