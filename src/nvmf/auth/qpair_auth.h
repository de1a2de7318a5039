// In-band authentication of one queue pair: what its Authentication Send and Receive commands do, the keys of its host,
// the time limit, and the end when it fails. The protocol itself is nvme/auth/controller_side.h. Lives on its queue's
// thread; what takes long is done away from it, while the command that asked for it waits.
#pragma once

#include <string>
#include <string_view>

#include "keyring/keyring.h"
#include "nvme/auth/controller_side.h"
#include "nvme/command.h"
#include "nvme/status.h"
#include "reactor/task.h"
#include "reactor/timer.h"

namespace weft::nvmf {

class Qpair;
struct Request;

// Of the longest message a host has room for; more than any message has.
inline constexpr uint32_t auth_data_max = 4096;

// As nvmf_subsystem_get_qpairs tells it.
struct AuthReport {
    std::string_view state;  // "negotiate" … "completed", "error"
    std::string_view digest;  // "sha256" …, "unknown" before it was agreed on
    std::string_view dhgroup;  // "ffdhe2048" …, as above
};

class QpairAuth {
public:
    // `limit`: how long the host may take for each step.
    QpairAuth(Qpair& qpair, env::TimeNs limit);
    QpairAuth(const QpairAuth&) = delete;
    QpairAuth& operator=(const QpairAuth&) = delete;
    ~QpairAuth() = default;

    static constexpr env::TimeNs limit_default = 120 * env::ns_per_s;

    // An Authentication Send or Receive, in state executing; check() was all right.
    void execute(Request& request);
    [[nodiscard]] AuthReport report() const;

    // The fields of the command. Success, or the status it is refused with.
    static nvme::Status check(const nvme::Command& command);

private:
    void receive(Request& request);
    void transmit(Request& request);
    void note_progress(nvme::auth::ControllerSide::State before);
    Task<void> make_challenge(Request& request);
    Task<void> check_reply(Request& request);
    void settle(Request& request, nvme::Status outcome);
    Task<void> keep_psk(Request& request, nvme::tls::Psk generated);
    void finish(Request& request, nvme::Status outcome);
    // After each step: the queue may be enabled, or must end.
    void look();
    void on_timer();

    Qpair& qpair_;
    const env::TimeNs limit_;
    nvme::auth::ControllerSide side_;
    bool is_busy_ = false;  // a coroutine of this object is away
    bool is_over_ = false;  // the host has been told that it failed, or did not come back in time
    uint32_t sequence_ = 0;
    keyring::KeyRef proved_with_;  // the host's, of a key for TLS that is not kept yet
    Timer timer_;
};

}  // namespace weft::nvmf
