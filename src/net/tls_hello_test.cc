#include "net/tls_hello.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace weft::net {
namespace {

using Octets = std::vector<std::byte>;

// A ClientHello of so many bytes behind its header, in records of `record_bytes`.
Octets hello(size_t body_bytes, size_t record_bytes, uint8_t type = 1) {
    Octets message{static_cast<std::byte>(type), static_cast<std::byte>(body_bytes >> 16),
                   static_cast<std::byte>(body_bytes >> 8), static_cast<std::byte>(body_bytes)};
    message.resize(message.size() + body_bytes, std::byte{0xAB});
    Octets sent;
    for (Bytes rest = message; !rest.empty();) {
        const Bytes part = rest.first(std::min(record_bytes, rest.size()));
        for (const size_t octet : {size_t{22}, size_t{3}, size_t{1}, part.size() >> 8, part.size() & 0xFF}) {
            sent.push_back(static_cast<std::byte>(octet));
        }
        sent.insert(sent.end(), part.begin(), part.end());
        rest = rest.subspan(part.size());
    }
    return sent;
}

TEST(TlsHello, IsCompleteWithItsLastByte) {
    for (const size_t record_bytes : {size_t{1}, size_t{3}, size_t{4}, size_t{100}, size_t{16384}}) {
        const Octets sent = hello(record_bytes < 5 ? 60 : 300, record_bytes);
        for (size_t size = 0; size < sent.size(); ++size) {
            ASSERT_EQ(look_for_hello(Bytes(sent).first(size)), TlsHello::incomplete) << size << " of " << record_bytes;
        }
        EXPECT_EQ(look_for_hello(sent), TlsHello::complete);
        Octets more = sent;
        more.push_back(std::byte{0xFF});
        EXPECT_EQ(look_for_hello(more), TlsHello::complete) << "whatever follows";
    }
    EXPECT_EQ(look_for_hello(hello(0, 4)), TlsHello::complete) << "which OpenSSL refuses";
}

// The record that it ends in may have more in it.
TEST(TlsHello, IsNotCompleteBeforeItsRecordIs) {
    Octets sent = hello(300, 16384);
    sent[4] = static_cast<std::byte>(std::to_integer<uint8_t>(sent[4]) + 1);
    EXPECT_EQ(look_for_hello(sent), TlsHello::incomplete);
    sent.push_back(std::byte{0});
    EXPECT_EQ(look_for_hello(sent), TlsHello::complete);
}

TEST(TlsHello, IsKnownNotToBeOneAtOnce) {
    const Octets sent = hello(300, 100);
    for (const size_t at : {size_t{0}, size_t{1}, size_t{5}, size_t{105}}) {  // record, version, message, next record
        Octets other = sent;
        other[at] = std::byte{23};
        EXPECT_EQ(look_for_hello(Bytes(other).first(at + 1)), TlsHello::none) << at;
    }
    for (const std::byte octet : {std::byte{0}, std::byte{0xFF}}) {  // the record's length
        Octets other = sent;
        other[3] = other[4] = octet;
        EXPECT_EQ(look_for_hello(Bytes(other).first(5)), TlsHello::none);
    }
    EXPECT_EQ(look_for_hello(hello(300, 100, 2)), TlsHello::none);
}

TEST(TlsHello, HasALimit) {
    EXPECT_EQ(look_for_hello(hello(tls_hello_bytes_max - 9, 16384)), TlsHello::complete) << "with two headers";
    const Octets announced = hello(tls_hello_bytes_max, 16384);
    EXPECT_EQ(look_for_hello(Bytes(announced).first(9)), TlsHello::too_long);
    const Octets scattered = hello(61, 1);
    EXPECT_EQ(look_for_hello(Bytes(scattered).first(scattered.size() - 6)), TlsHello::incomplete);
    EXPECT_EQ(look_for_hello(Bytes(scattered).first(scattered.size() - 5)), TlsHello::too_long) << "the 65th record";
    const Octets in_pieces = hello(tls_hello_bytes_max - 4, 1000);
    EXPECT_EQ(look_for_hello(Bytes(in_pieces).first(tls_hello_bytes_max - 1)), TlsHello::incomplete);
    EXPECT_EQ(look_for_hello(Bytes(in_pieces).first(tls_hello_bytes_max)), TlsHello::too_long);
}

}  // namespace
}  // namespace weft::net
