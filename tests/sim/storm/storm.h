// One seed: a target, hosts and troubles in a simulated world, watched by oracles.
//
//   1. the target is set up and the hosts begin; incidents and the administrator disturb them;
//   2. all troubles end: every host finishes its work within a time (liveness), and every device is read through and
//      compared with what it may hold;
//   3. the hosts leave: nothing of theirs is left in the target (resources), and it stops in order.
//
// What goes wrong is told to fail_simulation(); the first is what counts.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/rig.h"
#include "sim/sent_checker.h"
#include "sim/storm/plan.h"
#include "sim/storm/register_model.h"

namespace weft::sim {

// What the parts of a storm share. Everything runs in one OS thread.
struct Storm {
    explicit Storm(const Plan& its_plan);

    [[nodiscard]] bool has(Part part) const { return plan.has(part); }
    // A connection of a host that does nothing wrong may end, or not come about.
    [[nodiscard]] bool may_disconnect() const;
    // Nothing in this storm holds a command up for long.
    [[nodiscard]] bool is_prompt() const;
    // Between now and the end of the troubles.
    [[nodiscard]] bool is_healed() const { return is_healing; }
    void reached(std::string_view mark);
    // CID of a command that is under way on the queue of a host's controller, by chance. Nothing: there is none, or
    // nobody looks at the wire.
    [[nodiscard]] std::optional<uint16_t> some_cid(uint16_t cntlid, uint16_t qid, uint16_t choice) const;

    static constexpr const char* subsystem_nqn = "nqn.2016-06.io.spdk:cnode1";
    static constexpr const char* intruder_nqn = "nqn.2016-06.io.spdk:cnode2";
    [[nodiscard]] static std::string hostnqn(size_t host);

    const Plan plan;
    test::Rig rig;
    // Of changes to namespaces and their devices there is one at a time.
    Task<void> begin_change();
    void end_change() { is_changing = false; }

    struct StackState {
        uint64_t injected = 0;  // errors that hosts may see
        uint64_t failed = 0;  // commands that did
        bool was_pulled_out = false;
    };
    std::vector<StackState> stacks;  // by device
    std::vector<std::unique_ptr<RegisterModel>> models;  // by device; the namespace id is one more
    Value last_value = 0;  // of all writes
    std::vector<std::map<Value, SectorRange>> writes_under_way;  // by device, of all hosts; the first is the oldest
    uint64_t commands_done = 0;
    uint64_t commands_given = 0;  // how many of plan.commands were begun
    bool is_healing = false;
    bool is_target_up = false;  // it was started and set up
    uint64_t target_runs = 0;
    bool is_changing = false;

private:
    void watch_wire();
    std::map<uint64_t, test::SentChecker> checkers_;  // by connection
};

// How long a troublemaker rests before it does something again: as long as it likes while hosts get on, and longer each
// time while they do not (a silence, a target that starts), so that troubles come by the work and not by the time.
class Pace {
public:
    // At least `commands` of the hosts between two troubles, or the rests grow.
    explicit Pace(const Storm& storm, uint64_t commands) : storm_(storm), commands_(commands) {}
    [[nodiscard]] TimeNs rest(TimeNs liked);

private:
    static constexpr TimeNs rest_max = 100 * env::ns_per_ms;
    const Storm& storm_;
    const uint64_t commands_;
    uint64_t next_at_ = 0;  // of commands_done
    uint64_t factor_ = 1;
};

struct StormResult {
    uint64_t commands = 0;
    uint64_t trace_hash = 0;
};
// Runs the seed of the plan to its end.
struct Watched {
    size_t device = 0;
    uint64_t sector = 0;
};
StormResult run_storm(const Plan& plan, const std::optional<Watched>& watched = {});

// Names of situations that seeds got into, in the order they were first reached by this process.
[[nodiscard]] const std::vector<std::string>& reached_marks();

}  // namespace weft::sim
