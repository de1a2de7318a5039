// A transport: what makes connections into queue pairs. Lives on the app thread; its groups live on the poll groups'.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "nvmf/access/network.h"
#include "nvmf/poll_group.h"
#include "nvmf/transport_options.h"
#include "reactor/task.h"
#include "rpc/json_fwd.h"

namespace weft::nvmf {

// The data buffers that a transport's poll groups share.
struct BufferPoolFigures {
    uint32_t buffer_bytes = 0;
    uint32_t buffer_count = 0;
    uint32_t shared_free = 0;  // not in use and in no group's reserve
};

// What TLS makes of connections before a poll group has them.
struct HandshakeFigures {
    uint32_t under_way = 0;  // now, with those that may yet turn out to want none
    uint64_t opened = 0;
    uint64_t failed = 0;  // for whatever reason
    uint64_t displaced = 0;  // made room for others
};

// What a listening socket takes.
enum class ListenKind : uint8_t {
    plain,
    secure,  // TLS only
    either,  // as the host begins
};

class Transport {
public:
    explicit Transport(TransportOptions options) : options_(std::move(options)) {}
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    [[nodiscard]] const TransportOptions& options() const { return options_; }
    [[nodiscard]] virtual std::string_view name() const = 0;  // "TCP"

    // The group's part, made on its thread. Errors: no_memory when the buffer reserve does not fit.
    virtual Result<std::unique_ptr<TransportGroup>> make_group(PollGroup& group) = 0;
    // Starts to accept on the address, or counts one more user of it. Errors: invalid_argument, address_in_use, …
    // Errors also: busy, when another subsystem listens there for another kind.
    virtual Result<void> listen(const TransportId& address, ListenKind kind) = 0;
    // Counts one user less; the last one closes the socket. Connections stay.
    virtual void stop_listening(const TransportId& address) = 0;
    // Ends what is on its way to a poll group, after the last stop_listening().
    virtual Task<void> close() { co_return; }
    // How many poll groups will ask for a buffer reserve; before the first make_group().
    virtual void set_group_count(uint32_t count) = 0;
    [[nodiscard]] virtual BufferPoolFigures pool_figures() const = 0;
    [[nodiscard]] virtual HandshakeFigures handshake_figures() const { return {}; }

    // Who may come: looked at when a connection is accepted. App thread, as is what it counts.
    NetworkList networks;
    uint64_t refused_by_network = 0;

private:
    const TransportOptions options_;
};

}  // namespace weft::nvmf
