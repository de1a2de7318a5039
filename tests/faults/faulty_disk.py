"""weft-faulty-disk as an object: a file whose disk fails, cuts, lies and loses power as it is told."""
import os
import subprocess

from rig import BIN, wait_for


class FaultyDisk:
    def __init__(self, folder, size=8 << 20):
        self.folder = folder
        self.folder.mkdir()
        self.path = folder / "disk"
        self.process = subprocess.Popen([str(BIN / "weft-faulty-disk"), str(folder), str(size)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "mounted":
            raise OSError("the faulty disk cannot be mounted")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        subprocess.run(["umount", "-l", str(self.folder)], stderr=subprocess.DEVNULL, check=False)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer not in ("", "unknown"), command
        return answer

    def fail(self, kind, number, count=1 << 60):
        self.tell(f"fail {kind} {count} {number}")

    def heal(self):
        for kind in ("read", "write", "sync"):
            self.fail(kind, 0, 0)

    def lose_power(self, seed):
        """When nobody has it open any more. How many sectors lost something."""
        assert wait_for(lambda: self.tell("opens") == "0", 10), "somebody has the disk open"
        return int(self.tell(f"power {seed}"))


def why_not():
    """Why there can be no faulty disk here; None when there can."""
    if not (BIN / "weft-faulty-disk").exists():
        return "weft-faulty-disk was not built: libfuse3-dev is missing"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be used"
    if os.geteuid() != 0:
        return "mounting needs root"
    return None
