#include "base/trace_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace weft::trace {

namespace {

constexpr size_t piece_entries = 1024;

std::string clean(const std::array<char, 48>& name) {
    std::string text;
    for (const char character : name) {
        if (character == 0) break;
        text += character >= ' ' && character <= '~' ? character : '?';
    }
    return text;
}

Result<void> check(const FileHeader& header, uint64_t size_bytes) {
    if (header.magic != file_magic) return fail(Errc::invalid_argument, "this is no trace of Weft");
    if (header.version != file_version || header.table_digest != table_digest()) {
        return fail(Errc::invalid_argument,
                    "this trace was written by another version of Weft; read it with that one's weft");
    }
    const bool is_size = std::has_single_bit(header.ring_entries) && header.ring_entries >= ring_entries_min &&
                         header.ring_entries <= ring_entries_max;
    if (!is_size || header.ring_count == 0 || header.ring_count > ring_count_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("a damaged trace: {} rings of {} entries", header.ring_count, header.ring_entries));
    }
    if (size_bytes < file_bytes(header.ring_entries, header.ring_count)) {
        return fail(Errc::invalid_argument,
                    fmt::format("a damaged trace: {} bytes, and its header tells of {}", size_bytes,
                                file_bytes(header.ring_entries, header.ring_count)));
    }
    return {};
}

}  // namespace

Result<TraceReader> TraceReader::open(Source& source) {
    const auto size = source.size_bytes();
    if (!size) return std::unexpected(size.error());
    TraceReader reader(source, {});
    if (*size < sizeof(FileHeader)) return fail(Errc::invalid_argument, "this is no trace of Weft: it is too short");
    WEFT_TRY(reader.read_exactly(0, bytes_of(reader.header_)));
    WEFT_TRY(check(reader.header_, *size));
    reader.cleared_ns_ = reader.header_.cleared_ns;
    reader.rings_.resize(reader.header_.ring_count);
    for (uint32_t index = 0; index < reader.header_.ring_count; ++index) {
        RingHeader header;
        WEFT_TRY(reader.read_exactly(ring_offset(reader.header_.ring_entries, index), bytes_of(header)));
        reader.rings_[index].name = clean(header.name);
        reader.rings_[index].cpu = header.cpu;
    }
    return reader;
}

Result<void> TraceReader::read_exactly(uint64_t offset, MutableBytes into) {
    const auto count = source_->read(offset, into);
    if (!count) return std::unexpected(count.error());
    if (*count < into.size()) return fail(Errc::invalid_argument, "a damaged trace: it was cut off");
    return {};
}

Result<uint64_t> TraceReader::next_of(uint32_t index) {
    uint64_t next = 0;
    WEFT_TRY(read_exactly(ring_offset(header_.ring_entries, index) + offsetof(RingHeader, next), bytes_of(next)));
    if (next < rings_[index].next) return fail(Errc::invalid_argument, "a damaged trace: a ring went backwards");
    return next;
}

Result<void> TraceReader::skip() {
    for (uint32_t index = 0; index < rings_.size(); ++index) {
        const auto next = next_of(index);
        if (!next) return std::unexpected(next.error());
        rings_[index].next = *next;
    }
    return {};
}

Result<void> TraceReader::read(Sink& sink) {
    WEFT_TRY(read_exactly(offsetof(FileHeader, cleared_ns), bytes_of(cleared_ns_)));
    for (uint32_t index = 0; index < rings_.size(); ++index) WEFT_TRY(read_ring(index, sink));
    return {};
}

Result<void> TraceReader::read_ring(uint32_t index, Sink& sink) {
    Ring& ring = rings_[index];
    const auto next = next_of(index);
    if (!next) return std::unexpected(next.error());
    // What is written meanwhile is for the next call: a writer may be as fast as we are. The oldest entry shares its
    // place with the one that may be being written.
    const uint64_t whole_max = header_.ring_entries - 1;
    if (*next - ring.next > whole_max) {
        lost_ += *next - whole_max - ring.next;
        ring.next = *next - whole_max;
    }
    while (ring.next < *next) {
        const auto end = read_piece(index, *next, sink);
        if (!end) return std::unexpected(end.error());
        ring.next = *end;
    }
    return {};
}

// Some of the entries before `end`; returns the number of the one behind them.
Result<uint64_t> TraceReader::read_piece(uint32_t index, uint64_t end, Sink& sink) {
    const uint64_t first = rings_[index].next;
    const uint64_t place = first & (header_.ring_entries - 1);
    const uint64_t count = std::min({end - first, header_.ring_entries - place, uint64_t{piece_entries}});
    piece_.resize(count);
    const uint64_t start = ring_offset(header_.ring_entries, index) + sizeof(RingHeader);
    WEFT_TRY(read_exactly(start + place * sizeof(Entry), std::as_writable_bytes(std::span(piece_))));
    const auto now = next_of(index);
    if (!now) return std::unexpected(now.error());
    const uint64_t whole_from = *now < header_.ring_entries ? 0 : *now - header_.ring_entries + 1;
    for (uint64_t at = 0; at < count; ++at) {
        const Entry& entry = piece_[at];
        if (first + at < whole_from) {
            ++lost_;
        } else if (find(entry.point) == nullptr) {
            ++damaged_;
        } else if (entry.time_ns >= cleared_ns_) {
            sink.take(index, entry);
        }
    }
    return first + count;
}

}  // namespace weft::trace
