#!/usr/bin/env python3
"""Compares weftd with a peer: same client, same settings, in turn, medians. See bench/README.md."""

import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

from targets import NQN, Target

# name, workload, bytes, queue depth, connections, more options of the client
CASES = [
    ("4 KiB read QD 1", "randread", 4096, 1, 1, []),
    ("4 KiB read QD 32", "randread", 4096, 32, 1, []),
    ("4 KiB write QD 32", "randwrite", 4096, 32, 1, []),
    ("4 KiB read QD 128", "randread", 4096, 128, 1, []),
    ("4 KiB write QD 128", "randwrite", 4096, 128, 1, []),
    ("4 KiB read 16 x QD 32", "randread", 4096, 32, 16, []),
    ("4 KiB write 16 x QD 32", "randwrite", 4096, 32, 16, []),
    ("128 KiB read QD 32", "randread", 131072, 32, 1, []),
    ("128 KiB write QD 32", "randwrite", 131072, 32, 1, []),
    ("4 KiB read QD 128, digests", "randread", 4096, 128, 1, ["digests"]),
]


def weft_client(arguments, case, port):
    _, workload, size, depth, connections, more = case
    command = [f"{arguments.bin}/weft", "perf", "-a", "127.0.0.1", "-s", str(port), "-n", NQN, "-w", workload, "-o",
               str(size), "-q", str(depth), "-P", str(connections), "-c", arguments.client_cpus, "-t",
               str(arguments.seconds), "--warmup", "0.5", "--congestion", arguments.congestion, "--json"]
    if arguments.light and workload == "randread":
        command.append("--discard")
    if "digests" in more:
        command += ["--hdgst", "--ddgst"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    latency = result["latency"]
    return {"iops": result["iops"], "mean_us": latency["mean_us"], "p99_us": latency["p99_us"],
            "operations": latency["count"]}


def field_client(arguments, case, port):
    """spdk_nvme_perf or what understands its options."""
    _, workload, size, depth, connections, more = case
    command = arguments.client.split() + [
        # Its depth is that of all connections together.
        "-q", str(depth * connections), "-o", str(size), "-w", workload, "-t", str(int(arguments.seconds)), "-P", str(connections),
        "-r", f"trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:{port} subnqn:{NQN}"]
    if "digests" in more:
        command += ["-H", "-I"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    total = re.search(r"^Total\s*:\s*([\d.]+)\s+([\d.]+)\s+([\d.]+)", output, re.MULTILINE)
    iops = float(total.group(1))
    return {"iops": iops, "mean_us": float(total.group(3)), "p99_us": None,
            "operations": iops * int(arguments.seconds)}


def measure(arguments, case, target):
    client = field_client if arguments.client else weft_client
    busy, cpu = target.busy_seconds(), target.cpu_seconds()
    result = client(arguments, case, target.port)
    # The warm-up is in the busy time too: count what was done in it at the same rate.
    share = arguments.seconds / (arguments.seconds + (0 if arguments.client else 0.5))
    result["busy_ns"] = (target.busy_seconds() - busy) * share / result["operations"] * 1e9
    result["cpu_ns"] = (target.cpu_seconds() - cpu) * share / result["operations"] * 1e9
    return result


def median(results, key):
    values = [result[key] for result in results if result[key] is not None]
    return statistics.median(values) if values else None


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="command line that starts the peer; {socket} is where it shall listen for RPC")
    parser.add_argument("--bin", default=str(top / "build/release/bin"), help="folder of weftd and weft")
    parser.add_argument("--weftd-options", default="-m 0x1")
    parser.add_argument("--client", help="another client with spdk_nvme_perf's options, for example "
                                         "'spdk_nvme_perf --no-huge -s 512 -c 0x2'")
    parser.add_argument("--light", action="store_true", help="our client throws away what it reads")
    parser.add_argument("--client-cpus", default="0x2")
    parser.add_argument("--congestion", default="cubic", help="of our client; the targets have the system's")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--disk-mib", type=int, default=256)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--json", help="write all results there")
    arguments = parser.parse_args()

    commands = [("weft", f"{arguments.bin}/weftd -r {{socket}} {arguments.weftd_options}", 4491)]
    if arguments.peer:
        commands.append(("peer", arguments.peer, 4492))
    report = {"kernel": platform.release(), "cpus": os.cpu_count(), "load": os.getloadavg()[0],
              "repeat": arguments.repeat, "seconds": arguments.seconds, "client": arguments.client or "weft perf",
              "light": arguments.light, "disk_mib": arguments.disk_mib, "cases": {}}
    print(f"{'':28} {'':5} {'IOPS':>10} {'mean us':>8} {'p99 us':>8} {'busy ns':>8} {'cpu ns':>8}")
    for case in CASES:
        if arguments.only not in case[0]:
            continue
        results = {name: [] for name, _, _ in commands}
        for _ in range(arguments.repeat):
            # One at a time: a peer that polls would take a CPU from the other's client.
            for name, command, port in commands:
                target = Target(name, command, port, arguments.disk_mib)
                try:
                    results[name].append(measure(arguments, case, target))
                finally:
                    target.close()
        row = {name: {key: median(list_of, key) for key in list_of[0]} for name, list_of in results.items()}
        for name, figures in row.items():
            p99 = f"{figures['p99_us']:8.1f}" if figures["p99_us"] is not None else f"{'-':>8}"
            print(f"{case[0]:28} {name:5} {figures['iops']:10.0f} {figures['mean_us']:8.1f} {p99} "
                  f"{figures['busy_ns']:8.0f} {figures['cpu_ns']:8.0f}", flush=True)
        if "peer" in row:
            print(f"{'':28} ratio {row['weft']['iops'] / row['peer']['iops']:10.2f} "
                  f"{row['weft']['mean_us'] / row['peer']['mean_us']:8.2f} {'':8} "
                  f"{row['weft']['busy_ns'] / row['peer']['busy_ns']:8.2f} "
                  f"{row['weft']['cpu_ns'] / row['peer']['cpu_ns']:8.2f}", flush=True)
        report["cases"][case[0]] = {"median": row, "runs": results}
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
