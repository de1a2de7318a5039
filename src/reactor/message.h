// A message to a thread: memory of the sender's, linked into the receiver's inbox, so that sending never
// allocates and never finds a ring full. It must live until it has run; it may be sent again after that.
#pragma once

#include "base/mpsc_queue.h"

namespace weft {

struct Message : MpscNode {
    using Run = void (*)(Message& message);
    Message() = default;
    explicit Message(Run function) : run(function) {}
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    Run run = nullptr;
};

}  // namespace weft
