#!/usr/bin/env python3
"""The checker's negative controls: what is really lost, torn, swapped or invented must be found, or it has gone blind."""
import time

from proxy import Proxy
from rig import SLOWER, Checker, Target, check, file_bdev, finish, folder, make_disk, run_checker, seeded

BLOCK = 512


def found(name, result, *kinds):
    status, report, complaint = result
    check(name, status == 1 and any(report.get(kind, 0) > 0 for kind in kinds),
          f"status {status}, {({kind: report.get(kind) for kind in ('lost', 'torn', 'misplaced', 'invented')})}\n{complaint}")


def damaged_files(path, seed):
    disk = make_disk(path / "disk")
    with Target(path, "file") as target:
        target.export(file_bdev(disk))
        journal = path / "journal"
        target.start()
        status, report, complaint = run_checker("run", target.port, "--time", 1, "--seed", seed, journal=journal)
        check("a run to be damaged", status == 0 and report["writes"] > 100, complaint)
        target.stop()
        whole = disk.read_bytes()
        blocks = [at for at in range(0, 8192 * BLOCK, BLOCK) if any(whole[at:at + 48])]
        check("there are blocks to damage", len(blocks) > 100, len(blocks))
        first, second, third = blocks[10], blocks[20], blocks[30]

        def with_damage(name, damage, kind):
            contents = bytearray(whole)
            damage(contents)
            disk.write_bytes(contents)
            target.start()
            found(name, run_checker("check", target.port, journal=journal), kind)
            target.stop()

        def swap(contents):
            contents[first:first + BLOCK], contents[second:second + BLOCK] = (
                contents[second:second + BLOCK], contents[first:first + BLOCK])

        def tear(contents):
            contents[third + 256:third + BLOCK] = contents[second + 256:second + BLOCK]

        def zero(contents):
            contents[third:third + BLOCK] = bytes(BLOCK)

        def flip(contents):
            contents[third + 300] ^= 4

        with_damage("one swapped block is found", swap, "misplaced")
        with_damage("one torn block is found", tear, "torn")
        with_damage("one flipped bit is found", flip, "torn")
        with_damage("one lost block is found", zero, "lost")
        disk.write_bytes(whole)
        target.start()
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("and without damage all is well", status == 0, complaint)
        # An old state of the whole disk, as a snapshot that was put back.
        run_checker("run", target.port, "--time", 1, "--seed", seed + 1, journal=journal)
        target.stop()
        disk.write_bytes(whole)
        target.start()
        found("an old state of the disk is found", run_checker("check", target.port, journal=journal), "lost")
        found("while it runs, too", run_checker("run", target.port, "--time", 1, "--seed", seed + 2, journal=journal), "lost")


def ram_disk(path, seed):
    with Target(path, "ram") as target:
        target.export(("bdev_malloc_create", {"name": "Ram0", "num_blocks": 32768, "block_size": BLOCK}))
        journal = path / "journal-ram"
        target.start()
        checker = Checker("run", target.port, "--time", 20, "--seed", seed, journal=journal)
        time.sleep(1 * SLOWER)
        target.kill()
        checker.result()
        target.start()
        found("a RAM disk over a kill is found", run_checker("check", target.port, journal=journal), "lost")


def early_acknowledgement(path, seed):
    """Writes are acknowledged fifty milliseconds before the target has them. Only writes, of blocks that only one queue
    uses, so that it is the crash that tells."""
    with Target(path, "early") as target, Proxy(target.port, "early") as proxy:
        target.export(file_bdev(make_disk(path / "disk-early")))
        journal = path / "journal-early"
        target.start()
        options = ("--seed", seed, "--shared", 0, "--reads", 0, "--no-deallocate", "--depth", 4, "--bytes-max", 4096)
        checker = Checker("run", proxy.port, "--time", 20, *options, journal=journal)
        time.sleep(1 * SLOWER)
        target.kill()
        status, report, complaint = checker.result()
        check("a target that acknowledges early was written to", report.get("writes", 0) > 100, f"{status}: {complaint}")
        target.start()
        found("acknowledged before it was written: found", run_checker("check", target.port, journal=journal), "lost")


def main():
    _, seed = seeded()
    with folder() as path:
        damaged_files(path, seed)
        ram_disk(path, seed)
        early_acknowledgement(path, seed)
    finish()


main()
