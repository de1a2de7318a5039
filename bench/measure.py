"""What every measurement under load shares: one target at a time, in turn, and medians."""

import contextlib
import statistics
import time


@contextlib.contextmanager
def running(target):
    target.resume()
    try:
        yield
    finally:
        target.pause()


def under_load(target, client, load, seconds):
    """What the client says, and the target's time per I/O: busy as it counts itself, CPU as the kernel does."""
    with running(target):
        before = target.counters(load.nsid)
        begin = time.monotonic()
        result = client.run(load, target.port, seconds)
        after = target.counters(load.nsid)
        wall = time.monotonic() - begin
    operations = max(1, after.operations - before.operations)
    result["busy_ns"] = (after.busy - before.busy) / operations * 1e9
    result["cpu_ns"] = (after.cpu - before.cpu) / operations * 1e9
    # A reactor that shares its CPU counts as busy also the time that others had it: take its share of the CPU.
    own = 0
    for reactor, (busy, cpu) in after.reactors.items():
        busy_before, cpu_before = before.reactors[reactor]
        own += (busy - busy_before) * min(1, (cpu - cpu_before) / wall)
    result["busy_cpu_ns"] = own / operations * 1e9
    return result


def medians(runs):
    """The median of each figure over the runs that have it."""
    figures = {}
    for key in runs[0]:
        values = [run[key] for run in runs if run.get(key) is not None]
        figures[key] = statistics.median(values) if values else None
    return figures


def summary(runs_by_name):
    return {name: {"median": medians(runs), "runs": runs} for name, runs in runs_by_name.items() if runs}


def turn(targets, number):
    """Names and targets in the order of this turn: forth and back, so that none is always the first."""
    return list(targets.items())[::-1 if number % 2 else 1]


def in_turn(targets, client, load, arguments):
    """All the targets under the same load, `repeat` times in turn."""
    runs = {name: [] for name in targets}
    for number in range(arguments.repeat):
        for name, target in turn(targets, number):
            runs[name].append(under_load(target, client, load, arguments.seconds))
    return summary(runs)
