// TCP and UNIX stream sockets of the kernel.
#pragma once

#include "env/network.h"

namespace weft::env {

// Any thread; what it makes belongs to the thread that uses it.
class LinuxNetwork final : public Network {
public:
    Result<std::unique_ptr<Listener>> listen(const Address& address, const ListenOptions& options) override;
    Result<std::unique_ptr<Stream>> connect(const Address& address, const SocketOptions& options) override;
    std::vector<Address> local_addresses(Family family) override;
};

}  // namespace weft::env
