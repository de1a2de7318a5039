// What the checker did, in a file: a checker that was killed goes on where it was, and `check` may be another process.
//
// Records of one size, each with a checksum, appended with one write(2) before the command is sent or its answer used;
// what a killed checker left half-written at the end is dropped. A check replaces the file by a snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "model.h"

namespace weft::checker {

struct JournalHead {
    uint64_t run = 0;
    uint64_t first_lba = 0;
    uint64_t block_count = 0;
    uint32_t block_bytes = 0;
    Mode mode = Mode::kill;
    uint32_t host_count = 0;
    uint64_t seed = 0;
};

class Journal {
public:
    // A new file in the place of any old one.
    static Result<std::unique_ptr<Journal>> create(const std::string& path, const JournalHead& head);
    // Opens one and tells what it says: `model` is made. Errors: not_found; protocol_error when it is no journal.
    static Result<std::unique_ptr<Journal>> open(const std::string& path, JournalHead& head,
                                                 std::unique_ptr<Model>& model);
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal();

    // The model's events, in order. A journal that cannot be written ends the program: it would judge wrongly later.
    void issue(const Write& write);
    void acknowledge(uint64_t sequence);
    void refuse(uint64_t sequence);
    void flush(uint64_t flush_id);
    void acknowledge_flush(uint64_t flush_id);
    void end_host(uint32_t host);
    // Writes the settled model to a new file, which takes this one's place.
    Result<void> snapshot(const JournalHead& head, const Model& model);

private:
    Journal(std::string path, int descriptor) : path_(std::move(path)), fd_(descriptor) {}
    struct Record;
    struct Replay;
    void append(Record record) const;

    std::string path_;
    int fd_;
};

}  // namespace weft::checker
