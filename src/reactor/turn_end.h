// Told how long a turn took: with one clock reading a turn, what begins and ends in the same turn has taken, as far
// as anybody can tell, until the turn's end. Who counts such things asks to be told when that was.
#pragma once

#include "base/intrusive_list.h"
#include "env/clock.h"

namespace weft {

class Reactor;

class TurnEnd {
public:
    TurnEnd() = default;
    TurnEnd(const TurnEnd&) = delete;
    TurnEnd& operator=(const TurnEnd&) = delete;
    virtual ~TurnEnd();

    // The turn in which it asked began at `began` and ended at `ended`. Called once for each ask(), at the start of the
    // reactor's next turn, with no current thread: for figures only.
    virtual void on_turn_end(env::TimeNs began, env::TimeNs ended) = 0;

    // On `reactor`. Asking again within the turn changes nothing.
    void ask(Reactor& reactor) {
        if (!link.is_linked) ask_first(reactor);
    }
    [[nodiscard]] bool is_waiting() const { return link.is_linked; }

    ListLink<TurnEnd> link;  // the reactor's list

private:
    void ask_first(Reactor& reactor);
    Reactor* reactor_ = nullptr;
};

}  // namespace weft
