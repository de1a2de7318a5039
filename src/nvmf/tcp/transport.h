// The TCP transport: its listening sockets and its data buffer pool. Lives on the app thread. Connections are accepted
// there and handed to poll groups in turn; a port is shared by all subsystems that listen on its address.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "memory/buffer_pool.h"
#include "nvmf/tcp/limits.h"
#include "nvmf/tcp/secure_accept.h"
#include "nvmf/transport.h"

namespace weft::nvmf {
class Target;
}

namespace weft::nvmf::tcp {

class TcpTransport final : public Transport {
public:
    // Errors: invalid_argument (options), no_memory.
    static Result<std::unique_ptr<TcpTransport>> create(Target& target, TransportOptions options);
    ~TcpTransport() override;

    [[nodiscard]] std::string_view name() const override { return "TCP"; }
    Result<std::unique_ptr<TransportGroup>> make_group(PollGroup& group) override;
    Result<void> listen(const TransportId& address, ListenKind kind) override;
    void stop_listening(const TransportId& address) override;
    Task<void> close() override;
    void set_group_count(uint32_t count) override { group_count_ = count; }
    // Connections without a finished Connect that a poll group holds.
    [[nodiscard]] size_t connecting_max() const { return std::max(options().max_connecting / group_count_, 1U); }
    [[nodiscard]] BufferPoolFigures pool_figures() const override {
        return {pool_->buffer_bytes(), pool_->buffer_count(), pool_->shared_free()};
    }
    [[nodiscard]] HandshakeFigures handshake_figures() const override {
        return secure_ != nullptr ? secure_->figures() : HandshakeFigures{};
    }

private:
    class Port;
    TcpTransport(Target& target, TransportOptions options, std::unique_ptr<BufferPool> pool, uint32_t connections_max,
                 uint64_t seed);
    // Whether its peer may come; counts those that may not.
    [[nodiscard]] bool admits(const env::Stream& stream);
    void hand_over(NewConnection connection);

    Target& target_;
    std::unique_ptr<BufferPool> pool_;
    uint32_t group_count_ = 1;
    ConnectionLimits limits_;
    std::unique_ptr<SecureAccept> secure_;  // from the first listener with TLS on
    std::map<TransportId, std::unique_ptr<Port>> ports_;
};

}  // namespace weft::nvmf::tcp
