// `weft perf --reauthenticate`: while the load runs, its queues authenticate again, every so often.
#pragma once

#include <optional>

#include "nvme_host/controller.h"

namespace weft::cli {

// Lives on the control thread, in the frame of who watches the load; stop() before its end.
class PerfReauthentication {
public:
    PerfReauthentication(nvme_host::Controller& controller, double seconds)
        : controller_(controller), interval_(static_cast<env::TimeNs>(seconds * 1e9)) {}

    void start();
    // When what is under way has ended: how often it was done. Errors: what made the first fail.
    Task<Result<uint32_t>> stop();

private:
    Task<void> run();

    nvme_host::Controller& controller_;
    const env::TimeNs interval_;
    uint32_t count_ = 0;
    std::optional<Error> error_;
    Gate running_;
};

}  // namespace weft::cli
