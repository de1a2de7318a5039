#!/usr/bin/env python3
"""Tests results.py and, with small programs, processes.py."""
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import results
from processes import Processes
from results import Counts

CRASH = """[==========] Running 3 tests from 1 test suite.
[ RUN      ] A.Passes
[       OK ] A.Passes (0 ms)
[ RUN      ] A.Skips
[  SKIPPED ] A.Skips (0 ms)
[ RUN      ] A.Dies
AddressSanitizer: heap-use-after-free
"""


class CountsOfPrograms(unittest.TestCase):
    def test_gtest_report(self):
        cases = [{"status": "RUN", "result": "COMPLETED"}, {"status": "RUN", "result": "SKIPPED"},
                 {"status": "NOTRUN", "result": "SUPPRESSED"},
                 {"status": "RUN", "result": "COMPLETED", "failures": [{"failure": "it"}]}]
        self.assertEqual(results.of_gtest_report({"testsuites": [{"testsuite": cases}]}), Counts(1, 1, 2))

    def test_gtest_program_that_died(self):
        self.assertEqual(results.of_gtest("/nowhere.json", CRASH, -6), Counts(1, 1, 1))

    def test_gtest_program_that_failed_outside_of_its_cases(self):
        self.assertEqual(results.of_gtest("/nowhere.json", "", 1), Counts(0, 1, 0))
        self.assertEqual(results.of_gtest("/nowhere.json", CRASH.split("[ RUN      ] A.Dies")[0], 23), Counts(1, 1, 1))

    def test_gtest_lists_its_failures_twice_and_they_count_once(self):
        text = "[ RUN      ] A.B\n[  FAILED  ] A.B (0 ms)\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.B\n"
        self.assertEqual(results.of_gtest_output(text), Counts(0, 1, 0))

    def test_lines(self):
        text = "# note\nok 1 - a\nok b\nnot ok c\nskip d no root\nok e # SKIP no root\nokay then\n"
        self.assertEqual(results.of_lines(text, 1), Counts(2, 1, 2))

    def test_lines_of_a_script_that_failed_without_saying_what(self):
        self.assertEqual(results.of_lines("ok a\n", 1), Counts(1, 1, 0))

    def test_a_script_without_lines_is_one_case(self):
        self.assertEqual(results.of_lines("hello\n", 0), Counts(1, 0, 0))
        self.assertEqual(results.of_lines("", 77), Counts(0, 0, 1))
        self.assertEqual(results.of_lines("", 124), Counts(0, 1, 0))

    def test_summary(self):
        self.assertEqual(results.of_summary("noise\n3 passed, 0 failed, 4 skipped\n", 0), Counts(3, 0, 4))
        self.assertEqual(results.of_summary("3 passed, 1 failed\n", 1), Counts(3, 1, 0))

    def test_a_missing_summary_is_a_failure(self):
        self.assertEqual(results.of_summary("noise\n", 0), Counts(0, 1, 0))
        self.assertEqual(results.of_summary("", 1), Counts(0, 1, 0))

    def test_a_summary_without_failures_does_not_hide_a_bad_status(self):
        self.assertEqual(results.of_summary("3 passed, 0 failed, 0 skipped\n", 1), Counts(3, 1, 0))

    def test_the_essence_of_a_failed_gtest_program_is_its_failing_case(self):
        text = "[ RUN      ] A.A\n[       OK ] A.A (0 ms)\n[ RUN      ] A.B\nx.cc:3: Failure\n[  FAILED  ] A.B (0 ms)\n" \
               "[ RUN      ] A.C\n[       OK ] A.C (0 ms)\n[  FAILED  ] A.B\n"
        self.assertEqual(results.essence(text, 9), ["[ RUN      ] A.B", "x.cc:3: Failure", "[  FAILED  ] A.B (0 ms)"])
        self.assertEqual(results.essence(CRASH, 9)[-1], "AddressSanitizer: heap-use-after-free")

    def test_the_essence_of_a_failed_build_is_its_first_error(self):
        self.assertEqual(results.essence("[1/3] a\nFAILED: b\nerror: c\n[2/3] d\n", 2), ["FAILED: b", "error: c"])
        self.assertEqual(results.essence("a\nb\nc\n", 2), ["b", "c"])


class RunningPrograms(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = Path(folder.name, "log")

    def test_a_program_over_its_limit_is_ended_with_its_children(self):
        begin = time.monotonic()
        outcome = Processes().run(["sh", "-c", "sleep 60 & echo begun; wait"], self.log, limit=0.5)
        self.assertTrue(outcome.timed_out)
        self.assertNotEqual(outcome.status, 0)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertIn("begun", self.log.read_text())

    def test_what_a_program_leaves_running_is_ended(self):
        outcome = Processes().run(["sh", "-c", "sleep 60 & echo $!"], self.log, limit=10)
        self.assertEqual(outcome.status, 0)
        pid = int(self.log.read_text())
        for _ in range(50):
            if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
                return
            time.sleep(0.1)
        self.fail("it still runs")

    def test_a_program_that_is_not_there_fails(self):
        self.assertNotEqual(Processes().run(["/nowhere/program"], self.log, limit=1).status, 0)

    def test_nothing_starts_after_the_deadline(self):
        outcome = Processes(deadline=time.monotonic() - 1).run(["true"], self.log, limit=10)
        self.assertTrue(outcome.timed_out)


if __name__ == "__main__":
    unittest.main()
