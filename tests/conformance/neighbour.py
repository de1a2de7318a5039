"""Another host, in a process of its own, that writes and reads stamped blocks while the cases do their worst."""
import multiprocessing
import os
import signal
import struct
import time

import wire
from answers import OK, expect, require
from world import World

PAUSE_MAX_S = 3.0  # the machine is shared; the cases' own bound is that each is followed by progress
PACE_S = 0.004     # between two rounds that nobody waits for
SPAN = 4096        # bytes of one write


class _Place:
    """As much of a World as a Host asks for."""
    def __init__(self, world):
        self.address, self.port, self.nqn = world.address, world.port, World.neighbour_nqn
        self.hostid, self.hostnqn = world.hostid, world.hostnqn


class Neighbour:
    def __init__(self, world):
        context = multiprocessing.get_context("fork")
        self.rounds = context.Value("Q", 0, lock=False)
        self.longest = context.Value("d", 0.0, lock=False)
        self.asking, self.asked = context.Pipe()
        self.complaint = context.Array("c", 400, lock=False)
        self.process = context.Process(target=self._run, args=(_Place(world),), daemon=True)
        self.process.start()
        self.asked.close()
        self.progress(20)

    def progress(self, timeout=PAUSE_MAX_S):
        """A round that begins now must end well."""
        try:
            self.asking.send_bytes(b"?")
            answered = self.asking.poll(timeout) and self.asking.recv_bytes()
        except (EOFError, OSError):
            answered = False
        complaint = self.complaint.value.decode(errors="replace")
        require(not complaint, f"the neighbour: {complaint}")
        require(answered, f"the neighbour's I/O stood still for {timeout:.0f} s")

    def stop(self):
        self.asking.close()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
        return self.complaint.value.decode(errors="replace")

    # In its own process ----------------------------------------------------------------------------------------------

    def _run(self, place):
        self.asking.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            self._work(place)
        except EOFError:
            pass  # the runner has ended
        except Exception as error:  # pylint: disable=broad-except  # whatever it is, it is told to the runner
            self.complaint.value = f"{type(error).__name__}: {error}"[:390].encode()
        os._exit(0)

    def _work(self, place):
        from host import Host
        admin = Host(place, 900).handshake().connect().enable()
        io = Host(place, 900).handshake().connect(1, admin.cntlid, sqsize=31)
        expected, sequence = {}, 0
        blocks = SPAN // 512
        while True:
            is_asked = self.asked.poll(PACE_S)
            if is_asked:
                self.asked.recv_bytes()
            began = time.monotonic()
            slot = sequence * 7 % 512
            stamp = struct.pack("<QQ", sequence, slot) * (SPAN // 16)
            cid = io.cid()
            write = wire.sqe(1, cid, 1, wire.sgl(wire.IN_CAPSULE, SPAN), (slot * blocks, 0, blocks - 1))
            expect(io.command(write, stamp), OK, "write")
            expected[slot] = stamp
            for where in (slot, (slot * 31 + 5) % 512):
                read = wire.sqe(2, io.cid(), 1, wire.sgl(wire.TRANSPORT, SPAN), (where * blocks, 0, blocks - 1))
                got = expect(io.command(read), OK, "read")
                require(got.data == expected.get(where, bytes(SPAN)),
                        f"slot {where} holds other bytes than were written")
            sequence += 1
            self.rounds.value = sequence
            self.longest.value = max(self.longest.value, time.monotonic() - began)
            if is_asked:
                self.asked.send_bytes(b"!")
