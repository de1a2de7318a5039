// Two simulated machines and a connection between them, for tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "env/sim/world.h"

namespace weft::sim {

struct TestPair {
    explicit TestPair(uint64_t seed, const Options& options = {}) : world(seed, options) {}

    void connect(const env::SocketOptions& socket_options = {}) {
        listener = std::move(*target->network().listen(world.address_of("target", env::Family::ipv4, 4420), {}));
        client = std::move(*host->network().connect(listener->local_address(), socket_options));
        while (server == nullptr || !client->connected()) {
            ASSERT_TRUE(world.step());
            if (server != nullptr) continue;
            if (auto accepted = listener->accept()) server = std::move(*accepted);
        }
    }

    // Steps until `condition` holds; false when the world comes to rest before.
    bool run_until(const std::function<bool()>& condition) {
        while (!condition()) {
            if (!world.step()) return condition();
        }
        return true;
    }

    void run_to_rest() {
        while (world.step()) {
        }
    }

    static env::Transfer send(env::Stream& stream, std::string_view text) {
        const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
        return stream.send(std::span(&piece, 1));
    }

    // All that is there now; `last` is what ended it.
    static std::string receive_all(env::Stream& stream, env::Transfer* last = nullptr) {
        std::string text;
        for (;;) {
            std::array<std::byte, 4096> buffer;
            const env::Transfer transfer = stream.receive(buffer);
            if (last != nullptr) *last = transfer;
            if (transfer.state != env::Transfer::State::done) return text;
            text.append(text_of(Bytes(buffer).first(transfer.bytes)));
        }
    }

    World world;
    std::unique_ptr<env::Environment> target{world.make_environment("target")};
    std::unique_ptr<env::Environment> host{world.make_environment("host")};
    std::unique_ptr<env::Listener> listener;
    std::unique_ptr<env::Stream> client;
    std::unique_ptr<env::Stream> server;
};

}  // namespace weft::sim
