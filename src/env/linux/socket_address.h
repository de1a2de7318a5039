// Addresses as the kernel wants them.
#pragma once

#include <sys/socket.h>

#include "base/result.h"
#include "env/address.h"

namespace weft::env {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);

    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] int family() const { return storage.ss_family; }
};

// Errors: invalid_argument (not numeric, no such interface after '%', a path too long for a socket).
Result<SocketAddress> to_system(const Address& address);
// An unnamed UNIX address has an empty host.
Address from_system(const SocketAddress& address);

}  // namespace weft::env
