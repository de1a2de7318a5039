"""Whether management is in the way of data: how long the data reactors' turns are while a thousand calls a second come.

Compared is with the same calls to another target beside it: those who call and answer take CPU time, too, from the client
that makes the load, and a client that comes back after a pause sends more at a time."""

import os
import threading
import time

from clients import Load
from crowds import targets_with_disk
from measure import running, summary
from targets import BLOCK, NQN

CALLS_A_SECOND = 1000
PACED_READ = Load("randread", BLOCK, 32, rate=100_000)  # the same work with and without the calls

# A round: what a monitor asks, and an administrator who makes and removes a bdev and shows it.
CALLS = [("bdev_get_bdevs", {}), ("nvmf_get_subsystems", {}), ("bdev_get_iostat", {}), ("thread_get_stats", {}),
         ("nvmf_get_stats", {}), ("framework_get_reactors", {}),
         ("bdev_null_create", {"name": "Null0", "num_blocks": 256, "block_size": BLOCK}),
         ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": "Null0", "nsid": 2}}),
         ("nvmf_subsystem_remove_ns", {"nqn": NQN, "nsid": 2}), ("bdev_null_delete", {"name": "Null0"})]


def turns(commands, client, arguments):
    """Turns of a data reactor under the same load, with a thousand calls a second to its own target or to another."""
    runs = {"weft alone": [], "weft beside calls": [], "weft called": []}
    with targets_with_disk(commands, "weft", "weft other") as targets:
        target, other = targets["weft"], targets["weft other"]
        called = {"weft alone": None, "weft beside calls": other, "weft called": target}
        with running(target), running(other):
            for _ in range(arguments.repeat):
                for name, figures in runs.items():
                    figures.append(_measure(target, client, arguments, called[name]))
    return summary(runs)


def _measure(target, client, arguments, called):
    manager = _Manager(called, arguments.client_cpu)
    if called:
        manager.start()
    try:
        before = _turns_of(target)
        result = client.run(PACED_READ, target.port, arguments.seconds)
        after = _turns_of(target)
    finally:
        manager.stop()
    counts = {bound: count - before.get(bound, 0) for bound, count in after.items()}
    for name, share in (("turn_p50_ns", 0.5), ("turn_p99_ns", 0.99), ("turn_p999_ns", 0.999)):
        result[name] = _quantile(counts, share)
    result["calls_a_second"] = manager.rate
    return result


def _turns_of(target):
    """Turns of the data reactors that found work: by the bound of their bucket, in nanoseconds."""
    sums = {}
    for reactor in target.call("weft_get_figures", max_queues=1)["reactors"]:
        if reactor["cpu"] >= 0:
            for bound, count in reactor["turns"]:
                sums[bound] = sums.get(bound, 0) + count
    return sums


def _quantile(counts, share):
    """Within its bucket by proportion: buckets are an eighth of a power of two wide."""
    left, below = sum(counts.values()) * share, 0
    for bound, count in sorted(counts.items()):
        if left <= count and count > 0:
            low = max(below, bound * 8 / 9)
            return low + (bound - low) * left / count
        left -= count
        below = bound
    return float(below)


class _Manager:
    """Calls at an even pace on one connection, from the client's CPU."""

    def __init__(self, target, cpu):
        self.target, self.cpu, self.rate = target, cpu, 0
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()

    def stop(self):
        self.ends.set()
        if self.thread.ident is not None:
            self.thread.join()

    def _run(self):
        os.sched_setaffinity(0, {self.cpu})
        begin, made = time.monotonic(), 0
        while not self.ends.is_set():
            self.target.calls(CALLS)
            made += len(CALLS)
            time.sleep(max(0, begin + made / CALLS_A_SECOND - time.monotonic()))
        self.rate = made / (time.monotonic() - begin)
