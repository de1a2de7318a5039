// Encryption through the framework against the bare cipher, for blocks and I/Os of the usual sizes. Figures for
// docs/performance.md: weft_accel_bench --benchmark_filter=Xts.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <vector>

#include "accel/framework.h"
#include "base/assert.h"
#include "bdev/test_runtime.h"

namespace weft::accel {
namespace {

using Memory = std::vector<std::byte>;

Memory keys() {
    Memory both(32, std::byte{1});
    std::fill(both.begin() + 16, both.end(), std::byte{2});
    return both;
}

// Nothing but the library: the tweak is set, a block goes through.
void bare_xts(benchmark::State& state) {
    const auto io_bytes = static_cast<size_t>(state.range(0));
    const auto block_bytes = static_cast<size_t>(state.range(1));
    const Memory both = keys();
    EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-128-XTS", nullptr);
    EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex2(context, cipher, reinterpret_cast<const unsigned char*>(both.data()), nullptr, nullptr);
    Memory from(io_bytes, std::byte{3});
    Memory to(io_bytes);
    uint64_t lba = 0;
    for (auto _ : state) {  // NOLINT(clang-analyzer-deadcode.DeadStores): the library has it so
        for (size_t at = 0; at < io_bytes; at += block_bytes) {
            const std::array<uint64_t, 2> tweak{0, lba++};
            int made = 0;
            EVP_EncryptInit_ex2(context, nullptr, nullptr, reinterpret_cast<const unsigned char*>(tweak.data()),
                                nullptr);
            EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(to.data() + at), &made,
                              reinterpret_cast<const unsigned char*>(from.data() + at), static_cast<int>(block_bytes));
        }
        benchmark::DoNotOptimize(to.data());
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
}

// NOLINTNEXTLINE(readability-function-size): the macro nests
void framework_xts(benchmark::State& state) {
    const auto io_bytes = static_cast<size_t>(state.range(0));
    const Memory both = keys();
    bdev::TestRuntime world;
    Framework framework;
    const auto added =
        framework.keys().add(framework.module_of(Op::encrypt),
                             {.name = "k", .key = Secret(Bytes(both).first(16)), .key2 = Secret(Bytes(both).last(16))});
    WEFT_ASSERT(added.has_value());
    world.as(world.data_thread(), [&] {
        auto channel = std::move(*framework.channel());
        auto key = std::move(*channel->prepare(*framework.keys().find("k"), static_cast<uint32_t>(state.range(1))));
        Memory from(io_bytes, std::byte{3});
        Memory to(io_bytes);
        const iovec source{.iov_base = from.data(), .iov_len = io_bytes};
        const iovec target{.iov_base = to.data(), .iov_len = io_bytes};
        Operation operation;
        uint64_t lba = 0;
        for (auto _ : state) {
            operation.job = cipher(Op::encrypt, *key, lba, {&target, 1}, {&source, 1});
            const Progress progress = channel->submit(operation);
            WEFT_ASSERT(progress == Progress::done && operation.status == Status::success);
            ++lba;
            benchmark::DoNotOptimize(to.data());
        }
        key.reset();
    });
    world.settle();
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

void sizes(benchmark::internal::Benchmark* bench) {
    for (const int64_t io : {4096, 131072}) {
        for (const int64_t block : {512, 4096}) bench->Args({io, block});
    }
}
BENCHMARK(bare_xts)->Name("Xts/bare")->Apply(sizes);
BENCHMARK(framework_xts)->Name("Xts/framework")->Apply(sizes);

}  // namespace
}  // namespace weft::accel
