// A server of pre-shared keys and a client that means harm. The first byte says how: what follows is all that the
// server is fed; or which bytes of an honest client's handshake are changed; or which of its records, after the
// handshake. Nobody gets in without the key, what is read is what was written or nothing, and what the server says
// stays in proportion to what it was told.
#include <algorithm>
#include <string>

#include "base/assert.h"
#include "net/tls_hello.h"
#include "net/tls_psk.h"

namespace weft::net {
namespace {

constexpr size_t output_max = 4096;  // the server's own flight has some hundred bytes
constexpr std::string_view secret = "what the client says";

PskKey the_key() {
    const std::array<std::byte, 32> bytes{std::byte{1}};
    return {"NVMe0R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a", bytes};
}

struct Contexts {
    std::unique_ptr<PskContext> server = *PskContext::make(PskContext::Side::server);
    std::unique_ptr<PskContext> client = *PskContext::make(PskContext::Side::client);
    PskKey key = the_key();
};

// What one side sent lies here until the other takes it.
class Wire final : public env::Stream {
public:
    explicit Wire(std::string& in, std::string& out) : in_(in), out_(out) {}
    env::Transfer receive(MutableBytes into) override {
        const size_t count = std::min(into.size(), in_.size());
        if (count == 0) return {.state = env::Transfer::State::would_block};
        std::copy_n(bytes_of(std::string_view(in_)).begin(), count, into.begin());
        in_.erase(0, count);
        return {.state = env::Transfer::State::done, .bytes = count};
    }
    env::Transfer send(std::span<const iovec> from) override {
        size_t sent = 0;
        for (const iovec& piece : from) {
            out_.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
            sent += piece.iov_len;
        }
        return {.state = env::Transfer::State::done, .bytes = sent};
    }
    void shutdown_send() override {}
    Result<void> connected() override { return {}; }
    Result<void> configure(const env::SocketOptions&) override { return {}; }
    [[nodiscard]] env::Address local_address() const override { return {}; }
    [[nodiscard]] env::Address peer_address() const override { return {}; }

private:
    std::string& in_;
    std::string& out_;
};

// The server does what it can with what it has. True: it has heard a ClientHello.
bool serve(PskHandshake& server, const PskKey& key, std::string_view bytes) {
    server.feed(bytes_of(bytes));
    server.step();
    const bool has_heard = server.state() == PskHandshake::State::wants_key;
    if (has_heard) {
        const PskKey* chosen = nullptr;
        WEFT_ASSERT(server.offers().size() <= PskHandshake::offers_max);
        for (const PskOffer& offer : server.offers()) {
            (void)server.proves(offer, key);
            if (offer.identity == key.identity) chosen = &key;
        }
        server.choose(chosen);
        server.step();
    }
    if (server.state() == PskHandshake::State::failed) WEFT_ASSERT(!server.error().message.empty());
    return has_heard;
}

void feed_raw(const Contexts& contexts, std::string_view input, size_t piece) {
    PskHandshake server(*contexts.server);
    size_t said = 0;
    size_t fed = 0;
    bool has_heard = false;
    const Bytes all = bytes_of(input);
    while (!input.empty()) {
        const std::string_view part = input.substr(0, piece);
        input.remove_prefix(part.size());
        fed += part.size();
        has_heard |= serve(server, contexts.key, part);
        // A ClientHello is one for OpenSSL when it is one for us, or OpenSSL has something against it.
        const TlsHello hello = look_for_hello(all.first(fed));
        if (hello == TlsHello::incomplete) WEFT_ASSERT(!has_heard);
        if (hello == TlsHello::complete) WEFT_ASSERT(has_heard || server.state() == PskHandshake::State::failed);
        said += server.take_output().size();
        WEFT_ASSERT(server.state() != PskHandshake::State::open && said <= output_max);
    }
}

// Pairs of how many bytes to leave, and what to add to the next. True: something is another than it was.
bool change(std::string& bytes, std::string_view changes) {
    bool is_changed = false;
    for (size_t at = 0; changes.size() >= 2; ++at, changes.remove_prefix(2)) {
        at += static_cast<unsigned char>(changes[0]) * size_t{3};
        if (at >= bytes.size()) break;
        is_changed = is_changed || changes[1] != 0;
        bytes[at] = static_cast<char>(bytes[at] + changes[1]);
    }
    return is_changed;
}

void feed_changed(const Contexts& contexts, std::string_view changes, bool in_handshake) {
    PskHandshake server(*contexts.server);
    PskHandshake client(*contexts.client, contexts.key);
    bool is_changed = false;
    for (int round = 0; round < 4; ++round) {
        client.step();
        std::string bytes = client.take_output();
        if (in_handshake) is_changed = change(bytes, changes) || is_changed;
        serve(server, contexts.key, bytes);
        const std::string answer = server.take_output();
        WEFT_ASSERT(answer.size() <= output_max);
        client.feed(bytes_of(std::string_view(answer)));
    }
    const bool is_open = server.state() == PskHandshake::State::open && client.state() == PskHandshake::State::open;
    WEFT_ASSERT(is_open || is_changed);
    if (!is_open) return;
    std::string there;
    std::string back;
    const auto sender = client.into_stream(std::make_unique<Wire>(back, there));
    const auto receiver = server.into_stream(std::make_unique<Wire>(there, back));
    const iovec piece{.iov_base = const_cast<char*>(secret.data()), .iov_len = secret.size()};
    WEFT_ASSERT(sender->send({&piece, 1}).bytes == secret.size());
    const bool is_record_changed = !in_handshake && change(there, changes);
    std::array<std::byte, 100> into;
    const env::Transfer got = receiver->receive(into);
    WEFT_ASSERT(got.bytes == 0 || text_of(Bytes(into).first(got.bytes)) == secret);
    WEFT_ASSERT(got.bytes == secret.size() || is_record_changed);
}

void run(std::string_view input) {
    static const Contexts contexts;
    const auto first = static_cast<unsigned char>(input[0]);
    input.remove_prefix(1);
    switch (first % 3) {
        case 0: feed_raw(contexts, input, first / 3 == 0 ? SIZE_MAX : size_t{first} / 3); break;
        case 1: feed_changed(contexts, input, true); break;
        default: feed_changed(contexts, input, false); break;
    }
}

}  // namespace
}  // namespace weft::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 0 && size <= 65536) weft::net::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
