#!/usr/bin/env python3
"""Measures the block layer: `weft bdevperf`, beside the peer's bdevperf if one is named, on the same devices.

Both read the same configuration (the field's methods). In each round every case, and in each case the programs in turn;
figures are medians over the rounds. One reactor, on one CPU: IOPS are those of a core.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
BLOCK = 512
KEY, TWEAK = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"


def method(method_name, /, **params):
    return {"method": method_name, "params": params}


def null(name):
    return method("bdev_null_create", name=name, num_blocks=2 << 20, block_size=BLOCK)


def malloc(name):
    return method("bdev_malloc_create", name=name, num_blocks=(64 << 20) // BLOCK, block_size=BLOCK)


def limited(name, iops):
    return [null(name), method("bdev_set_qos_limit", name=name, rw_ios_per_sec=iops)]


def striped(*bases):
    return method("bdev_raid_create", name="Device", raid_level="raid0", strip_size_kb=64, base_bdevs=list(bases))


def encrypted(base):
    return method("bdev_crypto_create", base_bdev_name=base, name="Device", key_name="key")


CRYPTO_KEY = method("accel_crypto_key_create", cipher="AES_XTS", key=KEY, key2=TWEAK, name="key")


@dataclass(frozen=True)
class Case:
    """A load on the device named Device (or the only one there is)."""
    name: str
    devices: list
    workload: str
    size: int
    depth: int = 128
    accel: list = field(default_factory=list)
    on: str = "Device"

    def config(self):
        return {"subsystems": [{"subsystem": "accel", "config": self.accel},
                               {"subsystem": "bdev", "config": self.devices}]}


LIMIT = 100_000  # I/Os a second of a disk that is slower than a core
CASES = [
    *(Case(f"null, {size} B {way}", [null("Device")], way, size)
      for size in (512, 4096) for way in ("randread", "randwrite")),
    *(Case(f"malloc, 4096 B {way}", [malloc("Device")], way, 4096) for way in ("randread", "randwrite")),
    *(Case(f"passthru on null, 512 B {way}",
           [null("Base"), method("bdev_passthru_create", name="Device", base_bdev_name="Base")], way, 512)
      for way in ("randread", "randwrite")),
    Case("raid 0 of two null, 4096 B randwrite", [null("A"), null("B"), striped("A", "B")], "randwrite", 4096),
    Case("a disk of 100 000 IOPS, 4096 B randread", limited("Device", LIMIT), "randread", 4096),
    Case("raid 0 of two such disks, 4096 B randread",
         [*limited("A", LIMIT), *limited("B", LIMIT), striped("A", "B")], "randread", 4096, 256),
    # Blocks that were never written are not decrypted: what is read must have been written.
    *(Case(f"crypto on null, {size} B randwrite", [null("Base"), encrypted("Base")], "randwrite", size, 32, [CRYPTO_KEY])
      for size in (4096, 131072)),
    *(Case(f"crypto on malloc, {size} B randrw", [malloc("Base"), encrypted("Base")], "randrw", size, 32, [CRYPTO_KEY])
      for size in (4096, 131072)),
]


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def load(case, config, seconds):
    return ["-q", str(case.depth), "-o", str(case.size), "-w", case.workload, "-t", str(seconds), "-T", case.on,
            "-c", config, *(["-M", "50"] if case.workload == "randrw" else [])]


def of_weft(case, config, arguments):
    output = run([f"{arguments.bin}/weft", "bdevperf", "-m", hex(1 << arguments.cpu), "--json",
                  *load(case, config, arguments.seconds)])
    return json.loads(output)["iops"]


def of_peer(case, config, arguments):
    command = arguments.peer.format(cpus=hex(1 << arguments.cpu), cpu=arguments.cpu)
    output = run([*shlex.split(command), *load(case, config, arguments.seconds)])
    total = re.findall(r"^\s*Total\s*:\s+([\d.]+)", output, re.MULTILINE)
    if not total:
        raise SystemExit(f"no line of a total in what the peer printed:\n{output[-2000:]}")
    return float(total[-1])


def cipher(arguments):
    """Bytes a second of the bare cipher, by the bytes of an I/O."""
    program = TOP / "build" / "release" / "src" / "accel" / "weft_accel_bench"
    output = run(["taskset", "-c", str(arguments.cpu), str(program), f"--benchmark_filter=Xts/bare/.*/{BLOCK}$",
                  "--benchmark_format=json", f"--benchmark_repetitions={arguments.repeat}"])
    rows = [row for row in json.loads(output)["benchmarks"] if row.get("aggregate_name") == "median"]
    return {int(row["name"].split("/")[2]): row["bytes_per_second"] for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="COMMAND", help="starts the peer's bdevperf on the CPUs {cpus}, a mask")
    parser.add_argument("--bin", default=str(TOP / "build/release/bin"))
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement (%(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="only cases with it in their names")
    arguments = parser.parse_args()
    programs = {"weft": of_weft, **({"peer": of_peer} if arguments.peer else {})}
    cases = [case for case in CASES if arguments.only in case.name]
    figures = {case.name: {name: [] for name in programs} for case in cases}
    before = machine.load()
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments.repeat):
            for case in cases:
                config = os.path.join(folder, "config.json")
                pathlib.Path(config).write_text(json.dumps(case.config()), encoding="utf-8")
                for name in (list(programs) if turn % 2 == 0 else reversed(programs)):
                    figures[case.name][name].append(programs[name](case, config, arguments))
    median = {case: {name: statistics.median(values) for name, values in of.items()} for case, of in figures.items()}
    bare = cipher(arguments) if any("crypto" in case.name for case in cases) else {}
    print("| load, one core | IOPS | peer | ratio | |\n|---|---|---|---|---|")
    for case in cases:
        ours, peers = median[case.name]["weft"], median[case.name].get("peer")
        more = ""
        if case.size in bare and "crypto" in case.name:
            more = f"{ours * case.size / bare[case.size]:.2f} of the bare cipher"
        if case.name.startswith("raid 0 of two such") and (one := median.get("a disk of 100 000 IOPS, 4096 B randread")):
            more = f"{ours / (2 * one['weft']):.3f} of the sum"
        beside = f"{peers / 1e6:.3f} M | {ours / peers:.2f}" if peers else "|"
        print(f"| {case.name}, depth {case.depth} | {ours / 1e6:.3f} M | {beside} | {more} |")
    print(f"\nmedians of {arguments.repeat}; load average {before:.2f} before, {machine.load():.2f} after; "
          f"{machine.description()['cpu']}")


if __name__ == "__main__":
    main()
