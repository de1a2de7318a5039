// The request slots of a TCP poll group. They grow in chunks with the number of commands in execution, so that an
// idle connection holds none, and are kept for the next burst. A slot's number is the TTAG of its R2Ts, so there
// are at most 65535: TTAG FFFFh names none.
#pragma once

#include <memory>
#include <vector>

#include "nvmf/tcp/request.h"

namespace weft::nvmf::tcp {

class Slots {
public:
    static constexpr size_t slot_max = 0xFFFF;

    Slots() = default;
    Slots(const Slots&) = delete;
    Slots& operator=(const Slots&) = delete;
    ~Slots() { WEFT_ASSERT(free_.size() == chunks_.size() * chunk_slots); }

    // nullptr when all are taken.
    TcpRequest* take();
    void give(TcpRequest& request);
    // The slot with this number, taken or not; nullptr when there is none.
    [[nodiscard]] TcpRequest* at(uint16_t number);
    [[nodiscard]] size_t in_use() const { return chunks_.size() * chunk_slots - free_.size(); }

private:
    static constexpr size_t chunk_slots = 64;
    bool grow();
    std::vector<std::unique_ptr<TcpRequest[]>> chunks_;
    std::vector<TcpRequest*> free_;  // last in, first out
};

}  // namespace weft::nvmf::tcp
