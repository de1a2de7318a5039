// Signals as an event source: they arrive where the program looks for them, not in the middle of something.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>

#include "base/result.h"
#include "env/network.h"

namespace weft::env {

class SignalSource : public Pollable {
public:
    // Blocks `signals` in the calling thread (and in those it starts later) and collects them here. SIGPIPE is
    // ignored from now on. Errors: what the kernel refused.
    static Result<std::unique_ptr<SignalSource>> create(std::initializer_list<int> signals);
    // The next signal that has arrived.
    virtual std::optional<int> next() = 0;
};

}  // namespace weft::env
