#!/usr/bin/env python3
"""Measures weftd, beside a peer if there is one, and says of each goal whether it is met. See bench/README.md.

Without a peer and without another client: what weftd does alone. Takes about a quarter of an hour with everything.
"""

import argparse
import contextlib
import datetime
import json
import pathlib
import signal
import sys

import changes
import crowds
import goals
import loads
import machine
import management
import quiet
import secure
from clients import ClientError, FieldPerf, WeftPerf
from nvme_host import HostError
from stands import Commands, filled_file
from targets import TargetError

# What is measured besides the cases of loads.py: by name, what takes commands and options.
QUIET = {"idle_cpu_percent": quiet.idle_cpu, "first_after_silence": quiet.first_after_silence, "memory": quiet.memory,
         "start_up": quiet.start_up}
CROWDS = {"connections": crowds.connections, "reactors": crowds.reactors, "growth": crowds.growth,
          "management": management.turns, "tls": secure.tls, "changes": changes.latencies}
ALL = ["floor", *QUIET, *CROWDS]


def options():
    top = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="COMMAND", help="starts the peer; {socket} is where it shall listen for RPC, "
                                                          "{cpus} the mask of its CPUs")
    parser.add_argument("--client", metavar="COMMAND", help="spdk_nvme_perf, with the options it needs on this machine")
    parser.add_argument("--bin", default=str(top / "build/release/bin"), help="folder of weftd, weft, weft_bench_floor")
    parser.add_argument("--weftd-options", default="", metavar="OPTIONS")
    parser.add_argument("--only", action="append", default=[], metavar="WORD",
                        help="only what is named so, or has it in its name; may be repeated. " + ", ".join(ALL) +
                             f" and cases as '{loads.CASES[0].name}'")
    parser.add_argument("--repeat", type=int, default=5, help="measurements each figure is the median of (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement (%(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=5)
    parser.add_argument("--client-cpu", type=int, default=1, help="the CPU of our clients (%(default)s)")
    parser.add_argument("--congestion", default="cubic", help="congestion control of everybody (%(default)s)")
    parser.add_argument("--tmpfs-folder", default="/dev/shm")
    parser.add_argument("--disk-folder", default=str(top / "build"), help="on a disk (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="where all figures go; `bench/plot.py FILE` draws them")
    return parser.parse_args()


def main():
    arguments = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that targets end, too
    weftd = f"{arguments.bin}/weftd -m {{cpus}} -r {{socket}} {arguments.weftd_options}"
    clients = make_clients(arguments)
    commands = Commands(weftd, arguments.peer, arguments.congestion, filler=clients[loads.COPYING])
    with machine.congestion_control(arguments.congestion) as congestion:
        report = {"machine": machine.description(), "settings": settings(arguments, clients, congestion), "notes": [],
                  "loads": [], "floor": {}, "quiet": {}, "crowds": {}}
        stolen = machine.stolen_seconds()
        measure(report, commands, clients, arguments)
        report["settings"]["load_after"] = machine.load()
        report["settings"]["stolen_seconds"] = machine.stolen_seconds() - stolen
    show(save(report, arguments.json))


def save(report, path):
    """What who reads the file will get: with numbers that are keys as words."""
    text = json.dumps(report, indent=1) + "\n"
    if path:
        pathlib.Path(path).write_text(text, encoding="utf-8")
    return json.loads(text)


def make_clients(arguments):
    weft, cpus = f"{arguments.bin}/weft", hex(1 << arguments.client_cpu)
    clients = {loads.LIGHT: WeftPerf(weft, cpus, arguments.congestion, discard=True),
               loads.COPYING: WeftPerf(weft, cpus, arguments.congestion, discard=False)}
    if arguments.client:
        clients[loads.FIELD] = FieldPerf(arguments.client)
    return clients


def settings(arguments, clients, congestion):
    return {"repeat": arguments.repeat, "seconds": arguments.seconds, "congestion_control": congestion,
            "clients": {key: client.label for key, client in clients.items()}, "load_before": machine.load(),
            "load_after": machine.load(), "stolen_seconds": 0,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat()}


def measure(report, commands, clients, arguments):
    names = [*ALL, *(case.name for case in loads.CASES)]

    def wanted(name):
        """Named whole, or by a word that is no whole name of another."""
        return not arguments.only or any(word == name or (word in name and word not in names)
                                         for word in arguments.only)

    def part(where, name, take, *more):
        """What fails is noted, and the rest goes on."""
        if wanted(name):
            loads.say(name)
            try:
                where[name] = take(*more, arguments)
            except (TargetError, HostError, ClientError, OSError) as error:
                report["notes"].append(f"{name}: {error}")
            save(report, arguments.json)

    cases = [case for case in loads.CASES if wanted(case.name)]
    with contextlib.ExitStack() as stack:
        files = []
        if any(case.stand == "file" for case in cases):
            folders = (arguments.tmpfs_folder, arguments.disk_folder)
            files = [stack.enter_context(filled_file(folder)) for folder in folders]
        report["loads"], report["notes"] = loads.measure(cases, commands, clients, files, arguments)
    part(report, "floor", loads.measure_floor, f"{arguments.bin}/weft_bench_floor")
    for name, take in QUIET.items():
        part(report["quiet"], name, take, commands)
    for name, take in CROWDS.items():
        part(report["crowds"], name, take, commands, clients[loads.LIGHT])
    loads.say("")


def show(report):
    clients = report["settings"]["clients"]
    print(f"{'':63} {'IOPS':>9} {'busy ns':>8} {'cpu ns':>8} {'mean µs':>9} {'p50 µs':>9} {'p99 µs':>9}")
    for load in report["loads"]:
        for name, target in load["targets"].items():
            median = target["median"]
            latency = " ".join(f"{median[key]:9.1f}" if median[key] is not None else f"{'-':>9}"
                               for key in ("mean_us", "p50_us", "p99_us"))
            print(f"{load['case']:32} {clients[load['client']]:19} {name:10} {median['iops']:9.0f} "
                  f"{median['busy_ns']:8.0f} {median['cpu_ns']:8.0f} {latency}")
    print(f"\n{'':84} {'goal':>9} {'is':>8}          {'weft':>10} {'beside':>10}")
    for row in goals.rows(report):
        print(f"{row.what:84} {row.goal:>9} {row.value:8.3g}  {row.verdict():8} {row.ours:>10} {row.other:>10}")
    for note in report["notes"]:
        print(f"note: {note}")
    print(f"congestion control: {report['settings']['congestion_control']}; load average "
          f"{report['settings']['load_before']:.2f} before, {report['settings']['load_after']:.2f} after; "
          f"{report['settings']['stolen_seconds']:.1f} s stolen by the hypervisor")


if __name__ == "__main__":
    main()
