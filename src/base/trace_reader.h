// Reads a trace that another process writes, or has left behind: whatever it holds, what comes out is entries of
// tracepoints that there are, and the number of those that were lost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/trace_layout.h"
#include "base/trace_points.h"

namespace weft::trace {

// Where the bytes come from.
class Source {
public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;
    virtual Result<uint64_t> size_bytes() = 0;
    // Fewer than asked for only at the end. They may change between two calls.
    virtual Result<size_t> read(uint64_t offset, MutableBytes into) = 0;
};

// Where entries go, in order for each ring.
class Sink {
public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;
    virtual void take(uint32_t ring, const Entry& entry) = 0;
};

class TraceReader {
public:
    struct Ring {
        std::string name;  // printable characters only
        int cpu = -1;
        uint64_t next = 0;  // of the entries: the number of the next to be read
    };

    // Errors: invalid_argument with what is wrong with the file, or what the source says.
    static Result<TraceReader> open(Source& source);

    // What there is now will not be read.
    Result<void> skip();
    // Gives `sink` the entries since the last call. Errors: the file was cut off, or is not what it was.
    Result<void> read(Sink& sink);

    [[nodiscard]] const FileHeader& header() const { return header_; }
    [[nodiscard]] const std::vector<Ring>& rings() const { return rings_; }
    // Entries that were overwritten before they were read.
    [[nodiscard]] uint64_t lost() const { return lost_; }
    // Entries that are none.
    [[nodiscard]] uint64_t damaged() const { return damaged_; }

private:
    TraceReader(Source& source, const FileHeader& header) : source_(&source), header_(header) {}
    Result<void> read_exactly(uint64_t offset, MutableBytes into);
    Result<uint64_t> next_of(uint32_t index);
    Result<void> read_ring(uint32_t index, Sink& sink);
    Result<uint64_t> read_piece(uint32_t index, uint64_t end, Sink& sink);

    Source* source_;
    FileHeader header_;
    std::vector<Ring> rings_;
    std::vector<Entry> piece_;
    uint64_t cleared_ns_ = 0;
    uint64_t lost_ = 0;
    uint64_t damaged_ = 0;
};

}  // namespace weft::trace
