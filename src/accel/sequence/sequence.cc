#include "accel/sequence/sequence.h"

#include "accel/framework.h"
#include "base/assert.h"

namespace weft::accel {

Sequence::~Sequence() { WEFT_ASSERT(steps_.empty()); }

bool Sequence::append(const Job& job, StepDone done) {
    WEFT_ASSERT(end_ == nullptr);
    if (steps_.size() == sequence_steps_max) return false;
    SequenceStep* const step = channel_->free_steps_.pop_front();
    if (step == nullptr) {
        ++channel_->statistics_.retried_steps;
        return false;
    }
    step->operation.job = job;
    step->operation.context = this;
    step->operation.done = [](Operation& operation) { static_cast<Sequence*>(operation.context)->on_step_done(); };
    step->done = done;
    steps_.push_back(*step);
    return true;
}

void Sequence::reverse() {
    WEFT_ASSERT(end_ == nullptr);
    SequenceStepList turned;
    while (SequenceStep* step = steps_.pop_front()) turned.push_front(*step);
    while (SequenceStep* step = turned.pop_front()) steps_.push_back(*step);
}

Progress Sequence::finish(SequenceEnd& end) {
    WEFT_ASSERT(end_ == nullptr);
    leave_out_copies();
    end_ = &end;
    status_ = Status::success;
    const Progress progress = run();
    if (progress == Progress::done) {
        end.status = status_;
        release(status_);
        return Progress::done;
    }
    if (progress == Progress::retry) channel_->wait_for_turn(*this);
    return Progress::pending;
}

void Sequence::abort() {
    WEFT_ASSERT(end_ == nullptr);
    while (SequenceStep* step = steps_.front()) drop(*step);
    release(Status::aborted);
}

Progress Sequence::run() {
    while (SequenceStep* step = steps_.front()) {
        const Progress progress = channel_->submit(step->operation);
        if (progress != Progress::done) return progress;
        if (!take_done(step->operation.status)) break;
    }
    return Progress::done;
}

bool Sequence::take_done(Status status) {
    drop(*steps_.front());
    if (status == Status::success) return true;
    status_ = status;
    while (SequenceStep* step = steps_.front()) drop(*step);
    return false;
}

void Sequence::drop(SequenceStep& step) {
    steps_.remove(step);
    const StepDone done = step.done;
    channel_->free_steps_.push_front(step);
    if (done.call != nullptr) done.call(done.context);
}

void Sequence::on_step_done() {
    Progress progress = Progress::done;
    if (take_done(steps_.front()->operation.status)) progress = run();
    if (progress == Progress::done) {
        tell_end();
    } else if (progress == Progress::retry) {
        channel_->wait_for_turn(*this);
    }
}

void Sequence::tell_end() {
    SequenceEnd& end = *end_;
    end.status = status_;
    release(status_);
    end.done(end);
}

void Sequence::release(Status status) {
    end_ = nullptr;
    Statistics& figures = channel_->statistics_;
    --figures.sequences_outstanding;
    if (status != Status::aborted) ++figures.sequences_executed;
    if (status != Status::aborted && status != Status::success) ++figures.sequences_failed;
    channel_->free_sequences_.push_front(*this);
}

}  // namespace weft::accel
