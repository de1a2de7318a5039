#include "nvmf/tcp/limits.h"

namespace weft::nvmf::tcp {

ConnectionLimits::Place ConnectionLimits::enter(std::string_view address) {
    uint64_t hash = seed_ ^ 0xCBF29CE484222325U;
    for (const char character : address) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3U;
    hash = (hash ^ (hash >> 29)) * 0xBF58476D1CE4E5B9U;
    return {*this, static_cast<uint32_t>(hash >> 32) % source_count};
}

ConnectionLimits::Place::Place(ConnectionLimits& limits, uint32_t source) : limits_(&limits), source_(source) {
    limits_->total_.fetch_add(1, std::memory_order_relaxed);
    limits_->of_source_[source_].fetch_add(1, std::memory_order_relaxed);
}

ConnectionLimits::Place::~Place() {
    if (limits_ == nullptr) return;  // moved
    limits_->of_source_[source_].fetch_sub(1, std::memory_order_relaxed);
    limits_->total_.fetch_sub(1, std::memory_order_relaxed);
}

ConnectionLimits::Standing ConnectionLimits::Place::standing() const {
    const auto is_over = [](const std::atomic<uint32_t>& count, uint32_t max) {
        return max != 0 && count.load(std::memory_order_relaxed) > max;
    };
    if (is_over(limits_->of_source_[source_], limits_->source_max_)) return Standing::source_full;
    return is_over(limits_->total_, limits_->total_max_) ? Standing::all_full : Standing::within;
}

}  // namespace weft::nvmf::tcp
