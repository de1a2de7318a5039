#!/usr/bin/env python3
"""What happens to a process: it is stopped for a while, its clock jumps, its memory or descriptors end, it is started
twice, its configuration is cut off, and its objects are removed under load by ten clients at once."""
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

from proxy import connect_silently
from ptrace import stopped_thread
from rig import (BIN, FULL, SANITIZED, SLOWER, Checker, Refused, Target, check, file_bdev, finish, folder, make_disk,
                 run_checker, seeded, skip, wait_for)

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def stopped(path, seed):
    """A debugger, or a machine that was suspended: two seconds, and longer than the keep-alive time."""
    with Target(path, "stopped", cpus="0x3") as target:
        target.export(file_bdev(make_disk(path / "disk-stopped")))
        target.start()
        checker = Checker("run", target.port, "--time", 12 * SLOWER, "--seed", seed, "--kato", 1000, "--io-timeout", 30,
                          journal=path / "journal-stopped")
        wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER)
        for seconds in (2, 4):
            time.sleep(0.5)
            os.kill(target.process.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(target.process.pid, signal.SIGCONT)
            time.sleep(1)
            check(f"stopped for {seconds} s: no keep-alive time is over for it",
                  "no Keep Alive in time" not in target.log.read_text(), target.tail())
        status, report, complaint = checker.result()
        check("hosts go on after the stops", status == 0 and report["losses"] == 0 and report["writes"] > 0,
              f"{report}\n{complaint}")


def stopped_reactor(path, seed):
    """One thread gets no CPU time, as if another program of a higher priority had taken its CPU."""
    with Target(path, "reactor", cpus="0x3") as target:
        target.export(file_bdev(make_disk(path / "disk-reactor")))
        target.start()
        checker = Checker("run", target.port, "--time", 12 * SLOWER, "--seed", seed, "--kato", 1000, "--io-timeout", 30,
                          journal=path / "journal-reactor")
        wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER)
        qpairs = {group["name"]: group["current_io_qpairs"] for group in target.rpc("nvmf_get_stats")["poll_groups"]}
        check("both reactors have queues", len(qpairs) == 2 and all(qpairs.values()), qpairs)
        thread = next(one["tid"] for one in target.rpc("framework_get_reactors")["reactors"] if one["lcore"] == 1)
        for seconds in (2, 4):
            time.sleep(0.5)
            with stopped_thread(thread) as is_stopped:
                check(f"one thread is stopped for {seconds} s", is_stopped())
                begin = time.monotonic()
                target.rpc("spdk_get_version")
                check("RPCs are answered by the other", time.monotonic() - begin < 0.5 * SLOWER)
                time.sleep(seconds)
            time.sleep(1)
            check("no keep-alive time is over for it", "no Keep Alive in time" not in target.log.read_text(), target.tail())
        status, report, complaint = checker.result()
        check("hosts of both reactors go on", status == 0 and report["losses"] == 0 and report["writes"] > 0,
              f"{report}\n{complaint}")


