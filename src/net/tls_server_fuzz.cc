// A server's TLS core and a client that means harm. The first byte says how: what follows is all that the server is
// fed; or it is fed behind a handshake that went well; or it says which bytes of an honest client's are changed.
// Nobody gets in without a certificate of the authority, what is read is what was written or nothing, and what the
// server says stays in proportion to what it was told.
#include <algorithm>
#include <string>

#include "base/assert.h"
#include "net/test_certificates.h"

namespace weft::net {
namespace {

constexpr env::TimeNs wall = 1'800'000'000 * env::ns_per_s;
constexpr size_t output_max = size_t{64} << 10;  // the server's own flight is two KiB
constexpr const char* secret = "what the client says";

struct Sides {
    TestAuthority authority;
    std::unique_ptr<TlsContext> server;
    std::unique_ptr<TlsContext> client;

    Sides() {
        const TestSubject target{.common_name = "target", .alternative = "DNS:target"};
        server = *TlsContext::make(TlsContext::Side::server, authority.files(authority.issue(target)), wall);
        client =
            *TlsContext::make(TlsContext::Side::client, authority.files(authority.issue({.common_name = "a"})), wall);
    }
};

// The server does what it can with what it has; returns the plaintext.
std::string serve(TlsCore& server, std::string_view bytes) {
    server.feed(bytes_of(bytes));
    server.handshake();
    std::string text;
    std::array<std::byte, 1000> piece;
    while (const size_t count = server.read(piece)) text += text_of(Bytes(piece).first(count));
    if (server.state() == TlsCore::State::open) WEFT_ASSERT(server.peer().common_name == "a");
    if (server.state() == TlsCore::State::failed) WEFT_ASSERT(!server.error().message.empty());
    return text;
}

void feed_raw(TlsCore& server, std::string_view input, size_t piece) {
    size_t said = 0;
    while (!input.empty()) {
        const std::string_view part = input.substr(0, piece);
        input.remove_prefix(part.size());
        WEFT_ASSERT(serve(server, part).empty());
        said += server.take_output().size();
        WEFT_ASSERT(said <= output_max);
    }
}

// An honest client, of whose bytes some are changed: pairs of how many to leave, and what to add to the next.
void feed_changed(TlsCore& server, TlsCore& client, std::string_view changes) {
    bool is_changed = false;
    std::string text;
    for (int round = 0; round < 6; ++round) {
        client.handshake();
        if (round == 3 && client.state() == TlsCore::State::open) client.write(secret);
        std::string bytes = client.take_output();
        for (size_t at = 0; changes.size() >= 2; ++at, changes.remove_prefix(2)) {
            at += static_cast<unsigned char>(changes[0]) * size_t{3};
            if (at >= bytes.size()) break;
            is_changed = is_changed || changes[1] != 0;
            bytes[at] = static_cast<char>(bytes[at] + changes[1]);
        }
        text += serve(server, bytes);
        client.feed(bytes_of(std::string_view(server.take_output())));
    }
    WEFT_ASSERT(text.empty() || text == secret);
    if (!is_changed) WEFT_ASSERT(text == secret);
}

void run(std::string_view input) {
    static const Sides sides;
    const auto first = static_cast<unsigned char>(input[0]);
    input.remove_prefix(1);
    TlsCore server(*sides.server, wall);
    TlsCore client(*sides.client, wall, "target");
    const size_t piece = first / 4 == 0 ? SIZE_MAX : size_t{first} / 4;
    switch (first % 4) {
        case 0:
        case 1: feed_raw(server, input, piece); break;
        case 2:
            feed_changed(server, client, {});
            WEFT_ASSERT(server.state() == TlsCore::State::open);
            feed_raw(server, input, piece);
            break;
        default: feed_changed(server, client, input); break;
    }
    WEFT_ASSERT(first % 4 > 1 || server.state() != TlsCore::State::open);
}

}  // namespace
}  // namespace weft::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 0 && size <= 65536) weft::net::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
