#!/usr/bin/env python3
"""Bad disks: power losses, errors, parts of writes, a full or shrunk file, slowness; and a disk that lies, which the
checker must find out."""
import errno
import os
import subprocess
import time

from faulty_disk import FaultyDisk, why_not
from rig import (FULL, SLOWER, Checker, Target, check, file_bdev, finish, folder, make_disk, run_checker, seeded, skip,
                 wait_for)

WRITE_FAULT, READ_ERROR, FULL_STATUS = "2/80", "2/81", "0/81"


def power_losses(path, chance, seed, lies=False):
    rounds = 1 if lies else 100 if FULL else 6
    lost = flushes = 0
    for kind in ("uring",) if lies else ("uring", "aio"):
        with FaultyDisk(path / f"power-{kind}{lies}") as disk, Target(path, f"power-{kind}{lies}") as target:
            target.export(file_bdev(disk.path, kind))
            journal = path / f"journal-power-{kind}{lies}"
            for turn in range(rounds):
                disk.tell(f"lie {int(lies)}")
                target.start()
                checker = Checker("run", target.port, "--time", 20, "--mode", "power", "--seed", seed + turn, journal=journal)
                target.wait_for_queues(4)
                time.sleep(chance.uniform(0.4, 1.0) * SLOWER)
                target.kill()
                status, report, complaint = checker.result()
                check(f"power loss {turn + 1} ({kind}): what was read before is right",
                      status == 0, f"{report}\n{complaint}")
                flushes += report.get("flushes", 0)
                lost += disk.lose_power(seed + turn)
                target.start()
                status, report, complaint = run_checker("check", target.port, journal=journal)
                if lies:
                    check("a disk that only says that it syncs is found", status == 1 and report["lost"] > 0, complaint)
                elif not check(f"power loss {turn + 1} ({kind}): everything flushed or forced is there", status == 0,
                               complaint):
                    return
                target.stop()
    check(f"the losses hit something: {lost} sectors", lost > 0)
    check(f"the checker flushed: {flushes} times", flushes > 0)


def errors(path, seed):
    with FaultyDisk(path / "errors") as disk, Target(path, "errors") as target:
        target.export(file_bdev(disk.path))
        journal = path / "journal-errors"
        target.start()

        def run(*options):
            return run_checker("run", target.port, "--time", 1, "--seed", seed, *options, journal=journal)

        status, _, complaint = run()
        check("a sound disk", status == 0, complaint)
        disk.fail("read", errno.EIO, 50)
        status, report, complaint = run("--tolerate", READ_ERROR)
        check("EIO of reads is Unrecovered Read Error, and ends", status == 0 and report["refused"] >= 40, f"{report}{complaint}")
        disk.fail("write", errno.ENOSPC, 50)
        status, report, complaint = run("--tolerate", FULL_STATUS)
        check("ENOSPC is Capacity Exceeded, and ends", status == 0 and report["refused"] >= 40, f"{report}{complaint}")
        disk.heal()
        status, report, complaint = run()
        check("a healed disk needs no restart", status == 0 and report["refused"] == 0, complaint)
        disk.fail("write", errno.EIO, 50)
        status, report, complaint = run("--tolerate", WRITE_FAULT)
        check("EIO of writes is Write Fault, and ends", status == 0 and report["refused"] >= 40, f"{report}{complaint}")
        disk.heal()
        status, report, complaint = run("--tolerate", WRITE_FAULT)
        check("a healed disk is written without a restart", status == 0 and report["writes"] > 0, complaint)
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("nothing acknowledged is lost by errors", status == 0, complaint)
        target.stop()
        target.start()  # a FUA write that failed is a failed sync: see below

        disk.fail("sync", errno.EIO, 1)
        status, report, complaint = run("--tolerate", WRITE_FAULT)
        check("a failed sync fails the Flush", status == 0 and report["refused"] > 0, f"{report}{complaint}")
        status, report, complaint = run("--tolerate", WRITE_FAULT)
        check("and all that follow, though the disk is well again", status == 0 and report["flushes"] == 0, f"{report}{complaint}")
        target.stop()
        target.start()
        status, report, complaint = run()
        check("until it is opened anew", status == 0 and report["flushes"] > 0, f"{report}{complaint}")


