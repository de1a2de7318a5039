// What a TLS client says first (RFC 8446, 4.1.2), before anybody takes it apart: so that a crowd which never says all
// of it costs the bytes that it sent, and not OpenSSL's state for each.
#pragma once

#include "base/bytes.h"

namespace weft::net {

enum class TlsHello : uint8_t {
    incomplete,
    complete,
    none,  // and will never be one: OpenSSL finds the words for that
    too_long,
};

// With its records' headers. Those of hosts have 300 to 2000, in one record.
inline constexpr size_t tls_hello_bytes_max = size_t{16} << 10;
inline constexpr size_t tls_hello_records_max = 64;

// Of all that the client has sent so far.
TlsHello look_for_hello(Bytes received);

}  // namespace weft::net
