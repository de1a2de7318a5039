// A write into cold memory, out of a receive buffer that is in the cache: memcpy against streaming stores, with a
// fence per copy, per 4 KiB (what locks of blocks cost), or none.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstring>
#include <random>
#include <vector>

#include "bdev_modules/malloc/copy.h"
#include "env/environment.h"

namespace weft::bdev {
namespace {

constexpr size_t disk_bytes = size_t{512} << 20;
constexpr size_t source_bytes = size_t{256} << 10;

std::byte* disk() {
    static const env::Mapping mapping = [] {
        auto made = env::map_memory(disk_bytes, {.name = "copy_bench", .sharing = env::Sharing::unless_slower});
        WEFT_ASSERT(made.has_value());
        std::memset(made->data(), 1, disk_bytes);
        return std::move(*made);
    }();
    return mapping.data();
}

enum class Fence { none, per_copy, per_block, locked_per_block };

// What a write through the cache costs under a lock.
void cached_locked(std::byte* to, const std::byte* from, size_t bytes) {
    static std::atomic<uint32_t> word{0};
    uint32_t expected = 0;
    word.compare_exchange_strong(expected, 1, std::memory_order_acquire);
    std::memcpy(to, from, bytes);
    word.store(0, std::memory_order_release);
}

template <Fence fence>
void stream(std::byte* to, const std::byte* from, size_t bytes) {
    static std::atomic<uint32_t> word{0};
    constexpr size_t block_bytes = 4096;
    if constexpr (fence == Fence::none || fence == Fence::per_copy) {
        streaming_copy(to, from, bytes);
        if constexpr (fence == Fence::per_copy) streaming_fence();
        return;
    }
    for (size_t at = 0; at < bytes; at += block_bytes) {
        uint32_t expected = 0;
        if (fence == Fence::locked_per_block) word.compare_exchange_strong(expected, 1, std::memory_order_acquire);
        streaming_copy(to + at, from + at, std::min(block_bytes, bytes - at));
        streaming_fence();
        if (fence == Fence::locked_per_block) word.fetch_and(~1U, std::memory_order_release);
    }
}

void cached(std::byte* to, const std::byte* from, size_t bytes) { std::memcpy(to, from, bytes); }

template <size_t index>
void raw(std::byte* to, const std::byte* from, size_t bytes) {
    const auto stores = streaming_stores();
    stores[std::min(index, stores.size() - 1)].copy(to, from, bytes);
}

void write_cold(benchmark::State& state, void (*copy)(std::byte*, const std::byte*, size_t)) {
    const auto bytes = static_cast<size_t>(state.range(0));
    std::vector<std::byte> source(source_bytes, std::byte{7});
    std::minstd_rand random(1);
    std::uniform_int_distribution<size_t> place(0, disk_bytes / bytes - 1);
    size_t from = 0;
    for (auto _ : state) {
        copy(disk() + place(random) * bytes, source.data() + from, bytes);
        from = (from + bytes) % source_bytes;
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(bytes));
}

void sizes(benchmark::internal::Benchmark* bench) { bench->Arg(512)->Arg(4096)->Arg(16384)->Arg(131072); }

BENCHMARK_CAPTURE(write_cold, memcpy, cached)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, memcpy_locked, cached_locked)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, streaming_no_fence, stream<Fence::none>)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, streaming_fence_per_copy, stream<Fence::per_copy>)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, streaming_fence_per_block, stream<Fence::per_block>)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, streaming_locked_block, stream<Fence::locked_per_block>)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, best_raw, raw<0>)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, second_raw, raw<1>)->Apply(sizes);
BENCHMARK_CAPTURE(write_cold, sse2_raw, raw<2>)->Apply(sizes);

}  // namespace
}  // namespace weft::bdev
