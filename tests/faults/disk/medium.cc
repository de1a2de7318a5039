#include "medium.h"

#include <algorithm>

namespace weft::faulty_disk {

// splitmix64
uint64_t Medium::chance() {
    uint64_t value = random_ += 0x9E3779B97F4A7C15;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
    value = (value ^ value >> 27) * 0x94D049BB133111EB;
    return value ^ value >> 31;
}

void Medium::resize(size_t size) {
    current_.resize(size);
    durable_.resize(size);
    std::erase_if(volatile_, [&](const auto& entry) { return (entry.first + 1) * sector_bytes > size; });
}

void Medium::write(size_t offset, Bytes data, bool forced) {
    std::ranges::copy(data, current_.begin() + static_cast<ptrdiff_t>(offset));
    const size_t last = (offset + data.size() - 1) / sector_bytes;
    for (size_t sector = offset / sector_bytes; sector <= last; ++sector) {
        const auto start = static_cast<ptrdiff_t>(sector * sector_bytes);
        if (forced && !lies_) {
            std::copy_n(current_.begin() + start, sector_bytes, durable_.begin() + start);
            volatile_.erase(sector);
            continue;
        }
        auto& versions = volatile_[sector];
        if (versions.size() == versions_max) versions.erase(versions.begin());
        std::copy_n(current_.begin() + start, sector_bytes, versions.emplace_back().begin());
    }
}

void Medium::sync() {
    if (lies_) return;
    for (const auto& [sector, versions] : volatile_) {
        std::ranges::copy(versions.back(), durable_.begin() + static_cast<ptrdiff_t>(sector * sector_bytes));
    }
    volatile_.clear();
}

size_t Medium::lose_power(uint64_t seed) {
    random_ = seed;
    size_t lost = 0;
    for (const auto& [sector, versions] : volatile_) {
        const size_t chosen = chance() % (versions.size() + 1);
        if (chosen != versions.size()) ++lost;
        if (chosen == 0) continue;  // nothing of it was written
        std::ranges::copy(versions[chosen - 1], durable_.begin() + static_cast<ptrdiff_t>(sector * sector_bytes));
    }
    volatile_.clear();
    current_ = durable_;
    return lost;
}

int Medium::next_fault(Kind kind) {
    Fault& fault = faults_[static_cast<size_t>(kind)];
    if (fault.count == 0) return 0;
    --fault.count;
    return fault.number;
}

size_t Medium::next_length(size_t length) {
    if (cut_every_ == 0 || length <= sector_bytes || ++writes_ % cut_every_ != 0) return length;
    const size_t cut = 1 + chance() % (length - 1);
    return std::max(cut / sector_bytes, size_t{1}) * sector_bytes;
}

}  // namespace weft::faulty_disk
