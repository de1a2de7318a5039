#include "nvmf/tcp/slots.h"

#include <new>

#include "base/mutants.h"

namespace weft::nvmf::tcp {

TcpRequest* Slots::take() {
    if (free_.empty() && !grow()) return nullptr;
    TcpRequest* request = free_.back();
    free_.pop_back();
    return request;
}

void Slots::give(TcpRequest& request) {
    request.reset_tcp();
    if (mutant::on(mutant::slot_given_twice) && in_use() > 16) free_.push_back(&request);
    free_.push_back(&request);
}

TcpRequest* Slots::at(uint16_t number) {
    const size_t chunk = number / chunk_slots;
    return chunk < chunks_.size() ? &chunks_[chunk][number % chunk_slots] : nullptr;
}

bool Slots::grow() {
    const size_t first = chunks_.size() * chunk_slots;
    if (first + chunk_slots > slot_max) return false;
    std::unique_ptr<TcpRequest[]> chunk(new (std::nothrow) TcpRequest[chunk_slots]);
    if (chunk == nullptr) return false;
    free_.reserve(first + chunk_slots);
    for (size_t at = chunk_slots; at > 0; --at) {
        chunk[at - 1].slot = static_cast<uint16_t>(first + at - 1);
        free_.push_back(&chunk[at - 1]);
    }
    chunks_.push_back(std::move(chunk));
    return true;
}

}  // namespace weft::nvmf::tcp