def clock_jumps(path, seed):
    if FAKETIME is None or SANITIZED:
        skip("clock jumps", "libfaketime is not installed, or a sanitizer is in its way")
        return
    offset = path / "offset"
    offset.write_text("+0")
    with Target(path, "clock") as target:
        target.export(file_bdev(make_disk(path / "disk-clock")))
        target.start(environment={"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
                                  "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})
        checker = Checker("run", target.port, "--time", 4, "--seed", seed, "--kato", 1000, "--io-timeout", 2)
        for jump in ("+3600", "-3600", "+86400", "+0"):
            time.sleep(0.6)
            offset.write_text(jump)
        status, report, complaint = checker.result()
        check("the wall clock jumps by hours: nobody notices", status == 0 and report["losses"] == 0, f"{report}\n{complaint}")
        check("and it stops", target.stop()[0] == 0, target.tail())


def twice(path):
    with Target(path, "first") as first, Target(path, "second") as second:
        disk = make_disk(path / "disk-twice")
        first.export(file_bdev(disk))
        first.start()
        for what, prepare in (("file", lambda: second.export(file_bdev(disk))),
                              ("listener", lambda: second.configure(*((call["method"], call["params"]) for call in first.calls[1:]
                                                                      if "add_ns" not in call["method"]))),
                              ("socket", lambda: setattr(second, "sock", first.sock))):
            prepare()
            second.log.write_text("")
            second.launch(*(() if what == "socket" else ("-c", str(second.config))))
            try:
                status = second.process.wait(10 * SLOWER)
            except subprocess.TimeoutExpired:
                status = "none: it runs"
                second.kill()
            errors = [line for line in second.log.read_text().splitlines() if "ERROR" in line or line.startswith("weftd:")]
            check(f"a second target on one {what} refuses, with a line that says so", status == 1 and len(errors) >= 1,
                  f"{status}\n{second.tail()}")
        status, _, complaint = run_checker("run", first.port, "--time", 0.5)
        check("the first is as it was", status == 0, complaint)


def cut_configuration(path):
    """Each beginning of a configuration file: it is refused with a line, or good; never a crash."""
    with Target(path, "cut") as target:
        target.export(("bdev_null_create", {"name": "Null0", "num_blocks": 2048, "block_size": 512}))
        whole = target.config.read_bytes()
        bad = []
        lengths = range(0, len(whole) + 1, 1 if FULL else 29)
        for length in lengths:
            target.config.write_bytes(whole[:length])
            target.log.write_text("")
            target.launch("-c", str(target.config))
            try:
                # Refusing takes no time; what goes on has taken the file.
                status = target.process.wait(1.0 * SLOWER if length == len(whole) else 5 * SLOWER)
            except subprocess.TimeoutExpired:
                status, _ = target.stop()
                status = status if length == len(whole) else "runs"
            text = target.log.read_text()
            good = status == 0 if length == len(whole) else status == 1 and str(target.config) in text
            if not good:
                bad.append(f"{length} of {len(whole)} bytes: {status}: {text[-300:]}")
        check(f"a configuration cut at {len(lengths)} places", not bad, "\n".join(bad[:3]))


def no_memory(path):
    """The n-th allocation fails, for every n of a start with a configuration and of its stop."""
    library = BIN / "libweft-no-memory.so"
    if SANITIZED or not library.exists():
        skip("failing allocations", "not with a sanitizer, or the library was not built")
        return
    with Target(path, "memory") as target:
        target.export(file_bdev(make_disk(path / "disk-memory")))
        counter = path / "count"
        target.start(environment={"LD_PRELOAD": str(library), "WEFT_COUNT_TO": str(counter)})
        target.stop()
        total = int(counter.read_text())
        bad, refused, went_on = [], 0, 0
        stride = 1 if FULL else max(total // 40, 1)
        for number in range(1, total + 1, stride):
            target.log.write_text("")
            target.launch("-c", str(target.config), environment={"LD_PRELOAD": str(library), "WEFT_FAIL_AT": str(number)})
            end = time.monotonic() + 5
            status = None
            while status is None and time.monotonic() < end:
                status = target.process.poll()
                if status is None:
                    try:
                        target.rpc("framework_wait_init", timeout=2)
                        status, _ = target.stop()
                        went_on += 1
                        break
                    except (OSError, Refused):
                        time.sleep(0.01)
            if status is None:
                target.kill()
                status = "hangs"
            refused += status == 1
            text = target.log.read_text(errors="replace")
            if status not in (0, 1) or (status == 1 and not text.strip()):
                bad.append(f"allocation {number}: {status}: {text[-300:]}")
        check(f"each {stride}. of {total} allocations fails: {refused} refusals, {went_on} went on, no crash", not bad,
              f"{len(bad)} of them\n" + "\n".join(bad[:5]))


def few_buffers(path, seed):
    with Target(path, "buffers", cpus="0x3") as target:
        target.export(file_bdev(make_disk(path / "disk-buffers")), transport={"num_shared_buffers": 8})
        target.start()
        status, report, complaint = run_checker("run", target.port, "--time", 3, "--seed", seed, "--hosts", 4,
                                                "--pause-max", 5000 * SLOWER)
        check("eight buffers for four hosts: commands wait, none fails, none starves", status == 0 and report["writes"] > 50,
              f"{report}\n{complaint}")


def out_of(path, seed):
    """Descriptors, and data buffers."""
    few_buffers(path, seed)
    with Target(path, "fds") as target:
        target.export(file_bdev(make_disk(path / "disk-fds")))
        target.start(prefix=("prlimit", "--nofile=64"))
        checker = Checker("run", target.port, "--time", 4 * SLOWER, "--seed", seed, "--pause-max", 1000 * SLOWER)
        wait_for(lambda: len(target.controllers()) == 4, 10 * SLOWER)
        sockets = connect_silently(target.port, 150)
        time.sleep(0.5)
        check("without descriptors RPC is answered", target.rpc("spdk_get_version") is not None)
        status, report, complaint = checker.result()
        check("without descriptors hosts that are there go on", status == 0 and report["losses"] == 0, f"{report}\n{complaint}")
        before = target.cpu_seconds()
        time.sleep(2)
        used = (target.cpu_seconds() - before) / 2
        check("waiting for descriptors takes no CPU time", used < 0.05 * SLOWER, f"{used:.0%}")
        for one in sockets:
            one.close()
        status, report, complaint = run_checker("run", target.port, "--time", 0.5, "--seed", seed)
        check("with descriptors again hosts connect", status == 0, complaint)


def storm(path, seed):
    """Ten clients remove and make namespaces, listeners, hosts, subsystems and devices that are in use."""
    with Target(path, "storm", cpus="0x3") as target:
        count = 3
        nqns = [f"nqn.2026-11.io.weft:storm{number}" for number in range(count)]
        target.export(file_bdev(make_disk(path / "disk-storm")))
        target.start()
        for number, nqn in enumerate(nqns):
            target.rpc("bdev_malloc_create", {"name": f"Storm{number}", "num_blocks": 32768, "block_size": 512})
            target.rpc("nvmf_create_subsystem", {"nqn": nqn, "allow_any_host": True})
        seconds = 60 if FULL else 5
        end = time.monotonic() + seconds
        calls, wrong = [0] * 10, []

        def place(nqn):
            return {**target.listener(), "nqn": nqn}

        def client(index):
            chance = random.Random(seed * 100 + index)
            while time.monotonic() < end:
                number = chance.randrange(count)
                nqn, bdev = nqns[number], f"Storm{number}"
                method, params = chance.choice((
                    ("nvmf_create_subsystem", {"nqn": nqn, "allow_any_host": True}),
                    ("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": {"bdev_name": bdev, "nsid": 1}}),
                    ("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": {"bdev_name": bdev, "nsid": 1}}),
                    ("nvmf_subsystem_add_listener", place(nqn)),
                    ("nvmf_subsystem_add_listener", place(nqn)),
                    ("nvmf_subsystem_add_host", {"nqn": nqn, "host": "nqn.2026-11.io.weft:storm-0"}),
                    ("bdev_malloc_create", {"name": bdev, "num_blocks": 32768, "block_size": 512}),
                    ("bdev_malloc_create", {"name": bdev, "num_blocks": 32768, "block_size": 512}),
                    *((("nvmf_subsystem_remove_ns", {"nqn": nqn, "nsid": 1}),
                       ("nvmf_subsystem_remove_listener", place(nqn)),
                       ("nvmf_subsystem_remove_host", {"nqn": nqn, "host": "nqn.2026-11.io.weft:storm-0"}),
                       ("nvmf_subsystem_allow_any_host", {"nqn": nqn, "allow_any_host": chance.random() < 0.8}),
                       ("nvmf_delete_subsystem", {"nqn": nqn}),
                       ("bdev_malloc_delete", {"name": bdev})) if chance.random() < 0.3 else ())))
                try:
                    target.rpc(method, params)
                except Refused:
                    pass  # another client was there first
                except OSError as error:
                    wrong.append(f"{method}: {error!r}")
                    return
                calls[index] += 1
                time.sleep(chance.random() * 0.02)

        bystander = Checker("run", target.port, "--time", seconds, "--seed", seed, "--pause-max", 2000 * SLOWER,
                            journal=path / "journal-storm")
        loads = []
        threads = [threading.Thread(target=client, args=(index,)) for index in range(10)]
        for thread in threads:
            thread.start()
        lives = 0
        while time.monotonic() < end:
            loads = [load for load in loads if load.poll() is None]
            if len(loads) < count:
                loads.append(subprocess.Popen(
                    [str(BIN / "weft"), "perf", "-a", "127.0.0.1", "-s", str(target.port), "-n", nqns[lives % count], "-q", "32",
                     "-o", "4096", "-w", "randrw", "-M", "50", "-t", "3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                lives += 1
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        for load in loads:
            load.kill()
            load.wait()
        check(f"ten clients made {sum(calls)} calls against {lives} loads: each was answered", not wrong and sum(calls) > 100,
              "\n".join(wrong[:5]))
        status, report, complaint = bystander.result()
        check("a host of another subsystem does not notice", status == 0 and report["losses"] == 0, f"{report}\n{complaint}")
        status, _, complaint = run_checker("check", target.port, journal=path / "journal-storm")
        check("and its data are there", status == 0, complaint)
        check("no controller is left", wait_for(lambda: not target.controllers(), 5 * SLOWER), target.controllers())
        check("it stops after the storm", target.stop()[0] == 0, target.tail())


def main():
    _, seed = seeded()
    with folder() as path:
        stopped(path, seed)
        try:
            stopped_reactor(path, seed)
        except PermissionError as error:  # a container without CAP_SYS_PTRACE
            skip("a stopped reactor", error)
        clock_jumps(path, seed)
        twice(path)
        cut_configuration(path)
        no_memory(path)
        out_of(path, seed)
        storm(path, seed)
    finish()


main()
