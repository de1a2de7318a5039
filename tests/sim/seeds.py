#!/usr/bin/env python3
"""tests/sim/seeds.py [--seeds N] [--all-mutants] - seeds of weft-sim, their hashes in two builds, and known bugs.

Prints `ok` or `not ok` for each. Needs the presets sim and release built.
"""
import argparse
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
SIM, RELEASE = BUILD / "sim" / "bin" / "weft-sim", BUILD / "release" / "bin" / "weft-sim"
HASHED_SEEDS = 50
REGRESSIONS = [616]  # seeds that found something when they were first run
# Of each kind one that few seeds find; scripts/nightly hunts all of them.
SAMPLE = ["io_queue_of_any_host", "host_list_ignored", "controller_end_not_told", "handshake_without_limit",
          "executing_request_freed", "buffer_given_twice", "r2t_length_wraps", "lent_data_not_copied",
          "partial_send_repeated", "write_error_hidden", "flush_not_passed_on", "fua_ignored", "nsid_off_by_one",
          "waiters_in_wrong_order", "wake_up_lost", "acknowledged_before_written", "short_read_accepted",
          "failed_sync_forgotten"]


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
    parser.add_argument("--all-mutants", action="store_true")
    options = parser.parse_args()
    done = run(RELEASE, "--seeds", options.seeds, "--marks")
    passed = report(done.returncode == 0, f"{options.seeds} seeds: {done.stdout.strip().splitlines()[-1]}", done.stdout)
    for seed in REGRESSIONS:
        done = run(RELEASE, "--seed", seed)
        passed &= report(done.returncode == 0, f"seed {seed}", done.stdout)
    hashes = [run(program, "--seeds", HASHED_SEEDS, "--hashes", "--jobs", jobs).stdout.splitlines()[:-1]
              for program, jobs in [(RELEASE, 1), (RELEASE, 2), (SIM, 2)]]
    same = hashes[0] == hashes[1] == hashes[2] and len(hashes[0]) == HASHED_SEEDS
    passed &= report(same, f"{HASHED_SEEDS} seeds have the same hashes in two runs and in another build")
    if options.all_mutants:
        done = run(SIM, "--mutants", "--seeds", 1000)
        print(done.stdout, end="", flush=True)
        passed &= done.returncode == 0
    else:
        for name in SAMPLE:
            done = run(SIM, "--mutant", name, "--seeds", 300)
            print(done.stdout, end="", flush=True)
            passed &= done.returncode == 0
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
