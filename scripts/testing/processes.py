"""Runs programs with a time limit each, a log each, and nothing left behind."""
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TERM_GRACE = 5  # seconds between asking a program to end and ending it


@dataclass
class Outcome:
    status: int
    seconds: float
    timed_out: bool
    log: Path

    @property
    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")


class Processes:
    """`deadline`: time.monotonic() after which nothing may run any more."""

    def __init__(self, deadline=None, on_wait=None):
        self.deadline = deadline
        self.on_wait = on_wait  # called now and then with the log of what is waited for
        self.lock = threading.Lock()
        self.running = set()
        self.is_over = False

    def run(self, command, log, limit, environment=None, directory=None):
        """Its output goes to `log`. Each program is the head of a process group, which ends with it."""
        begin = time.monotonic()
        end = min(begin + limit, self.deadline if self.deadline is not None else begin + limit)
        with open(log, "wb") as output:
            if end <= begin or self.is_over:
                output.write(b"not started: the whole run is over\n")
                return Outcome(124, 0, True, Path(log))
            try:
                process = subprocess.Popen(
                    [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    cwd=directory, env={**os.environ, **(environment or {})}, start_new_session=True)
            except OSError as error:
                output.write(f"cannot be started: {error}\n".encode())
                return Outcome(127, 0, False, Path(log))
            with self.lock:
                self.running.add(process.pid)
            timed_out = not self.wait(process, end, log)
            if timed_out:
                self.end_group(process)
                output.write(f"\nended after {time.monotonic() - begin:.0f} s: over its time limit\n".encode())
            self.kill_group(process.pid, signal.SIGKILL)  # what it left running
            with self.lock:
                self.running.discard(process.pid)
        return Outcome(process.returncode if not timed_out else 124, time.monotonic() - begin, timed_out, Path(log))

    def wait(self, process, end, log):
        while (left := end - time.monotonic()) > 0:
            try:
                process.wait(min(left, 1.0))
                return True
            except subprocess.TimeoutExpired:
                if self.on_wait:
                    self.on_wait(log)
        return False

    def end_group(self, process):
        self.kill_group(process.pid, signal.SIGTERM)
        try:
            process.wait(TERM_GRACE)
        except subprocess.TimeoutExpired:
            self.kill_group(process.pid, signal.SIGKILL)
            process.wait()

    @staticmethod
    def kill_group(group, number):
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            pass

    def end_all(self):
        """For Ctrl-C: the groups do not get the terminal's signal. Nothing starts afterwards."""
        self.is_over = True
        with self.lock:
            groups = list(self.running)
        for group in groups:
            self.kill_group(group, signal.SIGTERM)
        if groups:
            time.sleep(1)
        for group in groups:
            self.kill_group(group, signal.SIGKILL)

    def in_parallel(self, function, items, jobs):
        """function(item) for each, `jobs` at a time; the results in the order of the items."""
        pool = ThreadPoolExecutor(max_workers=jobs)
        try:
            return list(pool.map(function, items))
        except BaseException:
            self.end_all()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
