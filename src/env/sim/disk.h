// The files of a simulated machine: what a reader sees, and what a crash leaves.
//
// A write is seen at once when it completes, but each 512-byte sector of it is durable only after a sync
// that began later. A crash decides for each other sector by itself, old or new.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "env/sim/options.h"

namespace weft::sim {

class Contents {
public:
    static constexpr size_t sector_bytes = 512;
    using Sector = std::array<std::byte, sector_bytes>;

    [[nodiscard]] uint64_t size_bytes() const { return size_; }
    // Copies what is there from `offset` on; returns how much, at most up to the end.
    size_t read(uint64_t offset, MutableBytes into) const;
    // Grows the file if it must.
    void write(uint64_t offset, Bytes bytes);
    // Durable at once, as is the growth by write() once it is synced.
    void resize(uint64_t size_bytes);

    // A sync makes durable what was written before it began, when it finishes.
    struct Snapshot {
        struct Version {
            uint64_t number;
            Sector bytes;
        };
        std::map<uint64_t, Version> sectors;
        uint64_t size_bytes = 0;
    };
    [[nodiscard]] Snapshot begin_sync() const;
    void finish_sync(const Snapshot& snapshot);
    // As Linux: what could not be written is taken for written from then on, and no later sync makes it durable.
    void fail_sync(const Snapshot& snapshot);
    // Makes the sectors of this range durable as they are.
    void sync_range(uint64_t offset, uint64_t length);

    void crash(Prng& prng);
    // Sectors that a crash may take back.
    [[nodiscard]] size_t volatile_sectors() const { return unsynced_.size(); }

private:
    static constexpr size_t page_bytes = 4096;
    using Page = std::array<std::byte, page_bytes>;
    struct Unsynced {
        Sector durable{};
        uint64_t durable_number = 0;  // of the write that `durable` is from
        uint64_t number = 0;          // of the last write
        bool is_given_up = false; // a sync of it has failed
    };
    [[nodiscard]] Sector sector(uint64_t index) const;
    void put(uint64_t offset, Bytes bytes);

    std::map<uint64_t, std::unique_ptr<Page>> pages_;  // absent ones are zero
    std::map<uint64_t, Unsynced> unsynced_;            // by sector
    uint64_t size_ = 0;
    uint64_t durable_size_ = 0;
    uint64_t writes_ = 0;
};

struct FileNode {
    uint64_t id = 0;
    std::string path;  // as it was made
    Contents contents;
    uint32_t opened = 0;
    uint32_t shared_locks = 0;
    bool is_locked = false;
    bool has_name = true;
};

class Disk {
public:
    Disk(Core& core, const DiskOptions& options) : core_(core), options_(options) {}
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

    // The file of that name, nullptr if there is none.
    FileNode* find(const std::string& path);
    FileNode& create(const std::string& path);
    // Takes the name away; the file lives on while it is open. False when there is none.
    bool remove(const std::string& path);
    // In the place of what is named `to`. False when there is no `from`.
    bool rename(const std::string& from, const std::string& to);
    // After `opened` went down.
    void release(FileNode& node);
    // Faults of the file at `path`, there or not, for good.
    FileFaults& faults(const std::string& path) { return faults_[path]; }

    TimeNs sample_latency() { return core_.sample(options_.latency); }
    Core& core() { return core_; }
    // Decides each sector that is not durable; drops what has no name. Queues have been told before.
    void crash();
    // Drops what has no name; nothing is lost.
    void kill();

private:
    Core& core_;
    const DiskOptions& options_;
    std::map<uint64_t, FileNode> nodes_;
    std::map<std::string, uint64_t> names_;
    std::map<std::string, FileFaults> faults_;
    uint64_t nodes_made_ = 0;
};

}  // namespace weft::sim
