"""The stages of ./test: what each runs and how it is counted."""
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import results
from processes import Processes
from results import Counts

JOBS = os.cpu_count() or 2
BUILD_LIMIT = 2400
CTEST_LIMIT_MAX = 1200
SEEDS_LIMIT = 400
E2E_LIMIT = 180
CONFORMANCE_LIMIT = 300
FAULTS_LIMIT = 240
VM_LIMIT = 1800
TIDY_LIMIT = 3000
FUZZ_SECONDS = 10
# Sanitizers make programs slower; their time limits are these times longer.
SLOWER = {"asan": 3, "tsan": 5}
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1:history_size=4",
}
SYMBOLIZER = Path("/usr/bin/llvm-symbolizer-19")


def harnesses(top):
    """The fuzzers' names, which are those of their targets and programs."""
    return sorted(path.stem for folder in ("src", "tests") for path in (top / folder).rglob("*_fuzz.cc"))


@dataclass
class Result:
    """What a stage came to. `failures`: (what failed, its log)."""
    counts: Counts = field(default_factory=Counts)
    failures: list = field(default_factory=list)
    note: str = ""

    def add(self, name, counts, log):
        self.counts += counts
        if counts.failed:
            self.failures.append((name, log))


class Stages:
    def __init__(self, top: Path, processes: Processes):
        self.top = top
        self.processes = processes
        self.logs = top / "build" / "test-logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.builds = {}  # preset -> Result
        self.environment = {"NINJA_STATUS": "[%f/%t] "}
        for name, value in SANITIZERS.items():
            options = [value]
            if SYMBOLIZER.exists():
                options.append(f"external_symbolizer_path={SYMBOLIZER}")
            if os.environ.get(name):
                options.append(os.environ[name])  # the caller's win: the last one counts
            self.environment[name] = ":".join(options)

    def run(self, name, command, limit, environment=None):
        return self.processes.run(command, self.logs / f"{name}.log", limit,
                                  {**self.environment, **(environment or {})}, self.top)

    def one(self, name, command, limit):
        """A stage that is one case."""
        outcome = self.run(name, command, limit)
        result = Result()
        result.add(name, results.of_one(outcome.status), outcome.log)
        return result

    # Checks of the source --------------------------------------------------------------------------------------

    def rules(self):
        scripts = self.top / "scripts"
        checks = [scripts / "house_rules_test.py", scripts / "testing" / "results_test.py",
                  self.top / "tests" / "conformance" / "model_test.py", scripts / "house_rules.py"]
        return self.one("rules", ["sh", "-ec", "; ".join(f"python3 {shlex.quote(str(check))}" for check in checks)], 120)

    def format(self):
        return self.one("format", [self.top / "scripts" / "format"], 300)

    def tidy(self, is_all):
        if (configured := self.configure("release")) is not None:
            return configured
        result = self.one("tidy", [self.top / "scripts" / "tidy",
                                   *(["--all"] if is_all else ["--minutes", "4"])], TIDY_LIMIT)
        result.note = (self.logs / "tidy.log").read_text(encoding="utf-8", errors="replace").rstrip().split("\n")[-1][:200]
        return result

    # Building --------------------------------------------------------------------------------------------------

    def configure(self, preset):
        """None, or the result of a failure."""
        outcome = self.run(f"configure-{preset}", ["cmake", "--preset", preset], 300)
        return None if outcome.status == 0 else Result(results.FAILED, [(f"configure {preset}", outcome.log)])

    def build(self, preset):
        if preset not in self.builds:
            self.builds[preset] = self.configure(preset) or self.compile(preset)
        return self.builds[preset]

    def compile(self, preset):
        command = ["cmake", "--build", "--preset", preset, "-j", str(JOBS)]
        if preset == "fuzz":
            if not harnesses(self.top):
                return Result(note="no harnesses")
            command += ["--target", *harnesses(self.top)]
        outcome = self.run(f"build-{preset}", command, BUILD_LIMIT)
        if outcome.status == 0:
            return Result(note="built")
        return Result(results.FAILED, [(f"build {preset}", outcome.log)])

    # Programs of GoogleTest, and what else CTest knows ------------------------------------------------------------

    def ctest(self, preset, wanted):
        """Runs CTest's tests with the label `unit`, or all the others (the simulations), each counted by its cases."""
        listing = subprocess.run(["ctest", "--preset", preset, "--show-only=json-v1"], cwd=self.top, capture_output=True,
                                 text=True, check=False, stdin=subprocess.DEVNULL)
        if listing.returncode != 0:
            log = self.logs / f"{wanted}-{preset}.log"
            log.write_text(listing.stdout + listing.stderr, encoding="utf-8")
            return Result(results.FAILED, [(f"ctest --preset {preset}", log)])
        tests = []
        for test in json.loads(listing.stdout)["tests"]:
            properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
            if ("unit" in properties.get("LABELS", [])) == (wanted == "unit"):
                tests.append((test["name"], test.get("command"), properties))
        if tests and preset == "asan":
            self.look_whether_leaks_can_be_found(tests[0][1])
        result = Result()
        for name, counts, log in self.processes.in_parallel(lambda test: self.ctest_one(preset, *test), tests, JOBS):
            result.add(f"{name} ({preset})", counts, log)
        return result

    def ctest_one(self, preset, name, command, properties):
        label = re.sub(r"[^\w.-]", "_", f"{name}-{preset}")
        if command is None:
            log = self.logs / f"{label}.log"
            log.write_text("its program was not built\n", encoding="utf-8")
            return name, results.FAILED, log
        limit = min(float(properties.get("TIMEOUT", 300)) * SLOWER.get(preset, 1), CTEST_LIMIT_MAX)
        environment = dict(entry.split("=", 1) for entry in properties.get("ENVIRONMENT", []))
        is_gtest = command[0].endswith("_test")
        report = self.logs / f"{label}.json"
        report.unlink(missing_ok=True)
        outcome = self.run(label, [*command, *([f"--gtest_output=json:{report}"] if is_gtest else [])], limit, environment)
        if is_gtest:
            return name, results.of_gtest(report, outcome.output, outcome.status), outcome.log
        return name, results.of_lines(outcome.output, outcome.status), outcome.log

    def look_whether_leaks_can_be_found(self, command):
        """LeakSanitizer needs ptrace, which some containers forbid; then the rest of ASan still works."""
        if command is None:
            return
        outcome = self.run("leak-check", [command[0], "--gtest_list_tests"], 60)
        if "LeakSanitizer has encountered a fatal error" in outcome.output:
            print("        this machine forbids ptrace: leaks are not looked for", flush=True)
            self.environment["ASAN_OPTIONS"] += ":detect_leaks=0"

    # Whole programs ------------------------------------------------------------------------------------------------

    def e2e(self, preset):
        folder = self.top / "tests" / "e2e"
        scripts = [path for path in sorted(folder.glob("*")) if os.access(path, os.X_OK) and path.is_file()
                   and (path.suffix == ".sh" or path.name.endswith("_test.py"))]
        if preset != "release":  # what a sanitizer has nothing to find in says so in a line of its own
            scripts = [path for path in scripts if "\n# Release only" not in path.read_text(encoding="utf-8")]
        result = Result(note="" if scripts else "no scripts in tests/e2e")
        # Most of their time they wait; what measures is alone, and says so.
        alone = [path for path in scripts if "\n# Alone" in path.read_text(encoding="utf-8")]
        together = [path for path in scripts if path not in alone]
        outcomes = self.processes.in_parallel(lambda script: self.e2e_one(preset, script), together, JOBS + 1)
        for script, outcome in zip(together + alone, outcomes + [self.e2e_one(preset, script) for script in alone]):
            result.add(f"{script.name} ({preset})", results.of_lines(outcome.output, outcome.status), outcome.log)
        return result

    def e2e_one(self, preset, script):
        return self.run(f"e2e-{script.stem}-{preset}", [script], E2E_LIMIT * SLOWER.get(preset, 1),
                        {"WEFT_BIN": str(self.top / "build" / preset / "bin"), "WEFT_PRESET": preset})

    def conformance(self, preset):
        """Bad input against a live target; see docs/reliability/conformance.md."""
        mask = "0x3" if preset != "release" and JOBS > 1 else "0x1"  # one and several reactors are each tried somewhere
        outcome = self.run(f"conformance-{preset}", [self.top / "tests" / "conformance" / "run", "--times", "--mask", mask],
                           CONFORMANCE_LIMIT * SLOWER.get(preset, 1),
                           {"WEFT_BIN": str(self.top / "build" / preset / "bin")})
        result = Result()
        result.add(f"conformance ({preset})", results.of_summary(outcome.output, outcome.status), outcome.log)
        return result

    def seeds(self):
        """weft-sim; see docs/reliability.md."""
        return self.weft_sim("seeds", ["--only", "seeds"])

    def known_bugs(self, preset):
        """The same, in a build that has them (src/base/mutants.h)."""
        return self.weft_sim("known-bugs", ["--only", "bugs", "--with", preset])

    def weft_sim(self, name, options):
        outcome = self.run(name, [self.top / "tests" / "sim" / "seeds.py", *options], SEEDS_LIMIT)
        result = Result()
        result.add(name, results.of_lines(outcome.output, outcome.status), outcome.log)
        return result

    def faults(self):
        folder = self.top / "tests" / "faults"
        result = Result()
        for script in sorted(folder.glob("*_faults.py")):  # one at a time, as above
            outcome = self.run(f"faults-{script.stem}", [sys.executable, script], FAULTS_LIMIT,
                               {"WEFT_BIN": str(self.top / "build" / "release" / "bin"), "WEFT_PRESET": "release"})
            result.add(script.name, results.of_lines(outcome.output, outcome.status), outcome.log)
        return result

    def vm(self):
        if not (self.top / "tests" / "vm" / "run").exists():
            return Result(note="no tests/vm/run")
        self.run("setup-vm", [self.top / "scripts" / "setup", "vm"], 600)  # without it the cases are skipped
        sets = subprocess.run([self.top / "tests" / "vm" / "run", "--sets"], capture_output=True, text=True, check=True,
                              stdin=subprocess.DEVNULL).stdout.split()
        result = Result()
        for name, outcome in zip(sets, self.processes.in_parallel(self.vm_set, sets, JOBS)):
            result.add(f"vm {name}", results.of_summary(outcome.output, outcome.status), outcome.log)
        return result

    def vm_set(self, name):
        return self.run(f"vm-{name}", [self.top / "tests" / "vm" / "run", "--set", name], VM_LIMIT,
                        {"WEFT_BIN": str(self.top / "build" / "release" / "bin"),
                         "WEFT_VM_LOGS": str(self.top / "build" / "vm-logs" / name)})

    def fuzz(self):
        count = len(harnesses(self.top))
        if count == 0:
            return Result(note="no harnesses")
        limit = 120 + count * (FUZZ_SECONDS + 20) / JOBS
        # Always the same ways: what turns red is to come of what changed. New ways are gone by longer runs (nightly).
        outcome = self.run("fuzz", [sys.executable, self.top / "scripts" / "fuzz", "--no-build", "--seconds",
                                    str(FUZZ_SECONDS), "--seed", "1"], limit)
        result = Result()
        result.add("fuzz", results.of_lines(outcome.output, outcome.status), outcome.log)
        return result
