// Accepts connections of a listening socket for the control plane (RPC, metrics, FTP).
//
// A few at a time, so that a storm of clients does not hold up the thread. Out of descriptors, it looks away for
// a while instead of being told again and again about what it cannot take.
#pragma once

#include <functional>
#include <memory>

#include "env/environment.h"
#include "reactor/event_source.h"
#include "reactor/thread.h"
#include "reactor/timer.h"

namespace weft::net {

// Lives on the thread it was made on.
class Acceptor final : public EventSource {
public:
    static constexpr uint32_t batch_max = 16;
    static constexpr env::TimeNs descriptor_pause = 100 * env::ns_per_ms;

    // Called from the loop with each connection. May pause() or close() the acceptor, not destroy it.
    using Accepted = std::move_only_function<void(std::unique_ptr<env::Stream> stream)>;

    // Accepts until close(). Errors: of Network::listen and of watching.
    static Result<std::unique_ptr<Acceptor>> listen(Thread& thread, const env::Address& address,
                                                    const env::ListenOptions& options, Accepted accepted);
    ~Acceptor() override { close(); }

    // Leaves new connections in the kernel's backlog until resume().
    void pause();
    void resume();
    // Frees the address; those that were not accepted are reset.
    void close();

    [[nodiscard]] env::Address local_address() const { return address_; }
    [[nodiscard]] bool is_accepting() const { return is_watching(); }

private:
    Acceptor(Thread& thread, std::unique_ptr<env::Listener> listener, Accepted accepted);
    uint32_t on_events(uint32_t events) override;
    Result<void> look();

    Thread& thread_;
    std::unique_ptr<env::Listener> listener_;
    const env::Address address_;
    Accepted accepted_;
    Timer retry_;
    bool paused_ = false;
};

}  // namespace weft::net
