// A trace that was read, as text for people, or as JSON for Perfetto (ui.perfetto.dev) and chrome://tracing.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/trace_reader.h"

namespace weft::cli {

struct TraceRecord {
    uint32_t ring = 0;
    uint32_t number = 0;  // among those of its ring
    trace::Entry entry;
};

struct RecordedTrace {
    trace::FileHeader header;
    std::vector<trace::TraceReader::Ring> rings;
    std::vector<TraceRecord> records;  // by time
    uint64_t lost = 0;                 // overwritten before they were read, or more than were to be kept
};

// Keeps so many entries, in bounded memory: when there are more, the oldest of the ring that has the most goes.
class TraceCollection final : public trace::Sink {
public:
    // `entries_max` of all rings together.
    TraceCollection(size_t rings, size_t entries_max);
    void take(uint32_t ring, const trace::Entry& entry) override;
    [[nodiscard]] size_t size() const { return size_; }
    // Entries that were given up for newer ones.
    [[nodiscard]] uint64_t dropped() const { return dropped_; }
    // All of them by time. Nothing is left here.
    std::vector<TraceRecord> release();

private:
    const size_t entries_max_;
    std::vector<std::deque<trace::Entry>> rings_;
    size_t size_ = 0;
    uint64_t dropped_ = 0;
};

// The names of what BDEV_IO_START calls type, as bdev::Op counts them.
inline constexpr std::string_view trace_io_types[] = {"read",
                                                      "write",
                                                      "flush",
                                                      "unmap",
                                                      "write_zeroes",
                                                      "compare",
                                                      "compare_and_write",
                                                      "copy",
                                                      "verify",
                                                      "write_uncorrectable",
                                                      "zone_append",
                                                      "zone_management"};

// Chrome's trace event format: a track for each reactor, and a slice for each command with its stages and the device's
// work in it.
std::string to_chrome_json(const RecordedTrace& trace);
// A line for each entry.
std::string to_text(const RecordedTrace& trace);

// How many commands of hosts begin and end in it.
size_t count_whole_commands(const RecordedTrace& trace);

}  // namespace weft::cli
