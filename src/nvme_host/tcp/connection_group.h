// The NVMe/TCP connections of one thread: they share a receive buffer that stays in the cache, and the memory
// that sendmsg is told pieces by.
//
// Hot connections (commands with the controller, or bytes came lately) are read every turn without asking the
// kernel whether that is worth it; the others wait for an event. Per connection and turn: receive, hand out what
// is done, send all that this gave rise to with one sendmsg.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "env/environment.h"
#include "reactor/poller.h"
#include "reactor/thread.h"

namespace weft::nvme_host::tcp {

class Connection;

// Made, used and destroyed on its thread; outlives its connections (asserted).
class ConnectionGroup final : public Poller {
public:
    // Errors: no_memory.
    static Result<std::unique_ptr<ConnectionGroup>> create(Thread& thread, std::string name = "nvme_host_tcp");
    ConnectionGroup(const ConnectionGroup&) = delete;
    ConnectionGroup& operator=(const ConnectionGroup&) = delete;
    ~ConnectionGroup() override;

    uint32_t poll() override;
    Sleep prepare_sleep() override;

    [[nodiscard]] Thread& thread() const { return thread_; }
    // When the commands that are being handed out arrived: within an Io's `done` what the clock says, at the
    // cost of one reading a batch.
    [[nodiscard]] env::TimeNs arrival_time() const { return arrival_time_; }

private:
    friend class Connection;
    // 256 KiB to 512 KiB fit the second level cache beside what is copied to (docs/performance.md).
    static constexpr size_t receive_buffer_bytes = 512 * 1024;
    static constexpr size_t pieces_max = 1024;  // UIO_MAXIOV

    ConnectionGroup(Thread& thread, std::string name, env::Mapping buffer);
    void attach() { ++connection_count_; }
    void detach(Connection& connection);
    void make_hot(Connection& connection);
    MutableBytes receive_buffer() { return {buffer_.data(), buffer_.size()}; }
    std::span<iovec> pieces() { return pieces_; }
    void stamp_arrival() { arrival_time_ = environment_.clock().now(); }

    Thread& thread_;
    env::Environment& environment_;
    env::Mapping buffer_;
    std::array<iovec, pieces_max> pieces_{};
    std::vector<Connection*> hot_;
    uint32_t connection_count_ = 0;
    bool is_polling_ = false;
    env::TimeNs arrival_time_ = 0;
};

}  // namespace weft::nvme_host::tcp
