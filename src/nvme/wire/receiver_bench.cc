// What a PDU costs from the bytes of a connection to its events, and its header the other way.
#include <benchmark/benchmark.h>

#include <vector>

#include "nvme/wire/encode.h"
#include "nvme/wire/receiver.h"

namespace weft::nvme::wire {
namespace {

// 64 commands in one read, as a host with a queue depth of 64 sends them.
std::vector<std::byte> commands(uint32_t data_size, const Framing& framing) {
    std::vector<std::byte> stream;
    for (uint16_t cid = 0; cid < 64; ++cid) {
        std::byte header[encoded_size_max];
        const size_t size = encode_capsule_cmd(header, Command{.opcode = 1, .cid = cid}, data_size, framing);
        stream.insert(stream.end(), header, header + size);
        const std::vector<std::byte> data(data_size);
        stream.insert(stream.end(), data.begin(), data.end());
        if (has_data_digest(framing, data_size)) {
            const le32 digest = data_digest(data);
            const Bytes tail = bytes_of(digest);
            stream.insert(stream.end(), tail.begin(), tail.end());
        }
    }
    return stream;
}

void receive(benchmark::State& state, uint32_t data_size, const Framing& framing) {
    const auto stream = commands(data_size, framing);
    PduReceiver receiver(End::controller);
    receiver.resume({.header_digest = framing.header_digest, .data_digest = framing.data_digest});
    int64_t ended = 0;
    for ([[maybe_unused]] auto _ : state) {
        Bytes input = stream;
        while (true) {
            const Event event = receiver.next(input);
            if (event.kind == Event::Kind::need_more) break;
            if (event.kind == Event::Kind::end) ++ended;
            benchmark::DoNotOptimize(event.data.data());
        }
    }
    state.SetItemsProcessed(ended);
}

void reads(benchmark::State& state) { receive(state, 0, {}); }
void reads_header_digest(benchmark::State& state) { receive(state, 0, {.header_digest = true}); }
void writes_4k(benchmark::State& state) { receive(state, 4096, {}); }
void writes_4k_digests(benchmark::State& state) { receive(state, 4096, {.header_digest = true, .data_digest = true}); }
BENCHMARK(reads);
BENCHMARK(reads_header_digest);
BENCHMARK(writes_4k);
BENCHMARK(writes_4k_digests);

void encode_read_answer(benchmark::State& state) {
    std::byte out[encoded_size_max];
    uint16_t cid = 0;
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(
            encode_c2h_data(out, {.cccid = ++cid, .length = 4096, .is_last = true, .is_success = true}, {}));
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encode_read_answer);

}  // namespace
}  // namespace weft::nvme::wire
