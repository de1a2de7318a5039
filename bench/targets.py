"""A target under measurement: a daemon started from a command line and configured by JSON-RPC, the same for all."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

NQN = "nqn.2016-06.io.spdk:cnode1"
ADDRESS = "127.0.0.1"
BLOCK = 4096


class TargetError(Exception):
    """A target that did not start, or refused a call."""


def free_port():
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def listen_address(port):
    return {"trtype": "TCP", "adrfam": "IPv4", "traddr": ADDRESS, "trsvcid": str(port)}


@dataclass(frozen=True)
class Counters:
    operations: int   # reads and writes
    busy: float       # seconds, of all data threads, as the target counts them
    cpu: float        # seconds, of the process
    reactors: dict    # its number: (busy, CPU) seconds


class Target:
    """A running daemon with a TCP transport; ends with close()."""

    def __init__(self, name, command, cpus="0x1", more="", transport=None):
        self.name = name
        self.port = free_port()
        self.namespaces = []  # bdevs of the subsystem NQN
        self.folder = tempfile.TemporaryDirectory(prefix="weft-bench.")
        self.socket = os.path.join(self.folder.name, "rpc.sock")
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8", errors="replace")
        words = command.format(socket=self.socket, cpus=cpus).split() + more.split()
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        try:
            self._wait()
            self.call("nvmf_create_transport", trtype="TCP", **(transport or {}))
        except BaseException:
            self.close()
            raise

    def _wait(self):
        for _ in range(3000):
            if self.process.poll() is not None:
                self.log.seek(0)
                last = self.log.read().strip().split("\n")[-1]
                raise TargetError(f"{self.name} ended with status {self.process.returncode}: {last}")
            try:
                self.call("spdk_get_version")
                return
            except OSError:
                time.sleep(0.01)
        raise TargetError(f"{self.name} does not answer on {self.socket}")

    # Configuration --------------------------------------------------------------------------------------------

    def call(self, method, **params):
        return self.calls([(method, params)])[0]

    def calls(self, calls):
        """The results of (method, parameters) in turn, over one connection."""
        results = []
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(self.socket)
            for method, params in calls:
                request = {"jsonrpc": "2.0", "id": 1, "method": method}
                if params:
                    request["params"] = params
                connection.sendall(json.dumps(request).encode())
                answer = self._answer(connection, method)
                if "error" in answer:
                    raise TargetError(f"{self.name}: {method}: {answer['error']['message']}")
                results.append(answer["result"])
        return results

    def _answer(self, connection, method):
        text = b""
        while True:
            piece = connection.recv(1 << 20)
            if not piece:
                raise TargetError(f"{self.name}: {method}: the connection ended")
            text += piece
            if text.rstrip().endswith(b"}"):
                try:
                    return json.loads(text)
                except ValueError:
                    continue

    def add_subsystem(self, nqn=NQN, bdevs=(), **params):
        """A subsystem for any host, with these bdevs as its namespaces, on the target's port."""
        calls = [("nvmf_create_subsystem", {"nqn": nqn, "allow_any_host": True, "serial_number": "BENCH", **params})]
        calls += [("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": {"bdev_name": bdev}}) for bdev in bdevs]
        calls.append(("nvmf_subsystem_add_listener", {"nqn": nqn, "listen_address": listen_address(self.port)}))
        self.calls(calls)
        if nqn == NQN:
            self.namespaces = list(bdevs)

    # Figures --------------------------------------------------------------------------------------------------

    def counters(self, nsid):
        """What it did for that namespace, and took, so far. The thread that serves these calls is left out."""
        threads, reactors, bdevs = self.calls(
            [("thread_get_stats", {}), ("framework_get_reactors", {}),
             ("bdev_get_iostat", {"names": [self.namespaces[nsid - 1]]})])
        busy = sum(thread["busy"] for thread in threads["threads"] if thread["name"] != "app_thread")
        by_reactor = {reactor["lcore"]: (reactor["busy"] / reactors["tick_rate"], self._task_seconds(reactor["tid"]))
                      for reactor in reactors["reactors"]}
        operations = sum(bdev["num_read_ops"] + bdev["num_write_ops"] for bdev in bdevs["bdevs"])
        return Counters(operations, busy / threads["tick_rate"], self.cpu_seconds(), by_reactor)

    def cpu_seconds(self):
        """CPU time of the process so far, threads that ended included, as the kernel counts it."""
        process_clock = (~self.process.pid << 3) | 2  # what clock_getcpuclockid() gives: CPUCLOCK_SCHED of a process
        return time.clock_gettime(process_clock)

    def _task_seconds(self, task):
        return int(_read(f"/proc/{self.process.pid}/task/{task}/schedstat").split()[0]) / 1e9

    def resident_kib(self):
        fields = dict(line.split(":", 1) for line in _read(f"/proc/{self.process.pid}/smaps_rollup").split("\n")[1:-1])
        return sum(int(fields.get(name, "0").split()[0]) for name in ("Rss", "Private_Hugetlb", "Shared_Hugetlb"))

    def settled_kib(self):
        """Its resident memory, when that no longer changes."""
        last, resident = 0, self.resident_kib()
        for _ in range(50):
            if resident == last:
                break
            time.sleep(0.1)
            last, resident = resident, self.resident_kib()
        return resident

    # Life -----------------------------------------------------------------------------------------------------

    def pause(self):
        """Takes its CPU away: a target that polls would take it from the one being measured."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        self.folder.cleanup()


def _read(path):
    with open(path, encoding="ascii") as file:
        return file.read()
