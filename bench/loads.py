"""What is measured under load, on every target of a stand and with every client that has a say in it."""

import contextlib
import json
import sys
from dataclasses import dataclass

from clients import ClientError, Load, output
from measure import summary, turn, under_load
from stands import open_stand
from targets import TargetError

KIB = 1024
FIELD, LIGHT, COPYING = "field", "light", "copying"


@dataclass(frozen=True)
class Case:
    name: str
    stand: str
    load: Load
    clients: tuple


def _both(name, size, depth, read_clients, write_clients, stand="ram", **more):
    return [Case(name.format("read"), stand, Load("randread", size, depth, **more), read_clients),
            Case(name.format("write"), stand, Load("randwrite", size, depth, **more), write_clients)]


CASES = [
    *_both("4 KiB {} QD 1", 4 * KIB, 1, (FIELD, LIGHT, COPYING), (FIELD, LIGHT)),
    *_both("4 KiB {} QD 8", 4 * KIB, 8, (LIGHT,), (LIGHT,)),
    *_both("4 KiB {} QD 32", 4 * KIB, 32, (FIELD, LIGHT, COPYING), (FIELD, LIGHT)),
    *_both("4 KiB {} QD 128", 4 * KIB, 128, (FIELD, LIGHT, COPYING), (FIELD, LIGHT)),
    *_both("4 KiB {} 4 x QD 32", 4 * KIB, 32, (FIELD, LIGHT), (FIELD, LIGHT), connections=4),
    *_both("4 KiB {} 16 x QD 32", 4 * KIB, 32, (FIELD, LIGHT, COPYING), (FIELD, LIGHT), connections=16),
    *_both("16 KiB {} QD 32", 16 * KIB, 32, (LIGHT,), (LIGHT,)),
    *_both("128 KiB {} QD 32", 128 * KIB, 32, (FIELD, LIGHT, COPYING), (FIELD, LIGHT)),
    *_both("4 KiB {} QD 128, digests", 4 * KIB, 128, (FIELD, LIGHT), (FIELD, LIGHT), digests=True),
    *_both("128 KiB {} QD 32, digests", 128 * KIB, 32, (FIELD, LIGHT), (FIELD, LIGHT), digests=True),
    *_both("4 KiB {} QD 128, 1 GiB cold", 4 * KIB, 128, (LIGHT,), (LIGHT,), "cold"),
    *_both("128 KiB {} QD 32, 1 GiB cold", 128 * KIB, 32, (LIGHT,), (LIGHT,), "cold"),
    Case("128 KiB read QD 32, zero copy", "zero copy", Load("randread", 128 * KIB, 32), (LIGHT,)),
    *_both("4 KiB {} QD 32, file on tmpfs", 4 * KIB, 32, (LIGHT,), (LIGHT,), "file"),
    *_both("4 KiB {} QD 32, file on disk", 4 * KIB, 32, (LIGHT,), (LIGHT,), "file", nsid=2),
]
FLOOR_DEPTHS, FLOOR_SECONDS = (1, 8, 32, 128), 0.6


def measure(cases, commands, clients, files, arguments):
    """Rounds, each with fresh processes; in it all cases, and in each of these the targets in turn."""
    runs, notes = {}, set()
    for number in range(arguments.repeat):
        for stand in dict.fromkeys(case.stand for case in cases):
            with contextlib.ExitStack() as stack:
                targets, missing = open_stand(stack, stand, commands, files)
                notes.update(missing)
                for case in (case for case in cases if case.stand == stand):
                    say(f"round {number + 1} of {arguments.repeat}: {case.name}")
                    for key in (key for key in case.clients if key in clients):
                        for name, target in turn(targets, number):
                            try:
                                run = under_load(target, clients[key], case.load, arguments.seconds)
                            except (ClientError, TargetError) as error:
                                notes.add(f"{case.name}: {name}: {error}")
                                continue
                            runs.setdefault((case.name, key), {}).setdefault(name, []).append(run)
    say("")
    results = [{"case": case.name, "client": key, **vars(case.load), "stand": case.stand,
                "targets": summary(dict(sorted(runs[case.name, key].items(), key=lambda item: item[0] != "weft")))}
               for case in cases for key in case.clients if (case.name, key) in runs]
    return results, sorted(notes)


def measure_floor(program, arguments):
    """The same bytes over a plain connection, by queue depth; at the last one also with a client that copies."""
    runs = {}
    for _ in range(arguments.repeat):
        for depth, more in [(depth, []) for depth in FLOOR_DEPTHS] + [(FLOOR_DEPTHS[-1], ["--copy"])]:
            name = f"QD {depth}{', copying' if more else ''}"
            say(f"floor: {name}")
            seconds = min(arguments.seconds, FLOOR_SECONDS)
            runs.setdefault(name, []).append(json.loads(output([
                program, "--depth", str(depth), "--seconds", str(seconds), "--client-cpu", str(arguments.client_cpu),
                "--congestion", arguments.congestion, *more])))
    say("")
    return summary(runs)


def say(what):
    """What is going on, on a terminal; nothing clears the line."""
    if sys.stderr.isatty():
        print(f"\r{what:70.70}", end="" if what else "\r", file=sys.stderr, flush=True)
