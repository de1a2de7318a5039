#include "net/tls_hello.h"

#include <algorithm>
#include <array>

namespace weft::net {

namespace {

// RFC 8446, 5.1 and 4.
constexpr std::byte handshake_record{22};
constexpr std::byte client_hello{1};
constexpr std::byte tls_version_major{3};
constexpr size_t record_header_bytes = 5;  // type, version, length
constexpr size_t record_bytes_max = size_t{1} << 14;
constexpr size_t message_header_bytes = 4;  // type, 24 bits of length

size_t number_of(Bytes big_endian) {
    size_t number = 0;
    for (const std::byte byte : big_endian) number = number << 8 | std::to_integer<size_t>(byte);
    return number;
}

}  // namespace

// A message may lie in several records, and its header, too.
TlsHello look_for_hello(Bytes received) {
    const bool is_full = received.size() >= tls_hello_bytes_max;
    const TlsHello unfinished = is_full ? TlsHello::too_long : TlsHello::incomplete;
    std::array<std::byte, message_header_bytes> header{};
    size_t message_bytes = 0;  // of it, so far
    size_t records = 0;
    for (Bytes rest = received; !rest.empty(); ++records) {
        if (records == tls_hello_records_max) return TlsHello::too_long;
        if (rest.front() != handshake_record) return TlsHello::none;
        if (rest.size() > 1 && rest[1] != tls_version_major) return TlsHello::none;
        if (rest.size() < record_header_bytes) return unfinished;
        const size_t length = number_of(rest.subspan(3, 2));
        if (length == 0 || length > record_bytes_max) return TlsHello::none;
        rest = rest.subspan(record_header_bytes);
        const Bytes fragment = rest.first(std::min(length, rest.size()));
        if (message_bytes < header.size()) {
            const size_t count = std::min(header.size() - message_bytes, fragment.size());
            std::copy_n(fragment.begin(), count, header.begin() + static_cast<ptrdiff_t>(message_bytes));
        }
        message_bytes += fragment.size();
        if (message_bytes > 0 && header[0] != client_hello) return TlsHello::none;
        if (message_bytes >= header.size()) {
            const size_t size = header.size() + number_of(Bytes(header).subspan(1));
            if (message_bytes >= size && fragment.size() == length) return TlsHello::complete;
            if (size > tls_hello_bytes_max) return TlsHello::too_long;
        }
        if (fragment.size() < length) return unfinished;  // nobody looks into a record that is not there as a whole
        rest = rest.subspan(length);
    }
    return unfinished;
}

}  // namespace weft::net
