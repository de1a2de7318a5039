#include "nvmf/access/transport_access.h"

#include "nvmf/config_keys.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"
#include "nvmf/transport.h"

namespace weft::nvmf {

Result<void> allow_network(Target& target, Transport& transport, const Network& network) {
    WEFT_TRY(transport.networks.add(network));
    target.config_changed(network_key(transport.name(), network.to_string()));
    return {};
}

Task<Result<void>> forbid_network(Target& target, Transport& transport, Network network) {
    WEFT_CO_TRY(transport.networks.remove(network));
    target.config_changed(network_key(transport.name(), network.to_string()));
    const NetworkList left = transport.networks;
    const std::string trtype(transport.name());
    // Connections on their way to a group were sent there before this is, and so are found.
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        for (Qpair* at = group->qpairs.front(); at != nullptr; at = decltype(group->qpairs)::next(*at)) {
            const TransportId peer = at->peer_id();
            const auto address = env::parse_ip(peer.traddr, 0);
            if (peer.trtype == trtype && address && !left.admits(*address)) at->close("its network may not come");
        }
    }
    co_await resume_on(target.thread());
    co_return Result<void>{};
}

}  // namespace weft::nvmf
