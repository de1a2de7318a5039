// A connection on its way from the listening socket to a poll group.
#pragma once

#include <memory>
#include <vector>

#include "env/network.h"
#include "nvmf/secure/secure_channel.h"
#include "nvmf/tcp/limits.h"
#include "nvmf/transport_id.h"

namespace weft::nvmf::tcp {

struct NewConnection {
    std::unique_ptr<env::Stream> stream;
    TransportId listener;
    ConnectionLimits::Place place;
    std::unique_ptr<const SecureChannel> secure;  // once it is through TLS
    std::vector<std::byte> received;  // of the host, before the poll group had it
};

}  // namespace weft::nvmf::tcp
