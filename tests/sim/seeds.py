#!/usr/bin/env python3
"""tests/sim/seeds.py [--only seeds|bugs] [--with PRESET] [--seeds N] [--bug-seeds N] - seeds of weft-sim, and known bugs.

seeds: N seeds pass, and the first 50 have the same hashes in two runs (preset release).
bugs: those 50 have the same hashes in the build PRESET, and in it each known bug is found within N seeds. PRESET is one
that has the bugs built in: sim, or tsan, which CI builds anyway.

Prints `ok` or `not ok` for each. The presets must be built.
"""
import argparse
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
HASHED_SEEDS = 50


def run(preset, *arguments):
    return subprocess.run([BUILD / preset / "bin" / "weft-sim", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def hashes(preset, jobs):
    return run(preset, "--seeds", HASHED_SEEDS, "--hashes", "--jobs", jobs).stdout.splitlines()[:-1]


def report(passed, what, output=""):
    print(f"{'ok' if passed else 'not ok'} {what}", flush=True)
    for line in [] if passed else output.splitlines()[:40]:
        print(f"    | {line}", flush=True)
    return passed


def seeds(count):
    done = run("release", "--seeds", count, "--marks")
    passed = report(done.returncode == 0, f"{count} seeds: {(done.stdout.strip().splitlines() or ['no output'])[-1]}",
                    done.stdout + done.stderr)
    once = hashes("release", 1)
    return report(len(once) == HASHED_SEEDS and once == hashes("release", 2),
                  f"{HASHED_SEEDS} seeds have the same hashes in two runs") and passed


def bugs(preset, count):
    here = hashes(preset, 2)
    passed = report(len(here) == HASHED_SEEDS and here == hashes("release", 2),
                    f"{HASHED_SEEDS} seeds have the same hashes in the builds release and {preset}")
    done = run(preset, "--mutants", "--seeds", count)
    print(done.stdout, end="", flush=True)
    return report(done.returncode == 0 and "ok " in done.stdout, "every known bug is found", done.stderr) and passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["seeds", "bugs"])
    parser.add_argument("--with", dest="preset", metavar="PRESET", default="sim", choices=["sim", "tsan"])
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--bug-seeds", type=int, default=500, help="within which each known bug must be found")
    options = parser.parse_args()
    passed = options.only == "bugs" or seeds(options.seeds)
    passed &= options.only == "seeds" or bugs(options.preset, options.bug_seeds)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
