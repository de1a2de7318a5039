"""What the scripts of this folder share: a weftd of one's own, the checker, and how a check went.

Each script prints "ok NAME", "not ok NAME" or "skip NAME: reason" a check. WEFT_BIN is the folder with weftd and
weft-checker; WEFT_FAULTS=full makes the runs long.
"""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = Path(os.environ.get("WEFT_BIN") or HERE.parent.parent / "build" / "release" / "bin")
FULL = os.environ.get("WEFT_FAULTS") == "full"
SANITIZED = os.environ.get("WEFT_PRESET", "release") != "release"
SLOWER = 4 if SANITIZED else 1
NQN = "nqn.2016-06.io.spdk:cnode1"
failures = 0


def say(line):
    print(line, flush=True)


def check(name, good, detail=""):
    """Prints how it went; returns `good`."""
    global failures
    if good:
        say(f"ok {name}")
    else:
        failures += 1
        say(f"not ok {name}")
        for line in str(detail).rstrip().splitlines()[-25:]:
            say(f"# {line}")
    return bool(good)


def skip(name, reason):
    say(f"skip {name}: {reason}")


def finish():
    sys.exit(1 if failures else 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds, step=0.05):
    """Whether `condition()` became true within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())


class Refused(Exception):
    """The answer of an RPC was an error."""


@contextlib.contextmanager
def folder():
    os.sync()  # what others have left to be written is not to stop the disk amid what is measured here
    path = Path(tempfile.mkdtemp(prefix="weft-faults."))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Target:
    """A weftd: its folder, port, socket and configuration; it is killed at the end of a `with`."""

    def __init__(self, path, name="weftd", cpus="0x1"):
        self.path, self.cpus = Path(path), cpus
        self.sock, self.log, self.config = self.path / f"{name}.sock", self.path / f"{name}.log", self.path / f"{name}.json"
        self.port = free_port()
        self.process, self.calls = None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    # The configuration: calls that are made at start, so that a restart needs nothing else.

    def configure(self, *calls):
        self.calls = [{"method": method, "params": params} for method, params in calls]
        self.config.write_text(json.dumps({"subsystems": [
            {"subsystem": "bdev", "config": [call for call in self.calls if call["method"].startswith("bdev_")]},
            {"subsystem": "nvmf", "config": [call for call in self.calls if call["method"].startswith("nvmf_")]}]}))

    def export(self, *bdevs, transport=None, subsystem=None):
        """`bdevs`: calls that make them; each becomes a namespace of the one subsystem."""
        self.configure(
            *bdevs,
            ("nvmf_create_transport", {"trtype": "TCP", **(transport or {})}),
            ("nvmf_create_subsystem", {"nqn": NQN, "allow_any_host": True, "serial_number": "FAULTS", **(subsystem or {})}),
            *(("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": call[1]["name"]}}) for call in bdevs),
            ("nvmf_subsystem_add_listener", self.listener()))

    def listener(self, port=None):
        return {"nqn": NQN, "listen_address": {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1",
                                               "trsvcid": str(port or self.port)}}

    # Its life

    def launch(self, *options, environment=None, prefix=()):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, str(BIN / "weftd"), "-r", str(self.sock), "-m", self.cpus, *options], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, **(environment or {})})

    def start(self, *options, seconds=30, **keywords):
        """Starts it with its configuration; the seconds until a host could connect. Raises when it does not come up."""
        begin = time.monotonic()
        if self.calls:
            options = ("-c", str(self.config), *options)
        self.launch(*options, **keywords)
        while time.monotonic() < begin + seconds * SLOWER:
            try:
                if self.process.poll() is not None:
                    break
                if self.calls and self.rpc("framework_wait_init") is not None:
                    socket.create_connection(("127.0.0.1", self.port), 5).close()
                else:
                    self.rpc("spdk_get_version")
                return time.monotonic() - begin
            except (OSError, Refused):
                time.sleep(0.01)
        raise AssertionError(f"weftd did not come up:\n{self.tail()}")

    def wait_for_queues(self, count, seconds=20):
        """Until so many I/O queues are connected: a kill before that tests nothing."""
        def connected():
            return sum(group["current_io_qpairs"] for group in self.rpc("nvmf_get_stats")["poll_groups"]) >= count
        return wait_for(connected, seconds * SLOWER)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=10):
        """SIGTERM: (its status, or None when it had to be killed; the seconds it took)."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * SLOWER), time.monotonic() - begin
        except subprocess.TimeoutExpired:
            self.kill()
            return None, time.monotonic() - begin

    def is_alive(self):
        return self.process.poll() is None

    def rpc(self, method, params=None, timeout=30):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(timeout * SLOWER)
            stream.connect(str(self.sock))
            request = {"jsonrpc": "2.0", "id": 1, "method": method}
            if params is not None:
                request["params"] = params
            stream.sendall(json.dumps(request).encode())
            text = b""
            while piece := stream.recv(1 << 16):
                text += piece
                with contextlib.suppress(ValueError):
                    answer = json.loads(text)
                    if "error" in answer:
                        raise Refused(f"{method}: {answer['error']}")
                    return answer["result"]
        raise ConnectionError(f"{method}: no answer")

    # What it holds

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        """Bytes of memory."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def controllers(self):
        return self.rpc("nvmf_subsystem_get_controllers", {"nqn": NQN})

    def is_back_to(self, fds, seconds=5):
        """Whether no controller and no more fds than `fds` are left within `seconds`."""
        return wait_for(lambda: not self.controllers() and self.fds() <= fds, seconds * SLOWER)


def file_bdev(path, kind="uring", block_size=512, name="File0", **more):
    return f"bdev_{kind}_create", {"name": name, "filename": str(path), "block_size": block_size, **more}


def make_disk(path, size=16 << 20):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


class Checker:
    """A run of weft-checker that goes on until result() is asked for."""

    def __init__(self, verb, port, *options, journal=None):
        command = [str(BIN / "weft-checker"), verb, "-a", "127.0.0.1", "-s", str(port), "-n", NQN, "--json", *map(str, options)]
        if journal is not None:
            command += ["-j", str(journal)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def result(self, seconds=60):
        """(exit status, what it reports, what it complained of)."""
        try:
            out, complaint = self.process.communicate(timeout=seconds * SLOWER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, complaint = self.process.communicate()
            return -1, {}, f"the checker did not end: {complaint}"
        report = json.loads(out) if out.strip().startswith("{") else {}
        return self.process.returncode, report, complaint + "\n".join(report.get("texts", []))


def run_checker(verb, port, *options, journal=None, seconds=60):
    return Checker(verb, port, *options, journal=journal).result(seconds)


def seeded(default=1):
    """Chance, and how to have the same again: WEFT_SEED."""
    seed = int(os.environ.get("WEFT_SEED") or default)
    say(f"# WEFT_SEED={seed}")
    return random.Random(seed), seed
