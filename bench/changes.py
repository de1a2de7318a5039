"""Whether a change of the configuration is in the way of data: latency of reads of one namespace while others come, go and
grow, and hosts and listeners change, many times a second.

Compared is with the same calls to another target beside it, as in management.py: whoever calls and answers takes CPU time
from the client, too."""

import os
import threading
import time

from clients import Load
from crowds import targets_with_disk
from measure import running, summary
from targets import BLOCK, NQN, free_port, listen_address

CHANGES_A_SECOND = 200
PACED_READ = Load("randread", BLOCK, 8, rate=40_000)  # the same work with and without the changes
HOST = "nqn.2016-06.io.host:changing"
MIB = 1 << 20


class _Changer:
    """One round after the other, on one connection at a time, from the client's CPU."""

    def __init__(self, target, cpu):
        self.target, self.cpu, self.made = target, cpu, 0
        self.size = 1
        self.port = free_port()
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()

    def stop(self):
        self.ends.set()
        if self.thread.ident is not None:
            self.thread.join()

    def _round(self):
        listener = {"nqn": NQN, "listen_address": listen_address(self.port)}
        hidden = {"nqn": NQN, "nsid": 3, "host": HOST}
        return [("bdev_null_create", {"name": "Changing", "num_blocks": 256, "block_size": BLOCK}),
                ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": "Changing", "nsid": 2}}),
                ("bdev_null_resize", {"name": "Changing", "new_size": 2}),
                ("nvmf_subsystem_add_host", {"nqn": NQN, "host": HOST}),
                ("nvmf_subsystem_remove_host", {"nqn": NQN, "host": HOST}),
                ("nvmf_subsystem_add_listener", listener),
                ("nvmf_subsystem_remove_listener", listener),
                ("nvmf_subsystem_remove_ns", {"nqn": NQN, "nsid": 2}),
                ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": "Changing", "nsid": 3,
                                                                    "no_auto_visible": True}}),
                ("nvmf_ns_add_host", hidden), ("nvmf_ns_remove_host", hidden),
                ("nvmf_subsystem_remove_ns", {"nqn": NQN, "nsid": 3}),
                ("bdev_null_delete", {"name": "Changing"})]

    def _run(self):
        os.sched_setaffinity(0, {self.cpu})
        begin = time.monotonic()
        while not self.ends.is_set():
            for call in self._round():
                self.target.calls([call])
                self.made += 1
                time.sleep(max(0, begin + self.made / CHANGES_A_SECOND - time.monotonic()))


def latencies(commands, client, arguments):
    """p99.9 of paced reads, with two hundred changes a second to its own target or to another."""
    runs = {"weft alone": [], "weft beside changes": [], "weft changed": []}
    with targets_with_disk(commands, "weft", "weft other") as targets:
        target, other = targets["weft"], targets["weft other"]
        changed = {"weft alone": None, "weft beside changes": other, "weft changed": target}
        with running(target), running(other):
            for _ in range(arguments.repeat):
                for name, figures in runs.items():
                    figures.append(_measure(target, client, arguments, changed[name]))
    return summary(runs)


def _measure(target, client, arguments, changed):
    changer = _Changer(changed, arguments.client_cpu)
    if changed:
        changer.start()
    begin = time.monotonic()
    try:
        result = client.run(PACED_READ, target.port, arguments.seconds)
    finally:
        changer.stop()
    result["changes_a_second"] = changer.made / (time.monotonic() - begin)
    return result
