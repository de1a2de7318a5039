// Counts what somebody's requests did and how long they took, from the time stamp of the turn: no clock is read.
//
// What was done in the turn in which it began took until the end of that turn; what was done in a later one, until
// that one began.
#pragma once

#include <array>
#include <span>

#include "bdev/statistics.h"
#include "reactor/reactor.h"

namespace weft::bdev {

template <size_t kind_count>
class Meter : public TurnEnd {
public:
    explicit Meter(std::span<OpStatistics, kind_count> figures) : figures_(figures) {}

    // One of kind `kind`, which began at `began` (a time stamp of `reactor`), is done.
    void count(Reactor& reactor, size_t kind, uint64_t bytes, env::TimeNs began) {
        OpStatistics& figures = figures_[kind];
        ++figures.operations;
        figures.bytes += bytes;
        if (began == reactor.now()) {
            ++of_this_turn_[kind];
            ask(reactor);
        } else {
            took(kind, reactor.now() - began, 1);
        }
    }
    // Figures were set back: what was counted in this turn has no latency any more.
    void forget_this_turn() { of_this_turn_ = {}; }

protected:
    virtual void took(size_t kind, env::TimeNs latency, uint64_t times) { figures_[kind].took(latency, times); }

private:
    void on_turn_end(env::TimeNs began, env::TimeNs ended) override {
        for (size_t kind = 0; kind < kind_count; ++kind) {
            if (of_this_turn_[kind] > 0) took(kind, ended - began, of_this_turn_[kind]);
        }
        of_this_turn_ = {};
    }
    const std::span<OpStatistics, kind_count> figures_;
    std::array<uint32_t, kind_count> of_this_turn_{};
};

}  // namespace weft::bdev
