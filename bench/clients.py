"""The clients that put load on a target, and what they say of it."""

import json
import re
import subprocess
from dataclasses import dataclass

from targets import ADDRESS, NQN


@dataclass(frozen=True)
class Load:
    workload: str  # randread or randwrite
    size: int      # bytes of a command
    depth: int     # commands outstanding on each connection
    connections: int = 1
    digests: bool = False
    nsid: int = 1
    rate: int = 0          # commands a second in all; 0: as fast as it goes


class ClientError(Exception):
    """A client that failed."""


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no word").split("\n")[-1]
        raise ClientError(f"{command[0]} ended with status {done.returncode}: {last}")
    return done.stdout


class WeftPerf:
    """`weft perf`. The light one throws away what it reads; a write has nothing to throw away."""

    warmup = 0.2

    def __init__(self, program, cpus, congestion, discard):
        self.program, self.cpus, self.congestion, self.discard = program, cpus, congestion, discard
        self.options = {}  # more of them, by the port
        self.label = "weft perf --discard" if discard else "weft perf"

    def run(self, load, port, seconds):
        command = [self.program, "perf", "-a", ADDRESS, "-s", str(port), "-n", NQN, "-w", load.workload,
                   "-o", str(load.size), "-q", str(load.depth), "-P", str(load.connections), "--nsid", str(load.nsid),
                   "-c", self.cpus, "-t", str(seconds), "--warmup", str(self.warmup), "--congestion", self.congestion,
                   "--json"]
        if self.discard and load.workload == "randread":
            command.append("--discard")
        command += self.options.get(port, [])
        if load.digests:
            command += ["--hdgst", "--ddgst"]
        if load.rate:
            command += ["--rate", str(load.rate)]
        said = json.loads(output(command))
        latency = said["latency"]
        return {"iops": said["iops"], "mean_us": latency["mean_us"], "p50_us": latency["p50_us"],
                "p99_us": latency["p99_us"], "p99_9_us": latency["p99_9_us"]}


class FieldPerf:
    """spdk_nvme_perf, or what understands its options."""

    def __init__(self, command):
        self.command = command.split()
        self.label = self.command[0].rsplit("/", 1)[-1]

    def run(self, load, port, seconds):
        # Its depth is that of all connections together. Its percentiles cost it something on each I/O: only where
        # latency is the question.
        command = self.command + [
            "-q", str(load.depth * load.connections), "-P", str(load.connections), "-o", str(load.size),
            "-w", load.workload, "-t", str(max(1, round(seconds))),
            "-r", f"trtype:TCP adrfam:IPv4 traddr:{ADDRESS} trsvcid:{port} subnqn:{NQN} ns:{load.nsid}"]
        if load.depth == 1:
            command.append("-L")
        if load.digests:
            command += ["-H", "-I"]
        text = output(command)
        total = re.search(r"^Total\s*:\s*([\d.]+)\s+[\d.]+\s+([\d.]+)", text, re.MULTILINE)
        if total is None:
            raise ClientError(f"{self.label} gave no total")
        return {"iops": float(total.group(1)), "mean_us": float(total.group(2)),
                "p50_us": _percentile(text, "50.00000"), "p99_us": _percentile(text, "99.00000")}


def _percentile(text, which):
    found = re.search(rf"^\s*{re.escape(which)}%\s*:\s*([\d.]+)us", text, re.MULTILINE)
    return float(found.group(1)) if found else None
