// Which certificate may do what: the file of --rpc-roles. Lines of a name and a role; "#" begins a comment:
//
//   CN=alice                        admin
//   DNS:gateway1.example            operate
//   URI:spiffe://site/monitoring    read
//
// A name is the subject's common name, or a DNS name or a URI among the subject's alternative names, exactly as it
// stands in the certificate (DNS names in any case). A certificate with several of the names has the most that one of
// them gives.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/tls.h"
#include "rpc/caller.h"

namespace weft::rpc {

class Roles {
public:
    static constexpr size_t entries_max = 10'000;

    // Errors: invalid_argument, with the number of the line.
    static Result<Roles> parse(std::string_view text);

    // none: the certificate is not listed.
    [[nodiscard]] Role role_of(const net::TlsPeer& peer) const;
    [[nodiscard]] size_t size() const { return entries_.size(); }

private:
    std::map<std::string, Role, std::less<>> entries_;  // by name, its kind in front
};

// How a log calls a peer: "CN=alice", or the first of its other names; empty: it has none.
std::string name_of(const net::TlsPeer& peer);

}  // namespace weft::rpc
