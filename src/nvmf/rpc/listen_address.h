// The address of a listener as a parameter of methods.
#pragma once

#include <optional>
#include <string>

#include "nvmf/transport_id.h"
#include "rpc/params.h"

namespace weft::nvmf {

struct ListenAddress {
    std::string trtype;
    std::optional<std::string> adrfam;
    std::string traddr;
    std::optional<std::string> trsvcid;
    static constexpr auto fields() {
        using P = ListenAddress;
        return rpc::fields(rpc::required("trtype", &P::trtype, "Transport type: TCP").alias("transport"),
                           rpc::optional("adrfam", &P::adrfam, "IPv4 or IPv6; default: told from traddr"),
                           rpc::required("traddr", &P::traddr, "Numeric address; 0.0.0.0 or :: for all"),
                           rpc::optional("trsvcid", &P::trsvcid, "Port; default 4420"));
    }
    // Errors: invalid_argument, naming the member.
    [[nodiscard]] Result<TransportId> normalised() const {
        return normalise(trtype, adrfam.value_or(""), traddr, trsvcid.value_or(""));
    }
};

}  // namespace weft::nvmf
