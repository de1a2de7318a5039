// The commands that a queue has with its controller, found by command identifier (CID).
//
// A CID is the index of a slot, and in the bits above it a generation that changes at each use: an answer that
// comes twice, or after its command is gone, names a CID that is not in use and does not hit its successor.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "env/clock.h"
#include "nvme_host/io.h"
#include "nvme_host/tcp/data_cursor.h"
#include "nvme_host/tcp/send_queue.h"
#include "nvme_host/tcp/slot_state.h"

namespace weft::nvme_host::tcp {

struct Slot : Outgoing {
    Io* io = nullptr;
    SlotState state = SlotState::free;
    bool is_read = false;        // data comes from the controller
    bool is_in_capsule = false;  // the data went with the command: no R2T may follow
    bool has_all_data = false;   // LAST_PDU was seen
    bool is_data_wrong = false;  // a data digest did not match
    uint16_t cid = 0;
    uint16_t ttag = 0;
    uint32_t data_length = 0;
    uint32_t moved = 0;    // bytes taken from C2HData, or asked for by R2Ts
    uint32_t r2t_end = 0;  // where the bytes that the current R2T asks for end
    uint32_t next = 0;     // the next byte of it to put into an H2CData
    DataCursor cursor;     // at `moved` of a read, at `next` of a write
    env::TimeNs submitted_at = 0;
    nvme::Completion answer;  // kept while draining
};

class SlotTable {
public:
    // Per slot: the largest PDU header (152 bytes), the cursors and the kept answer.
    explicit SlotTable(uint32_t depth)
        : depth_(depth),
          index_bits_(std::max(1, static_cast<int>(std::bit_width(depth - 1)))),
          slots_(std::make_unique<Slot[]>(depth)),
          free_(std::make_unique<uint16_t[]>(depth)),
          free_count_(depth) {
        WEFT_ASSERT(depth >= 1 && depth <= depth_max);
        for (uint32_t index = 0; index < depth; ++index) {
            slots_[index].cid = static_cast<uint16_t>(index);
            free_[index] = static_cast<uint16_t>(depth - 1 - index);
        }
    }
    SlotTable(const SlotTable&) = delete;
    SlotTable& operator=(const SlotTable&) = delete;

    static constexpr uint32_t depth_max = 65535;  // CID FFFFh is none (NVMe Base 2.0, 5.16.1.2)

    // nullptr when all are in use. The one that was freed last: its memory is still in the cache.
    Slot* take() {
        if (free_count_ == 0) return nullptr;
        Slot& slot = slots_[free_[--free_count_]];
        slot.cid = next_cid(slot.cid);
        return &slot;
    }

    void give_back(Slot& slot) {
        WEFT_ASSERT(slot.state == SlotState::free && free_count_ < depth_);
        free_[free_count_++] = static_cast<uint16_t>(&slot - slots_.get());
    }

    // The command in use under `cid`; nullptr when there is none.
    [[nodiscard]] Slot* find(uint16_t cid) const {
        const uint32_t index = cid & ((1u << index_bits_) - 1);
        if (index >= depth_) return nullptr;
        Slot& slot = slots_[index];
        return slot.cid == cid && slot.state != SlotState::free ? &slot : nullptr;
    }

    [[nodiscard]] uint32_t depth() const { return depth_; }
    [[nodiscard]] uint32_t in_use() const { return depth_ - free_count_; }
    // Those in use and not.
    [[nodiscard]] std::span<Slot> all() const { return {slots_.get(), depth_}; }

private:
    // The highest generation is left out, so that no CID is FFFFh.
    [[nodiscard]] uint16_t next_cid(uint16_t cid) const {
        const uint32_t index = cid & ((1u << index_bits_) - 1);
        const uint32_t generations = (1u << (16 - index_bits_)) - 1;
        const uint32_t generation = generations <= 1 ? 0 : ((uint32_t{cid} >> index_bits_) + 1) % generations;
        return static_cast<uint16_t>(generation << index_bits_ | index);
    }

    const uint32_t depth_;
    const int index_bits_;
    std::unique_ptr<Slot[]> slots_;
    std::unique_ptr<uint16_t[]> free_;
    uint32_t free_count_;
};

}  // namespace weft::nvme_host::tcp
