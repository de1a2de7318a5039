"""A case: its name, the rule it tests, and what it does. And the values that a rule tries of a field."""
from dataclasses import dataclass, field
from typing import Callable

from wire import Framing

PLAIN = Framing()
FRAMINGS = (Framing(), Framing(hdgst=True), Framing(ddgst=True), Framing(True, True))


@dataclass
class Case:
    name: str            # replays it: --filter NAME
    rule: str            # where the specification says so
    run: Callable        # run(world) raises answers.Unexpected, wire.Broken, …
    full: bool = False   # only with --full
    classes: tuple = field(default=())  # defect classes whose negative test it is


def edges(bits, *limits, more=()):
    """0, 1, each limit - 1, limit and limit + 1, and the maximum of a field of so many bits."""
    top = (1 << bits) - 1
    values = {0, 1, top, *more}
    for limit in limits:
        values |= {limit - 1, limit, limit + 1}
    return sorted(value for value in values if 0 <= value <= top)


def sample(full, items, count, seed=0):
    """All of `items` in a full run, else `count` of them, spread evenly; always the same ones."""
    items = list(items)
    if full or len(items) <= count:
        return items
    step = len(items) / count
    return [items[int((at + (seed % 97) / 97) * step) % len(items)] for at in range(count)]
