// One host of the checker: an association with its queues and the commands on their way, which all feed the one model.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "env/environment.h"
#include "journal.h"
#include "model.h"
#include "nvme_host/controller.h"
#include "nvme_host/tcp/connection_group.h"

namespace weft::checker {

struct Plan {
    uint32_t hosts = 4;
    uint32_t queues = 1;          // of each host
    uint32_t depth = 32;          // of each queue
    uint32_t nsid = 1;
    uint32_t shared_percent = 25;  // of the blocks, which all queues use; the rest is divided among them
    uint32_t bytes_max = 128 * 1024;
    uint32_t reads = 30;          // of a hundred commands; of the others most are writes
    uint64_t seed = 1;
    bool reconnect = false;
    bool deallocates = true;
    env::TimeNs end = 0;          // no command is issued from then on
    env::TimeNs patience = 10 * env::ns_per_s;  // for a target that went away, from the end on
    std::vector<uint16_t> tolerated;  // statuses, type << 8 | code
};

struct Report {
    uint64_t writes = 0, reads = 0, flushes = 0, compares = 0, zeroes = 0, deallocates = 0;  // successful
    uint64_t refused = 0;         // answered with a tolerated status
    uint64_t unexpected = 0;      // with another one
    uint64_t damaged = 0;         // read data whose digest was wrong: noticed, and not used
    uint64_t unanswered = 0;      // the connection was lost
    uint64_t connects = 0, losses = 0;
    uint64_t blocks_judged = 0;
    uint64_t unfinished_hosts = 0;  // could not connect again
    std::array<uint64_t, 5> findings{};  // by Finding
    env::TimeNs longest_pause = 0;  // between two answers on a queue, connecting included
    std::vector<std::string> texts;  // the first of what is wrong

    void add(Finding finding, const std::string& why) {
        ++findings[static_cast<size_t>(finding)];
        note(why);
    }
    void note(const std::string& why) {
        if (texts.size() < 20) texts.push_back(why);
    }
    [[nodiscard]] uint64_t wrong() const {
        uint64_t count = unexpected + unfinished_hosts;
        for (size_t at = 1; at < findings.size(); ++at) count += findings[at];
        return count;
    }
};

// What all hosts share. `journal` may be null.
struct Ledger {
    Model& model;
    Journal* journal = nullptr;
    Report& report;
    const Plan& plan;
    uint64_t last_flush = 0;
    bool should_stop = false;
};

class Host {
public:
    Host(Ledger& ledger, uint32_t index, nvme_host::ControllerOptions options);
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host();

    // Connects, and does commands until the plan's end or the connection is lost; then again, if the plan says so.
    Task<void> work();

private:
    enum class What : uint8_t { write, read, flush, compare, zeroes, deallocate };
    struct Queue;
    struct Slot {
        nvme_host::Io io;
        Queue* queue = nullptr;
        std::vector<std::byte> memory;
        iovec piece{};
        What what = What::read;
        bool is_compare_wrong = false;  // with data that cannot be there
        uint64_t lba = 0;
        uint32_t count = 0;
        uint64_t sequence = 0;
        uint64_t issued = 0;    // model's time, of reads and flushes
        uint64_t flush_id = 0;
        std::vector<uint64_t> expected;  // sequences, of a Compare
    };
    struct Queue {
        Host* host = nullptr;
        nvme_host::Qpair* qpair = nullptr;
        uint32_t index = 0;  // among all queues of all hosts
        std::vector<std::unique_ptr<Slot>> slots;
        env::TimeNs last_answer = 0;
        uint32_t in_flight = 0;
    };

    Task<Result<void>> connect();
    Task<void> disconnect();
    void submit_next(Slot& slot);
    void choose(Slot& slot);
    void choose_kind(Slot& slot);
    void choose_range(Slot& slot);
    void make_change(Slot& slot, nvme::Command& command);
    bool prepare_compare(Slot& slot);
    void on_done(Slot& slot);
    void on_answer(Slot& slot, bool success);
    void judge_read(Slot& slot);
    void judge_compare(Slot& slot, bool success);
    [[nodiscard]] MutableBytes block(Slot& slot, uint32_t index) const;
    [[nodiscard]] bool is_idle() const;
    [[nodiscard]] env::TimeNs now() const;
    uint64_t chance(uint64_t below);

    Ledger& ledger_;
    Model& model_;
    const uint32_t index_;
    const nvme_host::ControllerOptions options_;
    std::unique_ptr<nvme_host::tcp::ConnectionGroup> group_;
    std::unique_ptr<nvme_host::Controller> controller_;
    std::vector<std::unique_ptr<Queue>> queues_;
    bool is_lost_ = false;
    uint64_t random_;
    std::string last_error_;
};

}  // namespace weft::checker
