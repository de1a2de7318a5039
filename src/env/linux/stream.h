// A connected (or connecting) socket of the kernel.
#pragma once

#include "env/linux/descriptor.h"
#include "env/network.h"

namespace weft::env {

// Errors: what the kernel refused, by the option's name.
Result<void> configure_socket(int socket, Family family, const SocketOptions& options);
// The address a socket is bound to.
Address bound_address(int socket);

class LinuxStream final : public Stream {
public:
    // `connect_error` is what connect(2) answered at once, 0 when it did not refuse: told by connected().
    LinuxStream(Descriptor socket, Family family, Address peer, int connect_error)
        : socket_(std::move(socket)), family_(family), peer_(std::move(peer)), connect_error_(connect_error) {}

    [[nodiscard]] int descriptor() const override { return socket_.get(); }
    Transfer receive(MutableBytes into) override;
    Transfer send(std::span<const iovec> from) override;
    // Through a pipe of the calling OS thread. SIGPIPE must be ignored (signals.h): splice(2) knows no MSG_NOSIGNAL.
    Transfer send_in_place(Bytes head, Bytes body) override;
    void shutdown_send() override;
    Result<void> connected() override;
    Result<void> configure(const SocketOptions& options) override {
        return configure_socket(socket_.get(), family_, options);
    }
    [[nodiscard]] Address local_address() const override;
    [[nodiscard]] Address peer_address() const override { return peer_; }
    [[nodiscard]] std::optional<PeerProcess> peer_process() const override;

private:
    Descriptor socket_;
    const Family family_;
    const Address peer_;
    const int connect_error_;
};

}  // namespace weft::env