def parts(path, seed):
    """Through the page cache's calls: around it, the kernel's FUSE and io_uring together lose the place after a part,
    and of reads always; short reads are the simulation's."""
    with FaultyDisk(path / "parts") as disk, Target(path, "parts") as target:
        target.export(file_bdev(disk.path, direct=False))
        journal = path / "journal-parts"
        target.start()
        for every in (7, 2):
            disk.tell(f"cut {every}")
            status, report, complaint = run_checker("run", target.port, "--time", 1, "--seed", seed + every, journal=journal)
            check(f"one of {every} writes is cut to a part: nothing is taken for whole", status == 0 and report["writes"] > 0,
                  complaint)
        disk.tell("cut 0")
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("nothing acknowledged is lost by parts of writes", status == 0, complaint)


def slowness(path, seed):
    """Hosts lose patience with commands in the disk, and connect again: what is under way may not come later."""
    with FaultyDisk(path / "slow") as disk, Target(path, "slow") as target:
        target.export(file_bdev(disk.path))
        journal = path / "journal-slow"
        target.start()
        checker = Checker("run", target.port, "--time", 8 * SLOWER, "--seed", seed, "--io-timeout", 1, "--reconnect", "--depth",
                          8, "--bytes-max", 8192, "--reads", 50, journal=journal)
        wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER)
        disk.tell("slow 150")
        time.sleep(4 * SLOWER)
        disk.tell("slow 0")
        status, report, complaint = checker.result()
        check("commands of an association that is over are not done later", status == 0 and report["losses"] > 0,
              f"{report}{complaint}")
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("nothing acknowledged is lost by slowness", status == 0, complaint)
        check("and it stops", target.stop()[0] == 0, target.tail())


def full_file_system(path, seed):
    small = path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small)], capture_output=True, check=False).returncode:
        skip("a full file system", "no right to mount one")
        return
    try:
        with Target(path, "full") as target:
            target.export(file_bdev(make_disk(small / "disk", 8 << 20), block_size=4096))
            journal = path / "journal-full"
            target.start()
            options = ("--blocks", 1024, "--seed", seed, "--tolerate", FULL_STATUS, "--time", 1.5)
            status, report, complaint = run_checker("run", target.port, *options, journal=journal)
            check("a file system without room refuses, and serves the rest",
                  status == 0 and report["refused"] > 0 and report["writes"] > 0 and report["losses"] == 0, f"{report}{complaint}")
            status, _, complaint = run_checker("check", target.port, journal=journal)
            check("nothing acknowledged is lost by a full file system", status == 0, complaint)
            subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
            status, report, complaint = run_checker("run", target.port, *options, journal=journal)
            check("with room again it writes, without a restart", status == 0 and report["refused"] == 0, f"{report}{complaint}")
    finally:
        subprocess.run(["umount", str(small)], check=False)


def shrunk_file(path, seed):
    with Target(path, "shrunk") as target:
        disk = make_disk(path / "disk-shrunk", 8 << 20)
        target.export(file_bdev(disk, block_size=4096))
        target.start()
        lower = Checker("run", target.port, "--time", 4 * SLOWER, "--seed", seed, "--blocks", 1024, "--name", "lower",
                        journal=path / "lower")
        upper = Checker("run", target.port, "--time", 20, "--seed", seed, "--first", 1024, "--blocks", 1024, "--name", "upper",
                        "--tolerate", READ_ERROR, WRITE_FAULT, "--reads", 90)
        time.sleep(1 * SLOWER)
        os.truncate(disk, 4 << 20)
        status, _, complaint = lower.result()
        check("a file is cut under load: what is left of it is right", status == 0, complaint)
        _, report, complaint = upper.result()
        check("what was cut off is refused or empty, and nothing else",
              report and report["unexpected"] == report["torn"] == report["misplaced"] == report["invented"] == 0, complaint)
        blocks = target.rpc("bdev_get_bdevs")[0]["num_blocks"]
        check("its size stays what it was until a rescan", blocks == 2048, blocks)
        status, _, complaint = run_checker("check", target.port, "--name", "lower", journal=path / "lower")
        check("everything acknowledged in what is left is there", status == 0, complaint)


def main():
    chance, seed = seeded()
    with folder() as path:
        reason = why_not()
        if reason:
            for name in ("power losses", "a disk that lies", "errors of a disk", "a slow disk"):
                skip(name, reason)
        else:
            power_losses(path, chance, seed)
            power_losses(path, chance, seed, lies=True)
            errors(path, seed)
            parts(path, seed)
            slowness(path, seed)
        full_file_system(path, seed)
        shrunk_file(path, seed)
    finish()


main()
