#include "rpc/tls_admission.h"

#include "base/assert.h"

namespace weft::rpc {

void TlsAdmission::replace(std::unique_ptr<net::TlsContext> context, Roles roles) {
    context_ = std::move(context);
    roles_ = std::move(roles);
}

std::unique_ptr<net::Channel> TlsAdmission::open(Thread& thread, std::unique_ptr<env::Stream> stream,
                                                 net::ConnectionUser& user) {
    return std::make_unique<net::TlsConnection>(thread, std::move(stream), user, *context_, handshakes_);
}

Caller TlsAdmission::caller_of(net::Channel& channel) const {
    const net::TlsPeer* const peer = channel.tls_peer();
    Caller caller{.role = Role::none, .name = {}, .address = env::to_string(channel.stream().peer_address())};
    if (peer == nullptr) return caller;
    caller.role = roles_.role_of(*peer);
    caller.name = name_of(*peer);
    return caller;
}

}  // namespace weft::rpc
