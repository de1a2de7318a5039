"""Runs cases one after the other against one target, and looks after each whether all is as before."""
import argparse
import os
import re
import signal
import sys
import time
import traceback
from pathlib import Path

from answers import Unexpected
from neighbour import Neighbour
from wire import Broken
from world import World

TOP = Path(__file__).resolve().parents[2]
CASE_S = 60  # a case that takes longer has hung somewhere
PROGRESS = 10000  # cases between two signs of life


def options():
    parser = argparse.ArgumentParser(prog="tests/conformance/run",
                                     description="Breaks every rule that a peer can break, against a live weftd.")
    parser.add_argument("--filter", default="",
                        help="only cases whose name contains this, or matches it as a regular expression")
    parser.add_argument("--list", action="store_true", help="print the names, the rules and the defect classes")
    parser.add_argument("--full", action="store_true", help="all values and positions, not a sample: long")
    default = Path(os.environ.get("WEFT_BIN", TOP / "build" / "release" / "bin")) / "weftd"
    parser.add_argument("--target-binary", type=Path, default=default, help="default: %(default)s")
    parser.add_argument("--mask", default="0x1", help="CPUs of the target's reactors (weftd -m); default: %(default)s")
    parser.add_argument("--times", action="store_true", help="print what each area took")
    return parser.parse_args()


def matches(pattern, name):
    return pattern in name or re.fullmatch(pattern, name) is not None


class Runner:
    def __init__(self, world, full):
        self.world, self.full = world, full
        self.neighbour = Neighbour(world)
        self.world.close_hosts()
        self.baseline = self.steady()
        self.seconds = {}
        self.slowest = []

    def steady(self):
        """What is held when nothing happens: twice the same."""
        while True:
            first = self.world.held()
            time.sleep(0.05)
            if first == self.world.held():
                return first

    def run(self, case):
        """None, or why it failed."""
        began = time.monotonic()
        problem = self.attempt(lambda: case.run(self.world))
        self.world.close_hosts()
        if problem is None and time.monotonic() - began > CASE_S and not case.full:
            problem = f"it took {time.monotonic() - began:.0f} s"
        after = self.attempt(lambda: self.world.settle(self.baseline)) or self.attempt(self.neighbour.progress)
        area = case.name.split("/")[0]
        took = time.monotonic() - began
        self.seconds[area] = self.seconds.get(area, 0) + took
        self.slowest = sorted([*self.slowest, (took, case.name)], reverse=True)[:8]
        if after and self.world.process.poll() is None:
            self.baseline = self.steady()  # of what follows each is judged by itself
        return "; ".join(filter(None, [problem, after])) or None

    @staticmethod
    def attempt(action):
        try:
            action()
        except (Unexpected, Broken) as error:
            return str(error)
        except Exception as error:  # pylint: disable=broad-except  # a case's own error fails it too
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        return None


def main(areas):
    given = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the target ends too
    if not given.target_binary.exists():
        sys.exit(f"there is no {given.target_binary}: build weftd, or name one with --target-binary")
    world = World(given.target_binary,
                  given.mask)  # for a list too: what is tried follows from what the target says of itself
    # A name says all that its case is made of: two of one name are one, that two rules came to.
    named = {case.name: case for area in areas for case in area(world, given.full) if given.full or not case.full}
    cases = [case for case in named.values() if matches(given.filter, case.name)]
    if given.list:
        for case in cases:
            print(f"{case.name}  {case.rule}  {' '.join(case.classes)}".rstrip())
        world.stop()
        return 0
    runner = Runner(world, given.full)
    failed = 0
    for at, case in enumerate(cases):
        if at and at % PROGRESS == 0:
            print(f"# {at} of {len(cases)} cases, {failed} failed", flush=True)
        problem = runner.run(case)
        if problem is None:
            continue
        failed += 1
        again = f"tests/conformance/run{' --full' if given.full else ''} --filter '{case.name}'"
        print(f"not ok {case.name}: {problem} [{case.rule}]; again: {again}", flush=True)
        if world.process.poll() is not None:
            break
        if runner.neighbour.complaint.value:
            runner.neighbour = Neighbour(world)
            runner.baseline = runner.steady()
    ran = sum(runner.seconds.values())
    for text in (runner.neighbour.stop(), world.stop()):
        if text:
            failed += 1
            print(f"not ok the end: {text}", flush=True)
    if given.times:
        for area, seconds in sorted(runner.seconds.items(), key=lambda item: -item[1]):
            print(f"# {area}: {sum(case.name.split('/')[0] == area for case in cases)} cases, {seconds:.1f} s")
        for took, name in runner.slowest:
            print(f"# {took:.2f} s: {name}")
    print(f"# {len(cases)} cases in {ran:.0f} s; the neighbour did {runner.neighbour.rounds.value} rounds, "
          f"the longest took {runner.neighbour.longest.value * 1000:.0f} ms")
    print(f"{len(cases) - min(failed, len(cases))} passed, {failed} failed, 0 skipped", flush=True)
    return 1 if failed or not cases else 0
