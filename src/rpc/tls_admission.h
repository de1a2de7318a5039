// Clients that come through TLS and prove by a certificate who they are; a file says what they may.
#pragma once

#include "net/tls_connection.h"
#include "rpc/caller.h"
#include "rpc/roles.h"

namespace weft::rpc {

// Lives on the thread of its servers, and longer; stop() before its end, after theirs.
class TlsAdmission final : public Admission {
public:
    TlsAdmission(std::unique_ptr<net::TlsContext> context, Roles roles)
        : context_(std::move(context)), roles_(std::move(roles)) {}

    // From now on: certificates for those that connect, roles for every call.
    void replace(std::unique_ptr<net::TlsContext> context, Roles roles);
    Task<void> stop() { return handshakes_.close(); }

    std::unique_ptr<net::Channel> open(Thread& thread, std::unique_ptr<env::Stream> stream,
                                       net::ConnectionUser& user) override;
    [[nodiscard]] Caller caller_of(net::Channel& channel) const override;

private:
    std::unique_ptr<net::TlsContext> context_;
    Roles roles_;
    net::TlsHandshakes handshakes_;
};

}  // namespace weft::rpc
