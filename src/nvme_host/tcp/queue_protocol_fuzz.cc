// A controller that sends anything, in pieces of any size, while commands are outstanding: no byte outside a read's
// buffer changes, no byte of a write's does, and every command is done exactly once.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "nvme/wire/encode.h"
#include "nvme_host/tcp/queue_protocol.h"

namespace {

using namespace weft;  // NOLINT: a program of its own
using nvme_host::Io;
using nvme_host::tcp::ProtocolOptions;
using nvme_host::tcp::QueueProtocol;

constexpr std::byte guard{0xA5};

struct Command {
    static constexpr size_t margin = 64;
    Io io;
    std::vector<std::byte> memory;
    std::array<iovec, 2> pieces{};
    bool is_read = false;
    int done_count = 0;

    void prepare(nvme::IoOpcode opcode, size_t size) {
        is_read = opcode == nvme::IoOpcode::read;
        memory.assign(size + 2 * margin, guard);
        pieces = {iovec{memory.data() + margin, size / 3}, iovec{memory.data() + margin + size / 3, size - size / 3}};
        io.data = pieces;
        io.command.opcode = static_cast<uint8_t>(opcode);
        io.context = this;
        io.done = [](Io& done) { ++static_cast<Command*>(done.context)->done_count; };
    }
    void check() const {
        const auto is_guard = [](std::byte byte) { return byte == guard; };
        const auto start = memory.begin();
        WEFT_ASSERT(std::all_of(start, start + margin, is_guard));
        WEFT_ASSERT(std::all_of(memory.end() - margin, memory.end(), is_guard));
        WEFT_ASSERT(is_read || std::ranges::all_of(memory, is_guard));
        WEFT_ASSERT(done_count == 1);
    }
};

// As a socket that takes `bytes_max` at a time.
void send(QueueProtocol& protocol, size_t bytes_max) {
    std::array<iovec, 16> pieces{};
    const auto gathered = protocol.gather(pieces, SIZE_MAX);
    size_t described = 0;
    for (const iovec& piece : std::span(pieces).first(gathered.pieces)) described += piece.iov_len;
    WEFT_ASSERT(described == gathered.bytes);
    protocol.sent(std::min(gathered.bytes, bytes_max), 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    Bytes input = std::as_bytes(std::span(data, size));
    const auto choices = std::to_integer<unsigned>(input[0]);
    const size_t step = std::to_integer<size_t>(input[1]) + 1;
    input = input.subspan(2);
    const ProtocolOptions options{.depth = 4,
                                  .header_digest = (choices & 1) != 0,
                                  .data_digest = (choices & 2) != 0,
                                  .data_alignment = static_cast<uint8_t>(choices & 4),
                                  .in_capsule_max = (choices & 8) != 0 ? 1024u : 0u,
                                  .discard = (choices & 16) != 0};
    std::array<Command, 6> commands;
    {
        QueueProtocol protocol(options);
        protocol.start();
        send(protocol, SIZE_MAX);
        if ((choices & 32) == 0) {  // else the input begins with the ICResp
            std::array<std::byte, 256> answer{};
            const size_t length = nvme::wire::encode_ic_resp(
                answer, {.header_digest = options.header_digest, .data_digest = options.data_digest, .limit = 4096});
            protocol.receive(Bytes(answer).first(length), 0);
        }
        for (size_t at = 0; at < commands.size(); ++at) {
            commands[at].prepare(at % 2 == 0 ? nvme::IoOpcode::read : nvme::IoOpcode::write, 600 + at * 1000);
            protocol.submit(commands[at].io, 0);
        }
        while (!input.empty() && !protocol.failure()) {
            send(protocol, (choices & 64) != 0 ? 100 : SIZE_MAX);
            Bytes piece = input.first(std::min(step, input.size()));
            const MutableBytes direct = protocol.direct_destination(16);
            if (!direct.empty()) {
                piece = piece.first(std::min(piece.size(), direct.size()));
                std::ranges::copy(piece, direct.begin());
                protocol.receive(direct.first(piece.size()), 0);
            } else {
                protocol.receive(piece, 0);
            }
            input = input.subspan(piece.size());
        }
        send(protocol, SIZE_MAX);
        protocol.lost();
        while (Io* io = protocol.pop_done()) io->done(*io);
        WEFT_ASSERT(protocol.is_empty() && protocol.in_flight() == 0);
    }
    for (const Command& command : commands) command.check();
    return 0;
}
