// A host that breaks rules: of what it may reach, and of the protocol. It has a subsystem of its own, and tries to get
// at the others' data. Whatever it does ends with an answer that the specification names or with the end of its
// connection, and never with success.
#pragma once

#include "nvme/wire/encode.h"
#include "sim/storm/raw_connection.h"
#include "sim/storm/storm.h"

namespace weft::sim {

class Intruder {
public:
    // Host machine `machine` of the rig, the `number`th intruder.
    Intruder(Storm& storm, size_t machine, size_t number);
    Intruder(const Intruder&) = delete;
    Intruder& operator=(const Intruder&) = delete;

    void start();
    [[nodiscard]] bool is_finished() const { return is_finished_; }

private:
    using Session = std::unique_ptr<RawConnection>;
    Task<void> run();
    Task<Session> open(bool with_digests = false);
    // Its own subsystem: an admin queue, enabled, and an I/O queue of the same controller. nullptr: a trouble of the
    // storm was in the way.
    Task<Session> open_admin(uint32_t kato_ms = 120'000);
    Task<Session> open_io(uint16_t cntlid, bool with_digests = false, uint16_t qid = 1);

    Task<void> say_nothing();
    Task<void> say_nonsense();
    Task<void> knock_at_others();
    Task<void> join_others();
    Task<void> use_a_queue_twice();
    Task<void> let_keep_alive_run_out();
    Task<void> ask_for_the_wrong();
    Task<void> break_a_transfer();
    void make_wrong(nvme::wire::DataFields& fields, std::vector<std::byte>& data, uint64_t mistake);
    Task<void> promise_more_than_it_sends(RawConnection& session);
    Task<void> damage_a_digest();
    Task<void> send_too_much();
    Task<void> read_and_write();

    [[nodiscard]] nvme::Command io_command(nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks) const;
    void expect_refused(const std::optional<nvme::Completion>& answer, std::string_view what) const;
    Task<void> expect_end(RawConnection& session, std::string_view what);
    void check_own(Bytes data, uint64_t sector, std::string_view what) const;

    Storm& storm_;
    const size_t machine_;
    const uint32_t device_;  // of its own subsystem's namespace
    Prng prng_;
    bool is_finished_ = false;
};

}  // namespace weft::sim
