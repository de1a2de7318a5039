// Any bytes as the file of a trace: nothing but entries of tracepoints that there are comes out, no more than the rings
// hold, in files that grow no rings of their own.
//
// The input is the file, but for the fields that no chance would find: the first byte says which of these are set
// right. The second is how often the rings' `next` moves on while they are read, as a writer's would.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/trace_reader.h"

namespace weft::trace {
namespace {

class Bent final : public Source {
public:
    Bent(std::vector<std::byte> bytes, uint8_t moves) : bytes_(std::move(bytes)), moves_(moves) {}
    Result<uint64_t> size_bytes() override { return bytes_.size(); }
    Result<size_t> read(uint64_t offset, MutableBytes into) override {
        if (moves_ > 0 && bytes_.size() >= sizeof(FileHeader) + 8) {
            --moves_;
            const MutableBytes next = MutableBytes(bytes_).subspan(sizeof(FileHeader));
            store(next, load<uint64_t>(next) + moves_);
        }
        if (offset >= bytes_.size()) return size_t{0};
        const size_t count = std::min<uint64_t>(into.size(), bytes_.size() - offset);
        std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), count, into.begin());
        return count;
    }

private:
    std::vector<std::byte> bytes_;
    uint8_t moves_;
};

class Count final : public Sink {
public:
    explicit Count(size_t rings) : of_ring(rings) {}
    void take(uint32_t ring, const Entry& entry) override {
        WEFT_ASSERT(find(entry.point) != nullptr);
        ++of_ring.at(ring);
    }
    std::vector<uint64_t> of_ring;
};

void run(uint8_t choice, uint8_t moves, Bytes rest) {
    std::vector<std::byte> bytes(rest.begin(), rest.end());
    if (bytes.size() >= sizeof(FileHeader)) {
        auto header = load<FileHeader>(bytes);
        if ((choice & 1) == 0) {
            header.magic = file_magic;
            header.version = file_version;
            header.table_digest = table_digest();
        }
        if ((choice & 2) == 0) {
            header.ring_entries = ring_entries_min << (choice >> 6);
            header.ring_count = 1 + (choice >> 4 & 3);
        }
        store(bytes, header);
    }
    if ((choice & 4) == 0 && bytes.size() < 65536) bytes.resize(65536);
    Bent source(std::move(bytes), moves);
    auto reader = TraceReader::open(source);
    if (!reader) return;
    const size_t rings = reader->rings().size();
    WEFT_ASSERT(rings > 0 && rings <= ring_count_max);
    for (const TraceReader::Ring& ring : reader->rings()) {
        WEFT_ASSERT(std::ranges::all_of(ring.name, [](char letter) { return letter >= ' ' && letter <= '~'; }));
    }
    if ((choice & 8) != 0 && !reader->skip()) return;
    for (int round = 0; round < 2; ++round) {
        Count count(rings);
        const auto done = reader->read(count);
        for (const uint64_t entries : count.of_ring) WEFT_ASSERT(entries < reader->header().ring_entries);
        if (!done) return;
    }
}

}  // namespace
}  // namespace weft::trace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2 || size > 65536) return 0;
    weft::trace::run(data[0], data[1], {reinterpret_cast<const std::byte*>(data + 2), size - 2});
    return 0;
}
