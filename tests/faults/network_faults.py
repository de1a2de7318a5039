#!/usr/bin/env python3
"""Bad networks and hosts: pulled cables, late packets, pieces, flipped bits, slow readers and senders, storms of reconnects.

There is no netem in every kernel, so a proxy in user space does it: it splits, delays, holds and damages what TCP carries."""
import time

from proxy import Proxy
from rig import FULL, SLOWER, Checker, Target, check, file_bdev, finish, folder, make_disk, run_checker, seeded, wait_for


def pulled_cable(path, seed):
    """Hosts that vanish without a FIN, and whose writes come after all, when they have connected again and written more."""
    with Target(path, "half") as target, Proxy(target.port) as proxy:
        target.export(file_bdev(make_disk(path / "disk-half")))
        journal = path / "journal-half"
        target.start()
        idle_fds = target.fds()
        checker = Checker("run", proxy.port, "--time", 9, "--seed", seed, "--kato", 1000, "--io-timeout", 5, "--reconnect",
                          "--hosts", 4, journal=journal)
        check("hosts connect", wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER))
        time.sleep(1)
        first = {one["cntlid"] for one in target.controllers()}
        proxy.hold()
        # KATO is 1 s at least, then there is half a second of grace.
        check("hosts behind a pulled cable end with their keep-alive time",
              wait_for(lambda: not first & {one["cntlid"] for one in target.controllers()}, 4 * SLOWER), target.controllers())
        check("they come back", wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER))
        proxy.release()  # now the writes of then arrive
        status, report, complaint = checker.result()
        check("nothing is written late", status == 0 and report["losses"] >= 4 and report["writes"] > 0, complaint)
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("and everything acknowledged is there", status == 0, complaint)
        check("nothing of them is left", target.is_back_to(idle_fds), f"{target.fds()} fds, {idle_fds} when idle")
        checker = Checker("run", proxy.port, "--time", 20, "--io-timeout", 3, journal=path / "other-half")
        wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER)
        proxy.become("stall")
        time.sleep(0.5)
        status, seconds = target.stop()
        check("SIGTERM does not wait for hosts behind a pulled cable", status == 0 and seconds < 5 * SLOWER,
              f"{status}, {seconds:.1f} s\n{target.tail()}")
        checker.result()


def pieces(path, seed):
    with Target(path, "pieces") as target, Proxy(target.port, "pieces", seed) as proxy:
        target.export(file_bdev(make_disk(path / "disk-pieces")))
        target.start()
        for digests in ((), ("--hdgst", "--ddgst")):
            status, report, complaint = run_checker("run", proxy.port, "--time", 20 if FULL else 3, "--seed", seed, *digests)
            check(f"segments of all lengths, late{' (digests)' if digests else ''}", status == 0 and report["writes"] > 0,
                  complaint)


def flips(path, seed):
    """Every flip is found by a digest or by a rule of the protocol: no wrong data is ever taken for right."""
    wanted = (1 << 20) if FULL else 300
    with Target(path, "flips") as target, Proxy(target.port, "flip", seed, 20_000 if FULL else 50_000) as proxy:
        target.export(file_bdev(make_disk(path / "disk-flips"), block_size=512))
        journal = path / "journal-flips"
        target.start()
        run_checker("run", target.port, "--time", 0.1, journal=journal)
        run, end = 0, time.monotonic() + (7200 if FULL else 20 * SLOWER)
        status, complaint, damaged = 0, "", 0
        while status == 0 and proxy.flips.value < wanted and time.monotonic() < end:
            run += 1
            # 0/22: the target found a wrong data digest. What a damaged header asks for may be refused as anything.
            status, report, complaint = run_checker(
                "run", proxy.port, "--time", 4, "--seed", seed + run, "--hdgst", "--ddgst", "--reconnect", "--io-timeout", 2,
                "--timeout", 2, "--tolerate", "0/22", "--depth", 8, "--patience", 60, journal=journal)
            damaged += report.get("damaged", 0) + report.get("refused", 0) + report.get("losses", 0)
            # Settles which of the refused writes are there: each may be for ever, and all are looked at each time.
            if status == 0:
                status, _, complaint = run_checker("check", target.port, journal=journal)
        check(f"{proxy.flips.value} flipped bits, {damaged} answers: none undetected, and what was written is right",
              status == 0 and proxy.flips.value >= wanted and damaged > 0, complaint)
        check("the target is well", target.is_alive(), target.tail())


def slow_peers(path, seed):
    """One host that reads, or sends, next to nothing does not hold memory or the others up."""
    for how, name in (("thin", "a slow reader"), ("slow", "a slow sender")):
        with Target(path, how) as target, Proxy(target.port) as proxy:
            target.export(file_bdev(make_disk(path / f"disk-{how}", 64 << 20)))
            target.start()
            slow = Checker("run", proxy.port, "--time", 30, "--seed", seed, "--hosts", 1, "--name", "slow", "--kato", 0)
            check(f"{name} connects", wait_for(lambda: len(target.controllers()) == 1, 10 * SLOWER))
            time.sleep(0.5)
            proxy.become(how)
            before = target.resident()
            status, report, complaint = run_checker("run", target.port, "--time", 3, "--seed", seed, "--first", 16384,
                                                    "--pause-max", 1000 * SLOWER, "--name", "quick")
            check(f"others work as if {name} were not there", status == 0 and report["writes"] > 100, complaint)
            grown = target.resident() - before
            check(f"{name} takes no memory", grown < (64 << 20) * SLOWER, f"{grown} bytes")
            slow.process.kill()
            slow.result()
            proxy.close()
            check(f"{name} leaves nothing behind", wait_for(lambda: not target.controllers(), 10 * SLOWER),
                  target.controllers())
            check("the target stops", target.stop()[0] == 0, target.tail())


def restarts(path, chance, seed):
    """Eight hosts with sixteen queues each see the target die and come back, and go on."""
    with Target(path, "restart", cpus="0x3") as target:
        target.export(file_bdev(make_disk(path / "disk-restart")))
        journal = path / "journal-restart"
        target.start()
        ids = [(space["nguid"], space["uuid"]) for space in target.rpc("nvmf_get_subsystems")[-1]["namespaces"]]
        rounds = 30 if FULL else 3
        checker = Checker("run", target.port, "--time", rounds * 2.5 * SLOWER, "--seed", seed, "--hosts", 8, "--queues", 16,
                          "--depth", 4, "--reconnect", journal=journal)
        for number in range(rounds):
            check(f"restart {number + 1}: eight hosts are connected",
                  wait_for(lambda: len(target.controllers()) == 8, 10 * SLOWER), target.controllers())
            time.sleep(chance.uniform(0.3, 1.0))
            target.kill()
            target.start()
        status, report, complaint = checker.result(rounds * 10)
        check("eight hosts go on over restarts", status == 0 and report["losses"] >= 8 * rounds, f"{report}\n{complaint}")
        check("the longest pause is short", report.get("longest_pause_ms", 1e9) < 4000 * SLOWER, report.get("longest_pause_ms"))
        status, _, complaint = run_checker("check", target.port, journal=journal)
        check("everything acknowledged is there after the restarts", status == 0, complaint)
        again = [(space["nguid"], space["uuid"]) for space in target.rpc("nvmf_get_subsystems")[-1]["namespaces"]]
        check("namespaces are called as before", ids == again, f"{ids}\n{again}")


def main():
    chance, seed = seeded()
    with folder() as path:
        pulled_cable(path, seed)
        pieces(path, seed)
        flips(path, seed)
        slow_peers(path, seed)
        restarts(path, chance, seed)
    finish()


main()
