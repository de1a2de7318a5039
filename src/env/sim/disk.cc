#include "env/sim/disk.h"

#include <algorithm>
#include <vector>

namespace weft::sim {

size_t Contents::read(uint64_t offset, MutableBytes into) const {
    if (offset >= size_) return 0;
    const size_t count = std::min<uint64_t>(into.size(), size_ - offset);
    for (size_t done = 0; done < count;) {
        const uint64_t at = offset + done;
        const size_t within = at % page_bytes;
        const size_t length = std::min(count - done, page_bytes - within);
        const auto page = pages_.find(at / page_bytes);
        if (page == pages_.end()) {
            std::ranges::fill(into.subspan(done, length), std::byte{0});
        } else {
            std::copy_n(page->second->begin() + static_cast<ptrdiff_t>(within), length,
                        into.begin() + static_cast<ptrdiff_t>(done));
        }
        done += length;
    }
    return count;
}

Contents::Sector Contents::sector(uint64_t index) const {
    Sector bytes{};
    read(index * sector_bytes, bytes);
    return bytes;
}

void Contents::put(uint64_t offset, Bytes bytes) {
    while (!bytes.empty()) {
        std::unique_ptr<Page>& page = pages_[offset / page_bytes];
        if (page == nullptr) page = std::make_unique<Page>();
        const size_t within = offset % page_bytes;
        const size_t length = std::min(bytes.size(), page_bytes - within);
        std::copy_n(bytes.begin(), length, page->begin() + static_cast<ptrdiff_t>(within));
        bytes = bytes.subspan(length);
        offset += length;
    }
}

void Contents::write(uint64_t offset, Bytes bytes) {
    if (bytes.empty()) return;
    const uint64_t before = writes_++;
    const uint64_t end = offset + bytes.size();
    for (uint64_t index = offset / sector_bytes; index * sector_bytes < end; ++index) {
        const auto [at, is_new] = unsynced_.try_emplace(index);
        if (is_new) at->second = {.durable = sector(index), .durable_number = before, .number = 0};
        at->second.number = writes_;
        at->second.is_given_up = false;
    }
    put(offset, bytes);
    size_ = std::max(size_, end);
}

void Contents::resize(uint64_t size_bytes) {
    if (size_bytes < size_) {
        // What is beyond must read as zero should the file grow again.
        const uint64_t page_end = std::min(size_, (size_bytes + page_bytes - 1) / page_bytes * page_bytes);
        const std::vector<std::byte> zeros(page_end - size_bytes);
        put(size_bytes, zeros);
        pages_.erase(pages_.lower_bound((size_bytes + page_bytes - 1) / page_bytes), pages_.end());
        unsynced_.erase(unsynced_.lower_bound(size_bytes / sector_bytes), unsynced_.end());
    }
    size_ = size_bytes;
    durable_size_ = size_bytes;
}

Contents::Snapshot Contents::begin_sync() const {
    Snapshot snapshot{.sectors = {}, .size_bytes = size_};
    for (const auto& [index, unsynced] : unsynced_) {
        if (unsynced.is_given_up) continue;
        snapshot.sectors.emplace(index, Snapshot::Version{.number = unsynced.number, .bytes = sector(index)});
    }
    return snapshot;
}

void Contents::fail_sync(const Snapshot& snapshot) {
    for (const auto& [index, version] : snapshot.sectors) {
        const auto at = unsynced_.find(index);
        if (at != unsynced_.end() && at->second.number == version.number) at->second.is_given_up = true;
    }
}

void Contents::finish_sync(const Snapshot& snapshot) {
    for (const auto& [index, version] : snapshot.sectors) {
        const auto at = unsynced_.find(index);
        // A sync that began later may have finished first.
        if (at == unsynced_.end() || version.number <= at->second.durable_number) continue;
        if (version.number == at->second.number) {
            unsynced_.erase(at);
        } else {
            at->second.durable = version.bytes;
            at->second.durable_number = version.number;
        }
    }
    durable_size_ = std::min(size_, std::max(durable_size_, snapshot.size_bytes));
}

void Contents::sync_range(uint64_t offset, uint64_t length) {
    const uint64_t end = offset + length;
    unsynced_.erase(unsynced_.lower_bound(offset / sector_bytes),
                    unsynced_.lower_bound((end + sector_bytes - 1) / sector_bytes));
    durable_size_ = std::min(size_, std::max(durable_size_, end));
}

void Contents::crash(Prng& prng) {
    for (const auto& [index, unsynced] : unsynced_) {
        if (prng.coin()) put(index * sector_bytes, unsynced.durable);
    }
    unsynced_.clear();
    if (durable_size_ != size_ && prng.coin()) resize(durable_size_);
    durable_size_ = size_;
}

FileNode* Disk::find(const std::string& path) {
    const auto name = names_.find(path);
    return name == names_.end() ? nullptr : &nodes_.at(name->second);
}

FileNode& Disk::create(const std::string& path) {
    WEFT_ASSERT(!names_.contains(path));
    const uint64_t id = ++nodes_made_;
    names_.emplace(path, id);
    FileNode& node = nodes_[id];
    node.id = id;
    node.path = path;
    return node;
}

bool Disk::remove(const std::string& path) {
    FileNode* node = find(path);
    if (node == nullptr) return false;
    names_.erase(path);
    node->has_name = false;
    release(*node);
    return true;
}

bool Disk::rename(const std::string& from, const std::string& to) {
    const auto name = names_.find(from);
    if (name == names_.end()) return false;
    const uint64_t id = name->second;
    if (from == to) return true;
    remove(to);
    names_.erase(from);
    names_.emplace(to, id);
    nodes_.at(id).path = to;
    return true;
}

void Disk::release(FileNode& node) {
    if (!node.has_name && node.opened == 0) nodes_.erase(node.id);
}

void Disk::kill() {
    std::erase_if(nodes_, [](const auto& entry) { return !entry.second.has_name; });
    for (auto& [id, node] : nodes_) {
        node.opened = 0;
        node.shared_locks = 0;
        node.is_locked = false;
    }
}

void Disk::crash() {
    std::erase_if(nodes_, [](const auto& entry) { return !entry.second.has_name; });
    for (auto& [id, node] : nodes_) {
        core_.note("crash_file", id, node.contents.volatile_sectors());
        node.contents.crash(core_.prng());
        node.opened = 0;
        node.shared_locks = 0;
        node.is_locked = false;
    }
}

}  // namespace weft::sim
