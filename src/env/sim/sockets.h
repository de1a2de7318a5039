// The Network of one simulated machine.
#pragma once

#include "env/network.h"
#include "env/sim/machine.h"
#include "env/sim/wire.h"

namespace weft::sim {

class SimNetwork final : public env::Network {
public:
    SimNetwork(Machine& machine, Wire& wire) : machine_(machine), wire_(wire) {}
    Result<std::unique_ptr<env::Listener>> listen(const env::Address& address,
                                                  const env::ListenOptions& options) override;
    Result<std::unique_ptr<env::Stream>> connect(const env::Address& address,
                                                 const env::SocketOptions& options) override;
    std::vector<env::Address> local_addresses(env::Family family) override;

private:
    Machine& machine_;
    Wire& wire_;
};

// Which end of which connection a stream of this world is.
EndId end_of(const env::Stream& stream);

}  // namespace weft::sim
