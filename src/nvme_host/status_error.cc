#include "nvme_host/status_error.h"

#include <fmt/format.h>

#include "nvme/fabrics.h"
#include "nvme/status.h"

namespace weft::nvme_host {

namespace {

namespace status = nvme::status;

struct Meaning {
    nvme::Status status;
    Errc code{};
    bool fabrics = false;
};

// clang-format off
constexpr Meaning meanings[] = {
    {status::connect_invalid_host,             Errc::permission_denied, true},
    {status::connect_controller_busy,          Errc::busy,              true},
    {status::connect_invalid_parameters,       Errc::invalid_argument,  true},
    {status::authentication_required,          Errc::permission_denied, true},
    {status::invalid_opcode,                   Errc::not_supported,     false},
    {status::invalid_field,                    Errc::invalid_argument,  false},
    {status::invalid_namespace_or_format,      Errc::not_found,         false},
    {status::invalid_log_page,                 Errc::not_supported,     false},
    {status::namespace_not_ready,              Errc::busy,              false},
    {status::namespace_write_protected,        Errc::permission_denied, false},
    {status::lba_out_of_range,                 Errc::out_of_range,      false},
    {status::capacity_exceeded,                Errc::no_space,          false},
    {status::reservation_conflict,             Errc::busy,              false},
    {status::aborted_by_request,               Errc::cancelled,         false},
    {status::host_path_error,                  Errc::connection_lost,   false},
};
// clang-format on

Errc code_of(nvme::Status status, bool fabrics) {
    for (const Meaning& meaning : meanings) {
        if (meaning.status.is(status) && (fabrics || !meaning.fabrics)) return meaning.code;
    }
    return Errc::io_error;
}

// Which parameter of Connect the controller did not like: IATTR and IPO of CDW0 (NVMe Base 2.0, 6.3).
std::string connect_parameter(uint32_t cdw0) {
    const uint32_t offset = cdw0 & 0xFFFF;
    if ((cdw0 & 1u << 16) == 0) {
        switch (offset) {
            case offsetof(nvme::ConnectCommand, recfmt): return ", parameter RECFMT";
            case offsetof(nvme::ConnectCommand, qid): return ", parameter QID";
            case offsetof(nvme::ConnectCommand, sqsize): return ", parameter SQSIZE (the queue depth)";
            case offsetof(nvme::ConnectCommand, cattr): return ", parameter CATTR";
            case offsetof(nvme::ConnectCommand, kato): return ", parameter KATO";
            default: return fmt::format(", offset {} of the command", offset);
        }
    }
    switch (offset) {
        case offsetof(nvme::ConnectData, hostid): return ", parameter HOSTID";
        case offsetof(nvme::ConnectData, cntlid): return ", parameter CNTLID";
        case offsetof(nvme::ConnectData, subnqn): return ", parameter SUBNQN: there is no such subsystem here";
        case offsetof(nvme::ConnectData, hostnqn): return ", parameter HOSTNQN";
        default: return fmt::format(", offset {} of the data", offset);
    }
}

}  // namespace

Error status_error(std::string_view step, const nvme::Completion& completion, bool fabrics) {
    const auto status = nvme::Status::from_wire(completion.status);
    std::string message = fmt::format("{}: {}", step, nvme::describe(status, fabrics));
    Errc code = code_of(status, fabrics);
    if (fabrics && status.is(status::connect_invalid_parameters)) {
        message += connect_parameter(completion.cdw0);
        const bool is_subnqn = completion.cdw0 == nvme::connect_invalid(offsetof(nvme::ConnectData, subnqn), true);
        if (is_subnqn) code = Errc::not_found;
    }
    if (fabrics && status.is(status::connect_invalid_host)) {
        message += ": the subsystem does not allow this host NQN";
    }
    return {code, std::move(message)};
}

}  // namespace weft::nvme_host
