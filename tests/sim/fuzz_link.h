// One connection of a host in a fuzzer: it makes PDUs that are right, overwrites what it is told to, and holds what
// comes back against the specification and against whose data it is.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nvme/command.h"
#include "nvme/fabrics.h"
#include "nvme/wire/encode.h"
#include "sim/rig.h"
#include "sim/sent_checker.h"

namespace weft::test {

// Subsystems, each of one owner. Every eight bytes of an owner's data name it.
inline constexpr size_t subsystem_count = 3;
inline constexpr size_t nobody = subsystem_count;  // the discovery subsystem, or not connected yet
std::string subsystem_nqn(size_t subsystem);
std::string host_nqn(size_t host);
inline constexpr size_t host_count = 4;
inline constexpr uint32_t fuzz_block_bytes = 512;
// Stamps `data`, which starts with block `lba`, with its owner.
void stamp(MutableBytes data, size_t owner, uint64_t lba);
// The owner, other than `self`, of any eight aligned bytes in `data`.
std::optional<size_t> foreign_owner(Bytes data, size_t self);

// What to overwrite of a PDU, from a number that comes from outside: 0 nothing, then a byte of the header before its
// digest is made, a byte after that, a byte of the data.
struct Patch {
    uint8_t place = 0;
    uint8_t value = 0;
};
using Patches = std::array<Patch, 2>;

struct ConnectFields {
    size_t host = 0;
    size_t subsystem = 0;
    uint16_t qid = 0;
    uint16_t cntlid = nvme::cntlid_dynamic;
    uint16_t sqsize = 7;
    uint32_t kato = 0;
    uint8_t cattr = 0;
};

class FuzzLink {
public:
    FuzzLink(Rig& rig, env::Environment& machine, bool is_right);

    // Each queues a PDU; pump() sends.
    void ic_req(bool header_digest, bool data_digest, uint8_t alignment, uint32_t maxr2t, const Patches& patches);
    void connect(const ConnectFields& fields, const Patches& patches);
    void enable();
    // `data` goes into the capsule when it is not empty. A command identifier of its own, unless one is given.
    uint16_t command(nvme::Command command, Bytes data, const Patches& patches, std::optional<uint16_t> cid = {});
    void h2c_data(const OpenR2t& r2t, uint32_t offset, uint32_t length, uint64_t lba, bool is_last,
                  const Patches& patches);
    void term_req(uint8_t fes, uint32_t fei, uint8_t data_bytes, const Patches& patches);
    void raw(Bytes bytes);
    // Leaves out what is queued behind the first `bytes`.
    void cut(size_t bytes) { out_.resize(std::min(out_.size(), bytes)); }

    // Gives the socket what is queued, and reads what came unless reading is off.
    void pump();
    void close() { stream_.reset(); }
    void end_sending();
    bool is_reading = true;

    [[nodiscard]] bool is_open() const { return stream_ != nullptr && !is_closed_; }
    [[nodiscard]] bool is_established() const { return is_open() && is_established_; }
    [[nodiscard]] bool is_drained() const { return out_.empty(); }
    [[nodiscard]] env::Stream* stream() const { return stream_.get(); }
    [[nodiscard]] const SentChecker& checker() const { return checker_; }
    // Whose data it may see, and stamps its own with.
    [[nodiscard]] size_t subsystem() const { return subsystem_; }
    // The status of the last completion, 0xFFFF before the first.
    [[nodiscard]] uint16_t last_status() const { return last_status_; }
    // Reads are to bring exactly this (of the bystander); empty: any data that is its owner's.
    std::vector<std::byte> expected;

private:
    void put(std::vector<std::byte> bytes, size_t header, size_t data_at, const Patches& patches);
    void append_data(std::vector<std::byte>& pdu, Bytes data) const;
    std::string check_data(const nvme::Command& command, uint32_t offset, Bytes data) const;
    void note_completion(const nvme::Command& command, const nvme::Completion& completion);

    struct PendingConnect {
        uint16_t cid;
        size_t subsystem;
        size_t host;
    };

    SentChecker checker_;
    std::unique_ptr<env::Stream> stream_;
    nvme::wire::Framing framing_;
    std::vector<std::byte> out_;
    std::deque<PendingConnect> connects_;
    size_t subsystem_ = nobody;
    uint16_t next_cid_ = 1;
    uint16_t last_status_ = 0xFFFF;
    bool is_established_ = false;
    bool is_closed_ = false;
};

}  // namespace weft::test
