// Jobs that are done one after another, as one: a chain that is built while a request passes through layers, each of
// which appends its part, and is run by the last.
//
//   Sequence* sequence = channel.sequence();             // nullptr: none left, try again in a later turn
//   if (!sequence->append(accel::cipher(Op::encrypt, key, lba, there, here))) { sequence->abort(); … }
//   if (!sequence->append(accel::copy(device, there))) …
//   const Progress progress = sequence->finish(end);     // the encryption goes straight to `device`
//
// What one step writes and another, transforming one reads is the chain's own: when finish() can do without a copy by
// having a step read or write elsewhere, it does, and what such a buffer holds afterwards is unknown. The last place
// that data are brought to is always written. All on the channel's thread.
#pragma once

#include "accel/operation.h"
#include "base/intrusive_list.h"

namespace weft::accel {

class Channel;
class Sequence;

// More are refused: the search for copies that can be left out is short.
inline constexpr size_t sequence_steps_max = 16;

// Called when a step is done or left out, or will not be done: once for each step, to give its buffers back.
struct StepDone {
    void (*call)(void* context) = nullptr;
    void* context = nullptr;
};

// The channel's, in its pool or in one sequence.
struct SequenceStep {
    Operation operation;
    StepDone done;
    ListLink<SequenceStep> link;
};
using SequenceStepList = IntrusiveList<SequenceStep, &SequenceStep::link>;

// The caller's, from finish() until it is done.
struct SequenceEnd {
    Status status = Status::success;
    // Called from the loop when finish() was Progress::pending.
    void (*done)(SequenceEnd& end) = nullptr;
    void* context = nullptr;  // the caller's
};

class Sequence {
public:
    Sequence() = default;
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;
    ~Sequence();

    // The lists of pieces in `job` stay as they are until the step is done. False, with nothing changed: the channel
    // has no step left (try again in a later turn), or the sequence is full (finish it, begin another).
    [[nodiscard]] bool append(const Job& job, StepDone done = {});
    // What was appended first is done last: for reads, where the first layer that is asked is the last to work.
    void reverse();
    // Runs it. The first step that fails ends it, with its status. The sequence is the channel's again when it is done.
    Progress finish(SequenceEnd& end);
    // Does nothing of it; steps are told. The sequence is the channel's again.
    void abort();

    [[nodiscard]] size_t size() const { return steps_.size(); }

    ListLink<Sequence> link;  // the channel's

private:
    friend class Channel;
    void leave_out_copies();
    bool leave_out_before(SequenceStep& copy);
    bool leave_out_after(SequenceStep& copy);
    // Until it waits or is at its end: done, pending, or retry when a step could not be submitted.
    Progress run();
    // Takes the first step out; true when the next is to be done.
    bool take_done(Status status);
    void drop(SequenceStep& step);
    void on_step_done();
    void release(Status status);
    void tell_end();

    Channel* channel_ = nullptr;
    SequenceStepList steps_;
    SequenceEnd* end_ = nullptr;
    Status status_ = Status::success;
};
using SequenceList = IntrusiveList<Sequence, &Sequence::link>;

}  // namespace weft::accel
