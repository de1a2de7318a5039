// In-band authentication of a queue, as its host: proves who we are with DH-HMAC-CHAP, and has the controller do the
// same (NVMe Base 2.0, 8.13.5). With a secure channel (8.13.5.9), what comes of it is a key for TLS, too. The protocol
// itself is nvme/auth/host_side.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "env/environment.h"
#include "net/tls_psk.h"
#include "nvme/auth/host_side.h"
#include "nvme_host/qpair.h"

namespace weft::nvme_host {

// What a host authenticates with. Copied with the options of a controller; each copy is wiped.
struct DhchapKeys {
    nvme::auth::Key host;
    std::optional<nvme::auth::Key> controller;  // the controller must prove itself with this one
    nvme::auth::Allowed allowed;                // what is offered

    DhchapKeys() = default;
    DhchapKeys(const DhchapKeys& other) { *this = other; }
    DhchapKeys& operator=(const DhchapKeys& other);
    DhchapKeys(DhchapKeys&&) = default;
    DhchapKeys& operator=(DhchapKeys&&) = default;
    ~DhchapKeys() = default;
};

// A key as a person gives it: the text itself (DHHC-1:…), or the name of a file with it, which must be kept from
// others. Blocks. Errors: those of env::Files::read_key() and nvme::auth::parse_key().
Result<nvme::auth::Key> read_dhchap_key(env::Environment& environment, const std::string& given);

// Authenticates a connected queue, on its thread; also once more, while it works. `transaction` differs from that of
// the exchange before. Returns the key that `channel` asks for, which the target knows by then. Errors:
// permission_denied, with the reason that one side gave; those of the queue. After an error the queue is of no more
// use: its controller ends it.
Task<Result<std::optional<net::PskKey>>> authenticate(Qpair& qpair, nvme::auth::Parties parties, const DhchapKeys& keys,
                                                      uint16_t transaction, nvme::auth::SecureChannel channel);

}  // namespace weft::nvme_host
