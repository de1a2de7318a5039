"""What a target costs while little or nothing is asked of it: idle hosts, silence, memory, start-up."""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time

from clients import Load
from nvme_host import Host, HostError, hosts
from targets import ADDRESS, BLOCK, NQN, TargetError, free_port, listen_address

DISK_MIB = 64
KEEP_ALIVE_MS = 10000
HOSTS = (0, 1, 10, 100)
CONNECTIONS = {"weft": (1, 10, 100, 300, 1000), "peer": (1, 10, 100, 300)}  # the peer takes 0.4 to 0.9 MiB for each
QUEUES_PER_HOST = 100
DEPTH = 32  # of what each connection has worked, before it idles


@contextlib.contextmanager
def _target(commands, name):
    target = commands.start(name)
    try:
        commands.export_ram_disk(target, DISK_MIB)
        yield target
    finally:
        target.close()


# Idle hosts ---------------------------------------------------------------------------------------------------


def idle_cpu(commands, arguments):
    """Percent of a core by the number of connected hosts, which keep their controllers alive and do nothing else."""
    percents = {}
    for name in commands.names():
        with _target(commands, name) as target:
            percents[name] = {}
            for count in HOSTS:
                with hosts(target.port, count, keep_alive_ms=KEEP_ALIVE_MS) as connected:
                    time.sleep(0.5)
                    cpu, begin = target.cpu_seconds(), time.monotonic()
                    _keep_alive(connected, arguments.idle_seconds)
                    percents[name][count] = (target.cpu_seconds() - cpu) / (time.monotonic() - begin) * 100
    return percents


def _keep_alive(connected, seconds):
    """Every host once, evenly over the time: a host does so at half of its keep-alive time."""
    begin = time.monotonic()
    for number, host in enumerate(connected):
        time.sleep(max(0, begin + seconds * number / len(connected) - time.monotonic()))
        host.admin.keep_alive()
    time.sleep(max(0, begin + seconds - time.monotonic()))


# Silence ------------------------------------------------------------------------------------------------------


def first_after_silence(commands, arguments):
    """Microseconds of a 4 KiB read: one after another, and one a second; medians.

    The client polls through the silence, on a CPU of its own, so that what is added is the target's, and what caches
    forget in a second, its own too.
    """
    results = {}
    for name in commands.names():
        with _target(commands, name) as target:
            def median_us(rate, seconds, target=target):
                load = Load("randread", BLOCK, 1, rate=rate)
                return commands.filler.run(load, target.port, seconds)["p50_us"]
            at_once, first = median_us(0, 1), median_us(1, 3 * arguments.repeat)
            results[name] = {"at_once_us": at_once, "first_us": first, "added_us": first - at_once}
    return results


# Memory -------------------------------------------------------------------------------------------------------


def memory(commands, _arguments):
    """Resident KiB beside the RAM disk by the number of idle I/O queues: connected only, and after each has worked."""
    results = {}
    for name in commands.names():
        with _target(commands, name) as target, contextlib.ExitStack() as stack:
            unused, used, ended, queues = {}, {}, None, []
            unused[0] = used[0] = target.settled_kib() - DISK_MIB * 1024
            try:
                for count in CONNECTIONS[name]:
                    _connect(target, queues, count, stack)
                    unused[count] = target.settled_kib() - DISK_MIB * 1024
                for count in CONNECTIONS[name]:
                    for queue in queues[:count]:
                        queue.read_burst(DEPTH)
                    # What the idle rest has is that of the unused.
                    used[count] = target.settled_kib() - DISK_MIB * 1024 - (unused[len(queues)] - unused[count])
            except (HostError, OSError) as error:
                ended = f"{len(queues)} connections: {error}"
            results[name] = {"unused_kib": unused, "used_kib": used, "ended": ended,
                             "kib_per_unused_connection": _slope(unused), "kib_per_connection": _slope(used)}
    return results


def _connect(target, queues, count, stack):
    """Hosts with at most 100 I/O queues each, until there are so many queues."""
    while len(queues) < count:
        host = Host(target.port, queues=min(QUEUES_PER_HOST, count - len(queues)))
        stack.callback(host.close)
        queues += host.queues


def _slope(points):
    """From the first connection, which brings what all share, to the last."""
    counts = sorted(points)
    return (points[counts[-1]] - points[counts[1]]) / (counts[-1] - counts[1]) if len(counts) > 2 else 0


# Start-up -----------------------------------------------------------------------------------------------------


def start_up(commands, arguments):
    """Milliseconds from exec to the first accepted connection, with the same configuration file for each."""
    runs = {name: [] for name in commands.names()}
    for _ in range(arguments.repeat):
        for name in runs:
            runs[name].append(_start_ms(commands.weft if name == "weft" else commands.peer))
    return {name: {"median_ms": statistics.median(times), "runs": times} for name, times in runs.items()}


def _start_ms(command):
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="weft-bench.") as folder:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(_configuration(port), file)
        words = command.format(socket=os.path.join(folder, "rpc.sock"), cpus="0x1").split() + ["-c", path]
        begin = time.monotonic()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and time.monotonic() - begin < 20:
                try:
                    socket.create_connection((ADDRESS, port), 1).close()
                    return (time.monotonic() - begin) * 1000
                except ConnectionRefusedError:
                    time.sleep(0.0005)
            raise TargetError(f"{words[0]} accepts no connection")
        finally:
            process.terminate()
            process.wait(20)


def _configuration(port):
    def calls(subsystem, *methods):
        return {"subsystem": subsystem, "config": [{"method": method, "params": params} for method, params in methods]}
    return {"subsystems": [
        calls("bdev", ("bdev_malloc_create", {"name": "Malloc0", "block_size": BLOCK,
                                              "num_blocks": DISK_MIB * 1024 * 1024 // BLOCK})),
        calls("nvmf",
              ("nvmf_create_transport", {"trtype": "TCP"}),
              ("nvmf_create_subsystem", {"nqn": NQN, "allow_any_host": True, "serial_number": "BENCH"}),
              ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": "Malloc0"}}),
              ("nvmf_subsystem_add_listener", {"nqn": NQN, "listen_address": listen_address(port)}))]}
