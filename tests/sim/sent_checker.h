// Looks at one NVMe/TCP connection from outside and says what the target did wrong on it: every PDU that the target
// sends is held against the specification and against what the host had sent by then.
//
//   SentChecker checker({.block_bytes = 512});
//   checker.host_sent(bytes);      // whatever the host gave its socket, right or wrong, before the target sees it
//   checker.target_sent(bytes);    // whatever came back, in pieces of any size
//   if (!checker.ok()) fail(checker.complaint());
//
// It shares nothing with the target but the names of fields and CRC-32C: framing, digests, limits and order are worked
// out here again. The host may be hostile: what it sends counts for as long as its PDUs can be told apart, and from
// then on nothing it says is a command any more.
// NVMe/TCP Transport 1.0: 3.3 (order, data, R2T), 3.6 (PDUs).
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "nvme/command.h"
#include "nvme/wire/pdu.h"

namespace weft::test {

struct SentCheckerOptions {
    uint32_t block_bytes = 0;  // of every namespace: a Read that succeeds sends as many as it has. 0: not looked at
    bool host_is_right = false;  // the host keeps the rules: a C2HTermReq is an error of the target
    uint32_t data_bytes_max = 16u << 20;  // more in one C2HData is an error
    // Told the data of every C2HData: the command, where in its data it is, the bytes. What it returns is a
    // complaint, "" is none. May be empty.
    std::function<std::string(const nvme::Command& command, uint32_t offset, Bytes data)> check_data;
    // Told every completion, also the one that SUCCESS of a C2HData stands for. May be empty.
    std::function<void(const nvme::Command& command, const nvme::Completion& completion)> on_completion;
};

// An R2T that the host has not answered in full.
struct OpenR2t {
    uint16_t cid = 0;
    uint16_t ttag = 0;
    uint32_t offset = 0;  // of the next byte that is due, in the command's data
    uint32_t left = 0;
};

class SentChecker {
public:
    explicit SentChecker(SentCheckerOptions options = {}) : options_(std::move(options)) {}

    void host_sent(Bytes bytes);
    void target_sent(Bytes bytes);

    [[nodiscard]] bool ok() const { return complaint_.empty(); }
    // The first thing that was wrong, with the PDU it was seen in; after it nothing more is looked at.
    [[nodiscard]] const std::string& complaint() const { return complaint_; }

    // Commands that came whole, were not answered, and for which the target waits for nothing: no Asynchronous Event
    // Request, no open R2T. When all is quiet and the connection lives, there must be none.
    [[nodiscard]] size_t unanswered() const;
    // CID of a command without an answer, the one after `choice` in a fixed order; nothing when there is none.
    [[nodiscard]] std::optional<uint16_t> cid_after(uint16_t choice) const;
    // Open R2Ts, the oldest first: what the host may send H2CData for.
    [[nodiscard]] std::vector<OpenR2t> open_r2ts() const;
    [[nodiscard]] bool is_initialized() const { return icresp_seen_; }
    [[nodiscard]] bool is_terminated() const { return term_seen_; }  // a C2HTermReq came
    [[nodiscard]] bool is_host_unreadable() const { return host_broken_; }  // its stream makes no sense any more
    [[nodiscard]] bool is_host_within_pdu() const { return host_left_ > 0 || !host_head_.empty(); }
    [[nodiscard]] bool is_connected() const { return connected_; }  // a Connect succeeded
    [[nodiscard]] uint16_t qid() const { return qid_; }
    [[nodiscard]] uint16_t cntlid() const { return cntlid_; }
    // What ICReq and ICResp agreed on.
    [[nodiscard]] bool header_digest() const { return header_digest_; }
    [[nodiscard]] bool data_digest() const { return data_digest_; }
    [[nodiscard]] uint32_t maxh2cdata() const { return maxh2cdata_; }
    [[nodiscard]] uint64_t pdus_seen() const { return pdus_seen_; }

private:
    struct Grant {
        uint16_t ttag = 0;
        uint32_t offset = 0;
        uint32_t bytes = 0;
        uint32_t received = 0;
    };
    struct Outstanding {
        nvme::Command command;
        uint64_t number = 0;  // in the order in which the host sent them
        bool is_whole = false;  // its capsule has come to its end
        bool data_ended = false;  // LAST_PDU was sent
        uint32_t data_sent = 0;  // C2HData so far
        uint32_t data_granted = 0;  // by R2Ts so far
        std::list<Grant> grants;  // those the host has not answered in full
    };
    using Table = std::unordered_multimap<uint16_t, Outstanding>;

    // What the host sends.
    Bytes take_host_header(Bytes bytes);
    void host_pdu_begins();
    void host_pdu_ends();
    void host_icreq();
    void host_h2c_data();
    [[nodiscard]] uint32_t host_header_bytes(uint8_t type) const;

    // What the target sends.
    [[nodiscard]] uint64_t bytes_wanted(const nvme::Command& command) const;
    [[nodiscard]] bool is_framed();
    void judge();
    void judge_icresp();
    void judge_term_req();
    void judge_completion();
    void judge_c2h_data();
    void judge_r2t();
    bool check_header(uint8_t hlen, uint8_t flags_allowed, bool has_digest);
    void complete(Table::iterator at, const nvme::Completion& completion);
    Table::iterator find(uint16_t cid, bool newest);
    void complain(const std::string& what);

    SentCheckerOptions options_;
    std::string complaint_;

    std::vector<std::byte> host_head_;  // header of the PDU at hand, not whole yet
    uint64_t host_left_ = 0;  // bytes of it after its header
    bool host_broken_ = false;
    bool icreq_seen_ = false;
    std::vector<std::byte> host_pdu_;  // header of the PDU at hand, whole
    Table::iterator host_command_;
    bool host_has_command_ = false;
    uint64_t host_commands_ = 0;
    std::vector<std::vector<std::byte>> host_headers_;  // the first of them, for the copy in a C2HTermReq

    std::vector<std::byte> pdu_;  // the target's PDU at hand
    uint64_t pdus_seen_ = 0;
    bool icresp_seen_ = false;
    bool term_seen_ = false;

    bool header_digest_ = false;
    bool data_digest_ = false;
    uint8_t hpda_ = 0;
    uint64_t r2t_max_ = 1;
    uint32_t maxh2cdata_ = 0;
    bool connected_ = false;
    bool flow_control_ = true;
    uint16_t qid_ = 0;
    uint16_t queue_size_ = 0;
    uint16_t cntlid_ = 0;
    Table outstanding_;
};

}  // namespace weft::test
