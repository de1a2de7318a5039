// An eventfd that tells a reactor of completions.
#pragma once

#include <sys/eventfd.h>

#include <cerrno>

#include "env/linux/descriptor.h"
#include "env/network.h"

namespace weft::env {

// Written by whoever completes something (the kernel, a worker) and never read: watched by edge, each
// write is one report, and the reader saves a system call a batch.
class CompletionNotice final : public Pollable {
public:
    static Result<Descriptor> make_descriptor() {
        Descriptor descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!descriptor.is_open()) return fail_errno(errno, "making an event descriptor");
        return descriptor;
    }

    explicit CompletionNotice(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
    [[nodiscard]] int descriptor() const override { return descriptor_.get(); }
    [[nodiscard]] bool is_edge_only() const override { return true; }

    // Any thread.
    void give() {
        const uint64_t one = 1;
        WEFT_ASSERT(::write(descriptor_.get(), &one, sizeof(one)) == sizeof(one));
    }

private:
    Descriptor descriptor_;
};

}  // namespace weft::env
