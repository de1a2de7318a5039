"""Stops one thread of another process. SIGSTOP would stop all of them."""
import contextlib
import ctypes
import os
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
DETACH, SEIZE, INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # waits for threads, too


def request(what, thread):
    if LIBC.ptrace(what, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def stopped_thread(thread):
    """The thread with this TID runs again when the block ends, which is in the thread of ours that it began in. Gives what
    tells whether the thread is stopped now."""
    request(SEIZE, thread)
    try:
        request(INTERRUPT, thread)
        os.waitpid(thread, WALL)
        yield lambda: Path(f"/proc/{thread}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "t"
    finally:
        request(DETACH, thread)
