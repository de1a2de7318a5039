"""A proxy between hosts and a target that behaves as bad networks, and one bad target, do.

It runs in a process of its own, told by attributes of `Proxy`: what it does may change at any time.
"""
import asyncio
import contextlib
import logging
import multiprocessing
import random
import socket
import struct
import time

CAPSULE_COMMAND, CAPSULE_RESPONSE = 4, 5
WRITE = 1


class Proxy:
    """With `how`: "pass" forwards; "pieces" forwards in random pieces, with pauses; "flip" flips a bit now and then;
    "stall" forwards nothing and keeps connections (a cable that was pulled); "slow" forwards what hosts send a byte at a
    time; "thin" forwards what targets send slowly, so that windows close; "early" answers small writes before the target
    has them, which it gets a moment later."""

    MODES = ("pass", "pieces", "flip", "stall", "slow", "thin", "early")

    def __init__(self, target_port, how="pass", seed=1, flip_every=20000):
        context = multiprocessing.get_context("fork")
        self.mode = context.Value("i", self.MODES.index(how))
        self.flips = context.Value("q", 0)
        self.connections = context.Value("i", 0)
        self.made = context.Value("i", 0)
        self.held_before = context.Value("i", 0)
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(128)
        self.port = self.listening.getsockname()[1]
        self.process = context.Process(target=self._run, args=(target_port, seed, flip_every), daemon=True)
        self.process.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends all connections with a reset or FIN."""
        self.process.kill()
        self.process.join()
        self.listening.close()

    def become(self, how):
        self.mode.value = self.MODES.index(how)

    def hold(self):
        """Connections that are there now forward nothing until release(); later ones are not concerned."""
        self.held_before.value = self.made.value

    def release(self):
        self.held_before.value = 0

    # In the process of its own

    def _run(self, target_port, seed, flip_every):
        self.target_port, self.flip_every = target_port, flip_every
        self.chance = random.Random(seed)
        # What asyncio says of connections that end is no news here.
        logging.disable()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve())

    async def _serve(self):
        server = await asyncio.start_server(self._connect, sock=self.listening, limit=1 << 16)
        await server.serve_forever()

    async def _connect(self, reader, writer):
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self.target_port, limit=1 << 16)
        except OSError:
            writer.close()
            return
        for one in (writer, target_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections.value += 1
        number = self.made.value
        self.made.value += 1
        # Answers of ours must not come into the middle of the target's.
        state = {"lock": asyncio.Lock(), "swallow": set()}
        if self.MODES[self.mode.value] == "early":
            tasks = [self._answer_early(reader, target_writer, writer, state), self._leave_out(target_reader, writer, state)]
        else:
            tasks = [self._pump(reader, target_writer, "slow", number), self._pump(target_reader, writer, "thin", number)]
        tasks = [asyncio.ensure_future(task) for task in tasks]
        # One half that is closed leaves the other open; a target or host that is gone does not.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(tasks, timeout=0.2)
        for task in tasks:
            task.cancel()
        self.connections.value -= 1
        for one in (writer, target_writer):
            one.close()

    async def _pump(self, reader, writer, own, number):
        until_flip = self.chance.expovariate(1 / self.flip_every)
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                how = self.MODES[self.mode.value]
                while how == "stall" or number < self.held_before.value:
                    await asyncio.sleep(0.02)
                    how = self.MODES[self.mode.value]
                if how == "flip":
                    piece = bytearray(piece)
                    until_flip -= len(piece)
                    while until_flip < 0:
                        at = int(len(piece) + until_flip)
                        if 0 <= at < len(piece):
                            piece[at] ^= 1 << self.chance.randrange(8)
                            self.flips.value += 1
                        until_flip += self.chance.expovariate(1 / self.flip_every)
                if how == "pieces":
                    while piece:
                        length = self.chance.choice((1, 2, 7, 8, 23, 72, 500, 1460, 9000, 1 << 16))
                        writer.write(piece[:length])
                        piece = piece[length:]
                        await writer.drain()
                        await asyncio.sleep(self.chance.choice((0, 0, 0, 0.0005, 0.002)))
                elif how == own == "slow":
                    for byte in piece:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(0.02)
                        if self.MODES[self.mode.value] != "slow":
                            break
                elif how == own == "thin":
                    for at in range(0, len(piece), 256):
                        writer.write(piece[at:at + 256])
                        await asyncio.sleep(0.05)
                else:
                    writer.write(piece)
                    await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    # A target that acknowledges before it writes

    async def _answer_early(self, reader, target_writer, writer, state):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            is_connected = False
            while True:
                head = await reader.readexactly(8)
                length, = struct.unpack_from("<I", head, 4)
                pdu = head + await reader.readexactly(length - 8)
                # A write of an I/O queue whose data came along.
                if is_connected and head[0] == CAPSULE_COMMAND and pdu[8] == WRITE and length > 72:
                    cid = pdu[10:12]
                    state["swallow"].add(cid)
                    answer = struct.pack("<BBBBI", CAPSULE_RESPONSE, 0, 24, 0, 24) + bytes(8) + b"\xff\xff" + bytes(2) + cid + bytes(2)
                    asyncio.get_running_loop().call_later(0.05, self._forward_late, target_writer, pdu)
                    async with state["lock"]:
                        writer.write(answer)
                    continue
                # The Connect of an I/O queue names it in bytes 42 and 43 of the command.
                if head[0] == CAPSULE_COMMAND and pdu[8] == 0x7F and pdu[12] == 1:
                    is_connected = pdu[8 + 42:8 + 44] != b"\0\0"
                target_writer.write(pdu)
                await target_writer.drain()

    @staticmethod
    def _forward_late(target_writer, pdu):
        with contextlib.suppress(OSError):
            target_writer.write(pdu)

    async def _leave_out(self, reader, writer, state):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(8)
                length, = struct.unpack_from("<I", head, 4)
                pdu = head + await reader.readexactly(length - 8)
                if head[0] == CAPSULE_RESPONSE and pdu[8 + 12:8 + 14] in state["swallow"]:
                    state["swallow"].discard(pdu[8 + 12:8 + 14])
                    continue
                async with state["lock"]:
                    writer.write(pdu)
                    await writer.drain()


def connect_silently(port, count):
    """`count` sockets that say nothing."""
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.settimeout(2)
        with contextlib.suppress(OSError):
            one.connect(("127.0.0.1", port))
        sockets.append(one)
    return sockets


def seconds_of(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin
