"""./test [--quick] [--preset P] [STAGE...] - builds Weft and runs its tests; see --help."""
import argparse
import os
import re
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from processes import Processes  # noqa: E402
from results import Counts, essence  # noqa: E402
from stages import Stages  # noqa: E402

HELP = """
stages (default: all but tidy-all and conformance, in this order):
  rules    scripts/house_rules.py and the tests of these scripts      1 case
  format   clang-format                                              1 case
  unit     GoogleTest programs beside the code                       preset release
  sim      the simulated target, hosts and faults                    preset release
  seeds    weft-sim: seeds and their hashes                          preset release
  e2e      tests/e2e: weftd as a process, driven by weft             preset release
  conformance  tests/conformance: bad input against a live weftd     preset release
  faults   tests/faults: kills, power losses, bad disks and networks  preset release
  asan     unit, sim, e2e and conformance under AddressSanitizer and UBSan
  tsan     unit and sim under ThreadSanitizer; weft-sim with known bugs, which that build has too
  fuzz     every harness for ten seconds                             a case each
  vm       tests/vm: Linux kernels as hosts, in QEMU
  tidy     clang-tidy on what changed, for four minutes at most       1 case
  tidy-all  … on all files: an hour on two cores                      1 case

A line a stage; logs in build/test-logs; the last line is `N passed, N failed, N skipped`.
Environment: WEFT_TEST_MINUTES, a limit for the whole run (what it cuts off has failed).
"""
# Conformance is in asan there: the same cases, slower and stricter.
DEFAULT = ["rules", "format", "unit", "sim", "seeds", "e2e", "faults", "asan", "tsan", "fuzz", "vm", "tidy"]
QUICK = ["rules", "format", "unit", "sim", "seeds", "e2e", "conformance"]
SHOWN_LINES, SHOWN_MAX = 40, 4  # of each failure, and how many failures of a stage
HEARTBEAT = 30  # seconds between signs of life of a long stage


class Run:
    def __init__(self, top, minutes):
        self.begin = time.monotonic()
        deadline = self.begin + minutes * 60 if minutes else None
        self.processes = Processes(deadline, self.on_wait)
        self.stages = Stages(top, self.processes)
        self.top = top
        self.counts = Counts()
        self.lines = []
        self.stage_begin = self.last_sign = self.begin

    def plan(self, names, preset):
        """Pairs of a line's title and what to call; building comes before what needs it, once."""
        steps, built = [], set()

        def build(which):
            if which not in built:
                built.add(which)
                steps.append((f"build {which}", which, lambda: self.stages.build(which)))

        def tests(which, kinds):
            build(which)
            for kind in kinds:
                action = {"unit": lambda: self.stages.ctest(which, "unit"), "sim": lambda: self.stages.ctest(which, "sim"),
                          "e2e": lambda: self.stages.e2e(which),
                          "conformance": lambda: self.stages.conformance(which)}[kind]
                steps.append((f"{kind} {which}", which, action))

        for name in names:
            if name in ("unit", "sim", "e2e", "conformance"):
                tests(preset, [name])
            elif name == "asan":
                tests("asan", ["unit", "sim", "e2e", "conformance"])
            elif name == "tsan":
                tests("tsan", ["unit", "sim"])
                build("release")
                steps.append(("known bugs", "tsan", lambda: self.stages.known_bugs("tsan")))
            elif name == "fuzz":
                build("fuzz")
                steps.append(("fuzz", "fuzz", self.stages.fuzz))
            elif name == "seeds":
                build("release")
                steps.append(("seeds", "release", self.stages.seeds))
            elif name == "faults":
                build("release")
                steps.append(("faults", "release", self.stages.faults))
            elif name == "vm":
                build("release")
                steps.append(("vm", "release", self.stages.vm))
            elif name in ("tidy", "tidy-all"):
                steps.append((name, None, lambda is_all=name == "tidy-all": self.stages.tidy(is_all)))
            else:
                steps.append((name, None, getattr(self.stages, name)))
        return steps

    def run(self, steps):
        broken = set()  # presets that do not build
        for number, (title, preset, action) in enumerate(steps, 1):
            head = f"[{number:2}/{len(steps)}] {title}"
            if preset in broken and not title.startswith("build"):
                self.line(f"{head}: not run, preset {preset} does not build")
                continue
            print(f"{head} …", flush=True)
            self.stage_begin = self.last_sign = time.monotonic()
            result = action()
            seconds = time.monotonic() - self.stage_begin
            said = "; ".join(filter(None, [str(result.counts) if result.counts.total else "", result.note])) or "no cases"
            self.line(f"{head}: {'FAILED, ' if result.counts.failed else ''}{said}  ({seconds:.1f} s)")
            self.counts += result.counts
            if result.counts.failed:
                if title.startswith("build"):
                    broken.add(preset)
                self.show(result.failures)

    def line(self, text):
        self.lines.append(text)
        print(text, flush=True)

    def show(self, failures):
        for name, log in failures[:SHOWN_MAX]:
            print(f"    ---- {name}: from {log.relative_to(self.top)}")
            for line in essence(log.read_text(encoding="utf-8", errors="replace"), SHOWN_LINES):
                # Indented: nobody, a program or a person, is to take a part's sum for the whole one.
                print(f"    | {line[:400]}")
        for name, log in failures[SHOWN_MAX:]:
            print(f"    ---- {name}: see {log.relative_to(self.top)}")
        sys.stdout.flush()

    def on_wait(self, log):
        now = time.monotonic()
        if now - self.last_sign < HEARTBEAT:
            return
        self.last_sign = now
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        progress = next((line for line in reversed(lines) if re.match(r"\[\d+/\d+\]|ok |not ok |FAIL ", line)), "")
        print(f"        {now - self.stage_begin:.0f} s  {Path(log).stem}  {progress[:90]}".rstrip(), flush=True)

    def summary(self):
        print(f"\nall stages, {time.monotonic() - self.begin:.0f} s:")
        for line in self.lines:
            print(f"  {line}")
        print(f"logs: {self.stages.logs.relative_to(self.top)}\n{self.counts}", flush=True)
        return 1 if self.counts.failed or not self.counts.passed else 0


def on_signal(number, _):
    raise KeyboardInterrupt(number)


def main():
    known = [*DEFAULT, "conformance", "tidy-all"]
    parser = argparse.ArgumentParser(prog="./test", description="Builds Weft and runs its tests.", epilog=HELP,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--preset", default="release", choices=["release", "debug", "asan", "tsan"],
                        help="the build that unit, sim, e2e and conformance test (default: release)")
    parser.add_argument("stage", nargs="*", help="see below")
    options = parser.parse_args()
    if unknown := [name for name in options.stage if name not in known]:
        parser.error(f"no stage {', '.join(unknown)}; there are {', '.join(known)}")
    top = Path(__file__).resolve().parents[2]
    names = options.stage or (QUICK if options.quick else DEFAULT)
    run = Run(top, float(os.environ.get("WEFT_TEST_MINUTES") or 0))
    signal.signal(signal.SIGTERM, on_signal)
    try:
        run.run(run.plan(names, options.preset))
    except KeyboardInterrupt:
        run.processes.end_all()
        print("\ninterrupted", flush=True)
        run.summary()
        os._exit(130)  # threads that still wait have nothing left to wait for
    return run.summary()


if __name__ == "__main__":
    sys.exit(main())
