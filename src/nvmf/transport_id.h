// The address of a listener or a connection, in the form of the field's RPCs (nvmf_listen_address).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "env/address.h"

namespace weft::nvmf {

struct TransportId {
    std::string trtype = "TCP";
    std::string adrfam;   // "IPv4", "IPv6"
    std::string traddr;   // numeric
    std::string trsvcid;  // a port number

    friend bool operator==(const TransportId&, const TransportId&) = default;
    friend auto operator<=>(const TransportId&, const TransportId&) = default;
};

TransportId transport_id_of(const env::Address& address);
// For the socket. Errors: invalid_argument, saying which part is wrong.
Result<env::Address> address_of(const TransportId& id);

// From what a person or a program wrote: trtype and adrfam in any case, adrfam told from the address when it is not
// given, the address in its shortest form. Errors: invalid_argument.
Result<TransportId> normalise(std::string_view trtype, std::string_view adrfam, std::string_view traddr,
                              std::string_view trsvcid);

bool equal_ignoring_case(std::string_view left, std::string_view right);

}  // namespace weft::nvmf
