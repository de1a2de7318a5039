#!/usr/bin/env python3
"""tests/sim/seeds.py [--seeds N] [--mutant-seeds N] - seeds of weft-sim, their hashes in two builds, and known bugs.

Prints `ok` or `not ok` for each. Needs the presets sim and release built.
"""
import argparse
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
SIM, RELEASE = BUILD / "sim" / "bin" / "weft-sim", BUILD / "release" / "bin" / "weft-sim"
HASHED_SEEDS = 50


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)


def report(passed, what, output=""):
    print(f"{'ok' if passed else 'not ok'} {what}", flush=True)
    for line in [] if passed else output.splitlines()[:40]:
        print(f"    | {line}", flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--mutant-seeds", type=int, default=300, help="within which each known bug must be found")
    options = parser.parse_args()
    done = run(RELEASE, "--seeds", options.seeds, "--marks")
    passed = report(done.returncode == 0, f"{options.seeds} seeds: {done.stdout.strip().splitlines()[-1]}", done.stdout)
    hashes = [run(program, "--seeds", HASHED_SEEDS, "--hashes", "--jobs", jobs).stdout.splitlines()[:-1]
              for program, jobs in [(RELEASE, 1), (RELEASE, 2), (SIM, 2)]]
    same = hashes[0] == hashes[1] == hashes[2] and len(hashes[0]) == HASHED_SEEDS
    passed &= report(same, f"{HASHED_SEEDS} seeds have the same hashes in two runs and in another build")
    done = run(SIM, "--mutants", "--seeds", options.mutant_seeds)
    print(done.stdout, end="", flush=True)
    passed &= done.returncode == 0 and "ok " in done.stdout
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
