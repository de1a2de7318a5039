#!/usr/bin/env python3
"""Start-up time, memory and idle CPU time of weftd. See bench/README.md."""

import argparse
import json
import pathlib
import socket
import statistics
import subprocess
import time

from targets import Target

DISK_MIB = 64


def start_seconds(bin_folder, port):
    """From exec to the first accepted connection of `weftd --demo`."""
    begin = time.monotonic()
    process = subprocess.Popen([f"{bin_folder}/weftd", "--demo", "--demo-port", str(port), "--no-rpc-server"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() - begin < 10:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return time.monotonic() - begin
            except ConnectionRefusedError:
                time.sleep(0.0005)
        raise SystemExit("weftd accepts no connection")
    finally:
        process.terminate()
        process.wait(20)


def hold_connections(target, count, bin_folder):
    """`count` connected I/O queues that do nothing, by one client; ends when its input ends."""
    command = [f"{bin_folder}/weft", "perf", "-a", "127.0.0.1", "-s", str(target.port), "-n",
               "nqn.2016-06.io.spdk:cnode1", "-q", "1", "-P", str(count), "--rate", "1", "-t", "60", "--warmup", "0"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(top / "build/release/bin"))
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--idle-seconds", type=float, default=10)
    arguments = parser.parse_args()
    report = {"start_ms": statistics.median(start_seconds(arguments.bin, 4495) for _ in range(5)) * 1000}
    target = Target("weft", f"{arguments.bin}/weftd -r {{socket}} -m 0x1", 4496, DISK_MIB)
    try:
        time.sleep(1)
        resident = target.resident_kib()
        report["resident_kib_beside_the_disk"] = resident - DISK_MIB * 1024
        cpu = target.cpu_seconds()
        time.sleep(arguments.idle_seconds)
        report["idle_cpu_percent"] = (target.cpu_seconds() - cpu) / arguments.idle_seconds * 100
        client = hold_connections(target, arguments.connections, arguments.bin)
        try:
            time.sleep(3)
            stats = target.call("nvmf_get_stats")
            connected = sum(group["current_io_qpairs"] for group in stats["poll_groups"])
            report["idle_connections"] = connected
            if connected:
                report["kib_per_idle_connection"] = (target.resident_kib() - resident) / connected
            cpu = target.cpu_seconds()
            time.sleep(arguments.idle_seconds)
            report["cpu_percent_with_idle_connections"] = (target.cpu_seconds() - cpu) / arguments.idle_seconds * 100
        finally:
            client.terminate()
            client.wait(20)
    finally:
        target.close()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
