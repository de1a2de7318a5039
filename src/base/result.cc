#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace weft {

namespace {

struct ErrcRow {
    Errc code;
    int number;
    std::string_view phrase;
};

constexpr ErrcRow rows[] = {
    {Errc::invalid_argument, EINVAL, "invalid argument"},
    {Errc::not_found, ENOENT, "not found"},
    {Errc::no_such_device, ENODEV, "no such device"},
    {Errc::already_exists, EEXIST, "already exists"},
    {Errc::busy, EBUSY, "busy"},
    {Errc::again, EAGAIN, "try again"},
    {Errc::no_memory, ENOMEM, "out of memory"},
    {Errc::no_space, ENOSPC, "no space left"},
    {Errc::permission_denied, EACCES, "permission denied"},
    {Errc::io_error, EIO, "input/output error"},
    {Errc::timed_out, ETIMEDOUT, "timed out"},
    {Errc::not_supported, ENOTSUP, "not supported"},
    {Errc::cancelled, ECANCELED, "cancelled"},
    {Errc::out_of_range, ERANGE, "out of range"},
    {Errc::too_many, EMFILE, "too many"},
    {Errc::address_in_use, EADDRINUSE, "address in use"},
    {Errc::connection_refused, ECONNREFUSED, "connection refused"},
    {Errc::connection_lost, ECONNRESET, "connection lost"},
    {Errc::protocol_error, EPROTO, "protocol error"},
    {Errc::in_progress, EINPROGRESS, "in progress"},
};

}  // namespace

int to_errno(Errc code) {
    for (const ErrcRow& row : rows) {
        if (row.code == code) return row.number;
    }
    return EIO;
}

Errc errc_from_errno(int number) {
    for (const ErrcRow& row : rows) {
        if (row.number == number) return row.code;
    }
    switch (number) {
        case EPERM: return Errc::permission_denied;
        case ENXIO: return Errc::no_such_device;
        case ENFILE: return Errc::too_many;
        case ENOBUFS: return Errc::no_memory;
        case EDQUOT: return Errc::no_space;
        case EFBIG: return Errc::no_space;
        case EPIPE:
        case ENOTCONN:
        case ECONNABORTED: return Errc::connection_lost;
        case ENOSYS:
        case EAFNOSUPPORT: return Errc::not_supported;
        case EADDRNOTAVAIL: return Errc::invalid_argument;
        default: return Errc::io_error;
    }
}

std::string_view describe(Errc code) {
    for (const ErrcRow& row : rows) {
        if (row.code == code) return row.phrase;
    }
    return "error";
}

std::unexpected<Error> fail_errno(int number, std::string_view doing) {
    std::string message(doing);
    message += ": ";
    message += std::system_category().message(number);
    return fail(errc_from_errno(number), std::move(message));
}

}  // namespace weft
