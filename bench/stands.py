"""Stands: what stands beside what, and with which devices. The targets of a stand live at once, one of them running."""

import contextlib
import os
import tempfile
from dataclasses import dataclass

from clients import Load, WeftPerf
from targets import BLOCK, Target, TargetError

ZERO_COPY = "zero_copy_reads"  # the option of our transport
FILE_MIB = 256
MIB = 1 << 20
FILL = Load("write", 128 * 1024, 32)  # in order, from the first block


@dataclass(frozen=True)
class Commands:
    """How targets are started: command lines with {socket} and {cpus}."""
    weft: str
    peer: str | None
    congestion: str
    filler: WeftPerf

    def start(self, name, cpus="0x1", more="", transport=None):
        if name.startswith("weft"):
            transport = {"congestion_control": self.congestion, **(transport or {})}
        return Target(name, self.weft if name.startswith("weft") else self.peer, cpus, more, transport)

    def export_ram_disk(self, target, mib):
        """A RAM disk as namespace 1, all of it written: what never was is one page of zeros, always in the cache."""
        target.call("bdev_malloc_create", name="Malloc0", block_size=BLOCK, num_blocks=mib * MIB // BLOCK)
        target.add_subsystem(bdevs=["Malloc0"])
        seconds = 0.2 + mib / 1000
        for _ in range(6):
            written = self.filler.run(FILL, target.port, seconds)["iops"] * seconds * FILL.size
            if written >= mib * MIB:
                return
            seconds *= 2
        raise TargetError(f"{target.name}: too slow to fill its RAM disk")

    def names(self):
        return ["weft", "peer"] if self.peer else ["weft"]


def open_stand(stack, kind, commands, files):
    """The targets of a stand by name, paused; what could not be started is said, and left out."""
    targets, notes = {}, []
    for name, start in STANDS[kind](commands, files):
        try:
            target = start()
            stack.callback(target.close)
            target.pause()
            targets[name] = target
        except TargetError as error:
            notes.append(f"{kind}: {error}".split(";", maxsplit=1)[0])
    return targets, notes


def _ram(mib, transport=None):
    def entrants(commands, _files):
        for name in commands.names():
            def start(name=name):
                target = commands.start(name, transport=transport if name == "weft" else None)
                return _with_devices(target, lambda: commands.export_ram_disk(target, mib))
            yield name, start
    return entrants


def _file(commands, files):
    """The files as namespaces 1, 2: ours beside each of the peer's modules, on the same files."""
    modules = [("weft", "weft", "bdev_aio_create", {"direct": True})]
    if commands.peer:
        modules += [("peer aio", "peer", "bdev_aio_create", {}), ("peer uring", "peer", "bdev_uring_create", {})]
    for entrant, name, method, more in modules:
        def start(entrant=entrant, name=name, method=method, more=more):
            target = commands.start(name)
            return _with_devices(target, lambda: _file_devices(target, method, files, more))
        yield entrant, start


def _file_devices(target, method, files, more):
    for number, path in enumerate(files):
        target.call(method, name=f"File{number}", filename=path, block_size=BLOCK, **more)
    target.add_subsystem(bdevs=[f"File{number}" for number in range(len(files))])


@contextlib.contextmanager
def filled_file(folder):
    """All of it written: reading a hole costs a device nothing."""
    with tempfile.NamedTemporaryFile(prefix="weft-bench.", dir=folder) as file:
        piece = os.urandom(MIB)
        for _ in range(FILE_MIB):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        yield file.name


def _with_devices(target, make):
    try:
        make()
        return target
    except BaseException:
        target.close()
        raise


STANDS = {
    "ram": _ram(256),
    "cold": _ram(1024),
    "zero copy": _ram(256, {ZERO_COPY: True}),
    "file": _file,
}
