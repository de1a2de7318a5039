// The medium of the faulty disk: sectors with a volatile cache before them, and faults that are asked for.
//
// What was written and not synced has versions; a power loss leaves each sector with one of them, or with what was
// durable. Sectors are whole: tearing is within larger blocks only.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"

namespace weft::faulty_disk {

inline constexpr size_t sector_bytes = 512;

enum class Kind : uint8_t { read, write, sync };
inline constexpr size_t kind_count = 3;

class Medium {
public:
    explicit Medium(size_t size) : current_(size), durable_(size) {}

    [[nodiscard]] size_t size() const { return current_.size(); }
    void resize(size_t size);

    // What is read and written while the power is on. Ranges lie within the medium.
    [[nodiscard]] Bytes read(size_t offset, size_t length) const { return Bytes(current_).subspan(offset, length); }
    void write(size_t offset, Bytes data, bool forced);
    void sync();
    // Returns how many sectors lost something.
    size_t lose_power(uint64_t seed);

    // The next `count` operations fail with errno `number`.
    void fail(Kind kind, uint64_t count, int number) { faults_[static_cast<size_t>(kind)] = {count, number}; }
    // The errno that this operation is to fail with, or 0.
    int next_fault(Kind kind);
    // Every `every`-th write is cut to some of its sectors; 0: none. Not reads: Linux 6.18 loses the place when it goes
    // on with a read of io_uring that FUSE cut.
    void cut_writes(uint64_t every) { cut_every_ = every; }
    size_t next_length(size_t length);
    // Syncs and forced writes are acknowledged, and nothing is made durable.
    void lie(bool lies) { lies_ = lies; }

private:
    using Sector = std::array<std::byte, sector_bytes>;
    struct Fault {
        uint64_t count = 0;
        int number = 0;
    };
    static constexpr size_t versions_max = 4;
    uint64_t chance();

    std::vector<std::byte> current_;
    std::vector<std::byte> durable_;
    std::unordered_map<size_t, std::vector<Sector>> volatile_;  // by sector, oldest first
    std::array<Fault, kind_count> faults_;
    uint64_t cut_every_ = 0;
    uint64_t writes_ = 0;
    uint64_t random_ = 1;
    bool lies_ = false;
};

}  // namespace weft::faulty_disk
