// Tells the network where this target's discovery service is, so that hosts find it without being told (TP8009): a
// DNS-SD service of type _nvme-disc._tcp for each port that the discovery subsystem listens on.
#pragma once

#include <memory>
#include <vector>

#include "env/service_directory.h"
#include "reactor/task.h"
#include "reactor/timer.h"

namespace weft::nvmf {

class Target;

// App thread.
class Announcer {
public:
    explicit Announcer(Target& target);
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;
    ~Announcer();  // after stop()

    // Announces from now on what there is at any time; ends when it is announced once. Errors: invalid_argument when
    // the discovery subsystem listens nowhere; those of ServiceDirectory.
    Task<Result<void>> start();
    Task<void> stop();
    [[nodiscard]] bool is_on() const { return directory_ != nullptr; }
    // The listeners may be others.
    void refresh();
    // What is to be announced now.
    [[nodiscard]] std::vector<env::ServiceRecord> services() const;

private:
    static constexpr env::TimeNs look_again_after = 30 * env::ns_per_s;  // for a daemon that began anew
    Task<Result<void>> announce();
    Task<void> look_again();
    Target& target_;
    std::unique_ptr<env::ServiceDirectory> directory_;
    std::vector<env::ServiceRecord> announced_;
    AsyncMutex one_at_a_time_;
    Timer timer_;
};

}  // namespace weft::nvmf
