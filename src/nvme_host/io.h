// One command of a host: what is asked, where its data lies, and what came of it.
//
// The caller owns it, at a fixed address, from submit() until `done` has been called; a qpair takes no other
// memory per command. `done` runs from the loop of the qpair's thread, never inside submit(), and may submit
// this or other commands again, or free the Io; it may not destroy the qpair.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "base/intrusive_list.h"
#include "nvme/command.h"
#include "nvme/status.h"

namespace weft::nvme_host {

struct Io {
    using Done = void (*)(Io& io);

    Io() = default;
    Io(const Io&) = delete;
    Io& operator=(const Io&) = delete;

    nvme::Command command;        // CID, PSDT and the data pointer are the qpair's to fill in
    std::span<const iovec> data;  // sent or filled, by the direction that the opcode says; lives until done
    Done done = nullptr;
    void* context = nullptr;
    // May stay unanswered for ever (Asynchronous Event Request): no timeout counts, and it does not keep
    // the reactor looking at its connection.
    bool is_background = false;

    // The outcome.
    nvme::Completion completion;
    // The status was made here: host_path_error when the connection ended before an answer came,
    // transient_transport_error for a wrong data digest, data_transfer_error when the controller reported
    // success and had moved less than all of the data.
    bool is_status_local = false;
    uint32_t bytes_moved = 0;

    [[nodiscard]] nvme::Status status() const { return nvme::Status::from_wire(completion.status); }
    [[nodiscard]] bool is_success() const { return status().is_success(); }

    ListLink<Io> link;  // the qpair's
};

using IoList = IntrusiveList<Io, &Io::link>;

}  // namespace weft::nvme_host
