// sock_*: the field's options of sockets. There is one way to drive sockets here; the options of all three of the
// field's are kept and told as they were given, and those of the one in use that mean something here count.
// Lives on the app thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "rpc/config_key.h"
#include "rpc/json_fwd.h"
#include "rpc/registry.h"

namespace weft::app {

enum class SockImpl : uint8_t { posix, uring, ssl };

// The field's default for buffers. Its saved files always have it: it stands for the system's automatic size here.
inline constexpr uint32_t sock_buffer_automatic = 2097152;

struct SockOptions {
    uint32_t recv_buf_size = sock_buffer_automatic;
    uint32_t send_buf_size = sock_buffer_automatic;
    bool enable_recv_pipe = false;
    bool enable_quickack = false;
    uint32_t enable_placement_id = 0;
    bool enable_zerocopy_send_server = false;
    bool enable_zerocopy_send_client = false;
    uint32_t zerocopy_threshold = 0;
    uint32_t tls_version = 0;
    bool enable_ktls = false;
    static constexpr auto fields();
};

class SockSettings {
public:
    SockImpl default_impl = SockImpl::posix;
    std::array<SockOptions, 3> options;

    // Bytes for accepted connections; 0: the system's automatic size.
    [[nodiscard]] uint32_t receive_buffer_bytes() const;
    [[nodiscard]] uint32_t send_buffer_bytes() const;
    // The calls that set all this again; their names, and the one of a name (null: not one of these).
    void write_config(Json& entries) const;
    [[nodiscard]] static std::vector<rpc::ConfigKey> config_keys();
    [[nodiscard]] Json config_entry(const rpc::ConfigKey& key) const;
};

// `on_change` is called after each change.
void add_sock_methods(rpc::Registry& registry, SockSettings& settings, const std::function<void()>& on_change);

}  // namespace weft::app
