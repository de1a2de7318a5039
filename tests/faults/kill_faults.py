#!/usr/bin/env python3
"""kill -9 at random moments under the load of four hosts; SIGTERM under load; the checker killed, too.

In the full run 100 rounds. The file is read and written by uring and aio, around the page cache and through it."""
import os
import time

from rig import FULL, SLOWER, Checker, Target, check, file_bdev, finish, folder, make_disk, run_checker, seeded

KINDS = [("uring", True), ("aio", True), ("uring", False), ("aio", False)]
ROUNDS = 100 if FULL else 12


def kills(path, chance, seed):
    slowest, writes, cut = 0.0, 0, 0
    for number, (kind, direct) in enumerate(KINDS):
        name = f"{kind}, {'direct' if direct else 'page cache'}"
        with Target(path, f"kill{number}", cpus="0x3") as target:
            target.export(file_bdev(make_disk(path / f"disk{number}"), kind, direct=direct))
            journal = path / f"journal{number}"
            target.start()
            rounds = (ROUNDS + len(KINDS) - 1) // len(KINDS)
            for turn in range(rounds):
                checker = Checker("run", target.port, "--time", 20, "--seed", seed * 1000 + turn, "--hosts", 4, journal=journal)
                target.wait_for_queues(4)
                time.sleep((0.3 + chance.random() * 0.9) * SLOWER)
                target.kill()
                status, report, complaint = checker.result()
                if not check(f"kill {turn + 1} ({name}): what was read before is right", status == 0, complaint):
                    return
                writes, cut = writes + report["writes"], cut + report["unanswered"]
                slowest = max(slowest, target.start())  # with its socket, lock and files as they were left
                status, report, complaint = run_checker("check", target.port, journal=journal)
                if not check(f"kill {turn + 1} ({name}): everything acknowledged is there", status == 0, complaint):
                    return
            status, _ = target.stop()
            check(f"it stops ({name})", status == 0, target.tail())
    print(f"# {writes} writes acknowledged, {cut} commands cut off, slowest restart {slowest:.2f} s", flush=True)
    check("a restart takes less than two seconds", slowest < 2 * SLOWER, f"{slowest:.2f} s")
    check("the kills hit commands on their way", cut > 0)


def terminations(path, seed):
    with Target(path, "term", cpus="0x3") as target:
        target.export(file_bdev(make_disk(path / "disk-term")))
        journal = path / "journal-term"
        for turn in range(10 if FULL else 2):
            target.start()
            # A command that the target ends at its stop may be answered so, or not at all.
            checker = Checker("run", target.port, "--time", 20, "--seed", seed + turn, "--hosts", 4, "--tolerate", "0/8", "0/7",
                              "3/0", journal=journal)
            time.sleep(1 * SLOWER)
            status, seconds = target.stop()
            check(f"SIGTERM {turn + 1} under load: status 0, within 5 s", status == 0 and seconds <= 5 * SLOWER,
                  f"{status}, {seconds:.1f} s\n{target.tail()}")
            status, _, complaint = checker.result()
            check(f"SIGTERM {turn + 1}: what was read before is right", status == 0, complaint)
            target.start()
            status, _, complaint = run_checker("check", target.port, journal=journal)
            check(f"SIGTERM {turn + 1}: everything acknowledged is there", status == 0, complaint)
            target.stop()


def checker_killed(path, seed):
    with Target(path, "both") as target:
        target.export(file_bdev(make_disk(path / "disk-both")))
        target.start()
        journal = path / "journal-both"
        checker = Checker("run", target.port, "--time", 20, "--seed", seed, journal=journal)
        time.sleep(1 * SLOWER)
        checker.process.kill()
        checker.result()
        status, report, complaint = run_checker("run", target.port, "--time", 1, "--seed", seed + 1, journal=journal)
        check("a checker that was killed goes on where it was", status == 0 and report["writes"] > 0, complaint)
        checker = Checker("run", target.port, "--time", 20, "--seed", seed + 2, journal=journal)
        time.sleep(0.5 * SLOWER)
        os.kill(checker.process.pid, 9)
        target.kill()
        checker.result()
        target.start()
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("checker and target killed: everything acknowledged is there", status == 0, complaint)


def main():
    chance, seed = seeded()
    with folder() as path:
        kills(path, chance, seed)
        terminations(path, seed)
        checker_killed(path, seed)
    finish()


main()
