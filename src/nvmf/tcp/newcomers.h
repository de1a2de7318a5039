// Connections that have not proved yet who they are, in the order they came: who of them makes room when there are too
// many, and whose turn it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/intrusive_list.h"
#include "nvmf/tcp/limits.h"

namespace weft::nvmf::tcp {

// T has source(), a ConnectionLimits::Place's. One thread's.
template <class T, ListLink<T> T::* link>
class Newcomers {
public:
    Newcomers() : of_source_(ConnectionLimits::source_count) {}

    void add(T& one) { list_.push_back(one); }
    void forget(T& one) {
        if ((one.*link).is_linked) list_.remove(one);
    }
    [[nodiscard]] size_t size() const { return list_.size(); }
    [[nodiscard]] T* front() const { return list_.front(); }
    [[nodiscard]] static T* next(const T& one) { return decltype(list_)::next(one); }

    // Who makes room for a place that is one too many; nullptr: nobody here.
    [[nodiscard]] T* oldest_for(const ConnectionLimits::Place& place) {
        return place.standing() == ConnectionLimits::Standing::source_full ? oldest_of(place.source())
                                                                           : oldest_of_most();
    }
    // The same, sparing those whose source has no more than the newcomer's, with the newcomer.
    [[nodiscard]] T* oldest_of_more_for(const ConnectionLimits::Place& place) {
        if (place.standing() == ConnectionLimits::Standing::source_full) return oldest_of(place.source());
        T* const found = oldest_of_most();
        return found != nullptr && of_source_[found->source()] > of_source_[place.source()] + 1 ? found : nullptr;
    }
    // nullptr: there is none.
    [[nodiscard]] T* oldest_of(uint32_t source) const {
        T* at = list_.front();
        while (at != nullptr && at->source() != source) at = next(*at);
        return at;
    }
    // The oldest of the source that has most here, so that a storm from one address displaces itself. nullptr: there
    // is none at all.
    [[nodiscard]] T* oldest_of_most() {
        std::ranges::fill(of_source_, uint16_t{0});
        uint16_t most = 0;
        for (T* at = list_.front(); at != nullptr; at = next(*at)) {
            uint16_t& count = of_source_[at->source()];
            if (count < UINT16_MAX) most = std::max(most, ++count);
        }
        T* at = list_.front();
        while (at != nullptr && of_source_[at->source()] != most) at = next(*at);
        return at;
    }

    // By turns, one of each source: the oldest of the next one after `source`. nullptr: there is none at all.
    [[nodiscard]] T* oldest_of_next(uint32_t source) const {
        T* found = nullptr;
        uint32_t nearest = 0;
        for (T* at = list_.front(); at != nullptr; at = next(*at)) {
            const uint32_t distance = (at->source() - source - 1) % ConnectionLimits::source_count;
            if (found != nullptr && distance >= nearest) continue;
            found = at;
            nearest = distance;
        }
        return found;
    }

private:
    IntrusiveList<T, link> list_;
    std::vector<uint16_t> of_source_;  // while one to displace is looked for
};

}  // namespace weft::nvmf::tcp
