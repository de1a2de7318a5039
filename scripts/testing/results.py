"""How many cases passed, failed and were skipped: read from what test programs write.

A program that says nothing, or dies on the way, never counts as passed.
"""
import json
import re
from dataclasses import dataclass

SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
SKIP_STATUS = 77  # a script's exit status for "cannot run here", as automake has it


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    @property
    def total(self):
        return self.passed + self.failed + self.skipped


PASSED, FAILED, SKIPPED = Counts(passed=1), Counts(failed=1), Counts(skipped=1)


def of_one(status):
    """A program that is one case."""
    return PASSED if status == 0 else SKIPPED if status == SKIP_STATUS else FAILED


def of_gtest(report, output, status):
    """A GoogleTest program: its JSON report, or its output when it died before writing one."""
    try:
        with open(report, encoding="utf-8") as file:
            counts = of_gtest_report(json.load(file))
    except (OSError, ValueError, KeyError):
        counts = of_gtest_output(output)
    # Failed outside of any case: in a sanitizer's check at exit, in main().
    if status != 0 and counts.failed == 0:
        counts += FAILED
    return counts


def of_gtest_report(report):
    counts = Counts()
    for suite in report["testsuites"]:
        for case in suite["testsuite"]:
            if case.get("failures"):
                counts += FAILED
            elif case["status"] == "NOTRUN" or case.get("result") == "SKIPPED":
                counts += SKIPPED
            else:
                counts += PASSED
    return counts


def of_gtest_output(output):
    """Case by case; the one that had begun and did not end is the one that killed the program."""
    counts, running = Counts(), False
    for line in output.splitlines():
        if line.startswith("[ RUN      ]"):
            running = True
        elif line.startswith("[       OK ]"):
            counts, running = counts + PASSED, False
        elif line.startswith("[  SKIPPED ]") and running:
            counts, running = counts + SKIPPED, False
        elif line.startswith("[  FAILED  ]") and running:
            counts, running = counts + FAILED, False
    return counts + FAILED if running else counts


def of_lines(output, status):
    """`ok NAME`, `not ok NAME`, `skip NAME reason` (or TAP's `ok NAME # SKIP reason`), a line a case."""
    counts = Counts()
    for line in output.splitlines():
        if re.match(r"not ok\b", line):
            counts += FAILED
        elif re.match(r"skip\b", line) or re.match(r"ok\b.*# *skip\b", line, re.IGNORECASE):
            counts += SKIPPED
        elif re.match(r"ok\b", line):
            counts += PASSED
    if counts.total == 0:
        return of_one(status)
    if status not in (0, SKIP_STATUS) and counts.failed == 0:
        counts += FAILED
    return counts


def of_summary(output, status):
    """`N passed, N failed, N skipped` as the last line."""
    lines = output.rstrip().splitlines()
    found = SUMMARY.match(lines[-1]) if lines else None
    counts = Counts(*(int(number or 0) for number in found.groups())) if found else Counts()
    if status != 0 and counts.failed == 0:
        counts += FAILED
    return counts if found or status != 0 else FAILED


def essence(output, lines_max):
    """The lines to show of a program that failed: GoogleTest's failing cases, ninja's first error, or the end."""
    lines = output.rstrip().splitlines()
    failing, case = [], []
    for line in lines:
        if line.startswith("[ RUN      ]"):
            case = [line]
        elif case:
            case.append(line)
            if line.startswith("[  FAILED  ]"):
                failing += case
            if line.startswith(("[  FAILED  ]", "[       OK ]", "[  SKIPPED ]")):
                case = []
    failing += case
    if failing:
        return failing[:lines_max]
    for at, line in enumerate(lines):
        if line.startswith("FAILED: "):
            return lines[at:at + lines_max]
    return lines[-lines_max:]
