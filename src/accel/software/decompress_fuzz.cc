// Decompresses anything, in pieces: nothing is written behind the destination, the answer does not depend on how source
// and destination are cut, and what came out can be compressed and comes back.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "accel/software/deflate.h"
#include "base/assert.h"
#include "base/bytes.h"

namespace weft::accel {
namespace {

constexpr std::byte guard{0xA5};

std::vector<iovec> cut(MutableBytes memory, size_t step) {
    std::vector<iovec> pieces;
    while (!memory.empty()) {
        const size_t bytes = std::min(step, memory.size());
        pieces.push_back({.iov_base = memory.data(), .iov_len = bytes});
        memory = memory.subspan(bytes);
    }
    return pieces;
}

void run(MutableBytes input, size_t room, size_t step) {
    static Deflate deflate;
    std::vector<std::byte> whole(room + 64, guard);
    std::vector<std::byte> parts(room + 64, guard);
    uint64_t made = 0;
    uint64_t made_in_parts = 0;
    const Status status =
        deflate.decompress(cut(MutableBytes(whole).first(room), SIZE_MAX), cut(input, SIZE_MAX), made);
    const Status in_parts =
        deflate.decompress(cut(MutableBytes(parts).first(room), step), cut(input, step + 1), made_in_parts);
    WEFT_ASSERT(status == in_parts);
    WEFT_ASSERT(made <= room && made_in_parts <= room);
    for (const auto* memory : {&whole, &parts}) {
        WEFT_ASSERT(std::all_of(memory->begin() + static_cast<ptrdiff_t>(room), memory->end(),
                                [](std::byte byte) { return byte == guard; }));
    }
    if (status != Status::success) return;
    WEFT_ASSERT(made == made_in_parts &&
                std::equal(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(made), parts.begin()));
    std::vector<std::byte> again(made + made / 8 + 256);
    uint64_t packed = 0;
    WEFT_ASSERT(deflate.compress(static_cast<uint8_t>(step % 4), cut(again, SIZE_MAX),
                                 cut(MutableBytes(whole).first(made), step), packed) == Status::success);
    std::ranges::fill(parts, guard);
    WEFT_ASSERT(deflate.decompress(cut(MutableBytes(parts).first(room), SIZE_MAX),
                                   cut(MutableBytes(again).first(packed), step), made_in_parts) == Status::success);
    WEFT_ASSERT(made == made_in_parts &&
                std::equal(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(made), parts.begin()));
}

}  // namespace
}  // namespace weft::accel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2 || size > 65536) return 0;
    std::vector<std::byte> input(size - 2);
    std::copy_n(reinterpret_cast<const std::byte*>(data) + 2, input.size(), input.begin());
    weft::accel::run(input, size_t{data[0]} * data[0], size_t{1} + data[1]);
    return 0;
}
