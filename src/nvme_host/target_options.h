// Which target, and as whom: what a person writes, and the options of a Controller made of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nvme_host/controller.h"

namespace weft::nvme_host {

struct TargetOptions {
    std::string trtype = "tcp";
    std::string adrfam;
    std::string traddr = "127.0.0.1";
    std::string trsvcid = "4420";
    std::string subnqn;
    std::string hostnqn;
    std::string hostid;
    std::string transport_id;  // all of that in one, as apply_transport_id() takes it; wins
    std::string congestion;
    std::string dhchap_key;       // DHHC-1:… or a file with it
    std::string dhchap_ctrl_key;  // the same
    std::string dhchap_digest;    // the only hash that is offered, for tests; empty: all
    std::string dhchap_dhgroup;   // the only DH group
    bool header_digest = false;
    bool data_digest = false;
    bool tls = false;
    bool concat = false;  // TLS with a key made by authentication
    std::string tls_key;  // NVMeTLSkey-1:…, or a file with one; with it there is TLS
    uint32_t tls_identity_version = 0;
    bool tls_old_derivation = false;  // as libnvme before 1.16 makes keys
    uint32_t kato_ms = 10'000;
    uint32_t timeout_s = 10;
};

// Takes the fields of "trtype:TCP adrfam:IPv4 traddr:10.0.0.1 trsvcid:4420 subnqn:nqn…" (also with "=") over into
// `options`. Errors: invalid_argument, naming the field.
Result<void> apply_transport_id(std::string_view text, TargetOptions& options);

// What a Controller needs. Missing host names are those that nvme-cli keeps in /etc/nvme, or else made from the
// machine's identity. A missing subsystem is `default_subnqn`, unless that is empty.
// Errors: invalid_argument, with what to write instead; not_supported for other transports than TCP.
Result<ControllerOptions> controller_options(const TargetOptions& given, env::Environment& environment,
                                             std::string_view default_subnqn = "");

}  // namespace weft::nvme_host
