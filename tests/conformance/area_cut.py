"""C6 and C7: a whole session that ends after any of its bytes, by FIN, by RST, by an administrator; and devices that go under I/O."""
import contextlib
import json
from itertools import product

import wire
from answers import CLOSED, OK, R2T, SILENT, Cpl, Term, Unexpected, expect, require
from case import FRAMINGS, Case, sample
from host import Host
from wire import IN_CAPSULE, TRANSPORT
from world import RpcClient

NQN = "nqn.2016-06.io.spdk:cut"


class Cut(Exception):
    """So many bytes of the session were sent."""


class Tape:
    """Counts what the hosts of a session send; at `position` it stops them."""

    def __init__(self, position):
        self.position, self.sent = position, 0

    def take(self, data):
        room = self.position - self.sent
        self.sent += min(room, len(data))
        return data[:room], data[room:]


class CutHost(Host):
    is_answered = True  # what it sends now

    def __init__(self, world, tape, number=1):
        super().__init__(world, number)
        self.tape = tape
        world.hosts.append(self)

    def send(self, data):
        now, rest = self.tape.take(data)
        super().send(now)
        if rest:
            self.rest = rest
            raise Cut(self)


def make(world):
    world.rpc.call("nvmf_create_subsystem", {"nqn": NQN, "allow_any_host": True, "max_namespaces": 8})
    world.rpc.call("nvmf_subsystem_add_listener", world.listener(NQN))
    world.add_namespace(NQN, "Cut", 1)


def session(world, tape, framing):
    """ICReq, Connect, enable, a queue, a write each way, a read, Disconnect; as a right host does it."""
    admin = CutHost(world, tape, 5)
    admin.handshake(framing)
    admin.connect(subnqn=NQN)
    admin.enable()
    admin.is_answered = False  # an event may never be
    admin.send(admin.capsule(wire.sqe(0x0C, 99)))
    admin.is_answered = True
    expect(admin.command(wire.sqe(6, 3, 0, wire.sgl(TRANSPORT, 4096), (1,))), OK)
    io = CutHost(world, tape, 5)
    io.handshake(framing)
    io.connect(1, admin.cntlid, NQN)
    expect(io.command(wire.sqe(1, 4, 1, wire.sgl(IN_CAPSULE, 512), (0, 0, 0)), b"\x11" * 512), OK)
    expect(io.write_by_r2t(wire.sqe(1, 5, 1, wire.sgl(TRANSPORT, 2048), (8, 0, 3)), 5, b"\x22" * 2048), OK)
    expect(io.command(wire.sqe(2, 6, 1, wire.sgl(TRANSPORT, 4096), (0, 0, 7))), OK)
    expect(io.command(wire.disconnect(cid=7)), OK)
    return tape.sent


def length(world, framing):
    size = session(world, Tape(1 << 30), framing)
    world.close_hosts()
    return size


def cuts(world, full):
    world.rpc.call("bdev_malloc_create", {"name": "Cut", "block_size": 512, "num_blocks": 8192})
    make(world)

    def ends(world, framing, position, how):
        try:
            session(world, Tape(position), framing)
        except Cut:
            pass
        for host in world.hosts:
            getattr(host, "reset" if how == "rst" else "close")()

    def administered(world, framing, position, method):
        """The session goes on afterwards as if nothing were: it is refused or closed, and never left alone."""
        tape = Tape(position)
        removed = False
        try:
            session(world, tape, framing)
        except Cut as cut:
            rpc(world, method, NQN)
            removed = True
            host = cut.args[0]
            tape.position = 1 << 30
            host.send(host.rest)
            if host.is_answered:
                require(not SILENT.allows(host.answer()), "neither an answer nor the end")
            if method == "nvmf_delete_subsystem":
                for each in world.hosts:
                    if each.cntlid is not None:
                        drain(each)
        if removed:
            undo(world, method, NQN)

    for framing in FRAMINGS[::3]:
        total = length(world, framing)
        for position, how in product(sample(full, range(total + 1), 130, 3), ("fin", "rst")):
            yield Case(f"cut/{framing.label},{how}={position}", "C6", lambda world,
                       a=(framing, position, how): ends(world, *a), classes=("C6",))
        for position, method in product(sample(full, range(total + 1), 35, 5),
                                        ("nvmf_delete_subsystem", "nvmf_subsystem_remove_listener",
                                         "nvmf_subsystem_remove_ns")):
            yield Case(f"cut/{framing.label},{method}={position}", "C6", lambda world,
                       a=(framing, position, method): administered(world, *a),
                       classes=("C6",))


def drain(host):
    """A host whose controller ended: what was still to come, then the end."""
    with contextlib.suppress(wire.Cut):
        while not CLOSED.allows(got := host.answer()):
            if isinstance(got, Term):
                return
            require(not SILENT.allows(got), "its subsystem is gone, and its connection lives on")


def params_of(world, method, nqn):
    if method == "nvmf_delete_subsystem":
        return {"nqn": nqn}
    if method == "nvmf_subsystem_remove_listener":
        return world.listener(nqn)
    if method == "bdev_malloc_delete":
        return {"name": "Cut"}
    return {"nqn": nqn, "nsid": 1}


def rpc(world, method, nqn):
    world.rpc.call(method, params_of(world, method, nqn))


def undo(world, method, nqn):
    if method == "nvmf_delete_subsystem":
        make(world)
    elif method == "nvmf_subsystem_remove_listener":
        world.rpc.call("nvmf_subsystem_add_listener", world.listener(nqn))
    else:
        if method == "bdev_malloc_delete":
            world.rpc.call("bdev_malloc_create", {"name": "Cut", "block_size": 512, "num_blocks": 8192})
        world.add_namespace(nqn, "Cut", 1)


def removals(_world, full):
    """C7: what a queue is at work with is taken away: each command ends exactly once, or its connection does."""
    def run(world, framing, method, kind, count, when):
        admin = world.admin(subnqn=NQN)
        host = world.host(admin.number, receive_buffer=8192 if kind == "unread" else 0)
        host.handshake(framing).connect(1, admin.cntlid, NQN, 127)
        size = 65536 if kind == "unread" else 4096
        opcode = {"writes": 1, "compares": 5}.get(kind, 2)
        blocks = size // 512
        commands = [wire.sqe(opcode, 100 + at, 1, wire.sgl(TRANSPORT, size), (at * 8, 0, blocks - 1))
                    for at in range(count)]
        host.send(b"".join(host.capsule(command) for command in commands))
        asked = []
        if kind in ("writes", "compares"):
            asked = [expect(host.answer(), R2T).pdu for _ in commands]
            for r2t in asked[:count // 2]:
                host.send(host.h2c(r2t.u16(8), r2t.u16(10), 0, bytes(size)))
            asked = asked[count // 2:]
        aside = RpcClient(world.path, 15)
        aside.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params_of(world, method,
                                                                                                NQN)}).encode())
        if when == "rpc-first":
            answer = aside.line()
        for r2t in asked:
            host.send(host.h2c(r2t.u16(8), r2t.u16(10), 0, bytes(size)))
        ended = set()
        try:
            while len(ended) < count:
                got = host.answer(10)
                if CLOSED.allows(got) and method == "nvmf_delete_subsystem":
                    break
                if not isinstance(got, Cpl):
                    raise Unexpected(f"after {len(ended)} of {count} completions: {got}")
                require(got.cid not in ended and 100 <= got.cid < 100 + count, f"a second completion for {got.cid}")
                ended.add(got.cid)
        except wire.Cut:
            if method != "nvmf_delete_subsystem":
                raise
        if when != "rpc-first":
            answer = aside.line()
        aside.close()
        undo(world, method, NQN)
        require(b'"result"' in (answer or b""), f"{method}: {answer!r:.200}")

    methods = ("nvmf_subsystem_remove_ns", "bdev_malloc_delete", "nvmf_delete_subsystem")
    for framing, method, kind, count, when in product(FRAMINGS if full else FRAMINGS[::3], methods,
                                                      ("writes", "compares", "reads", "unread"), (1, 100),
                                                      ("rpc-first", "io-first")):
        yield Case(f"removed/{method},{kind}={count},{framing.label},{when}", "C7",
                   lambda world, a=(framing, method, kind, count, when): run(world, *a), classes=("C7",))

    def resized(world):
        """Hosts learn of a larger size by an event, and commands at the old edge go on."""
        world.rpc.call("bdev_null_create", {"name": "Grow", "block_size": 512, "num_blocks": 2048})
        world.add_namespace(NQN, "Grow", 2)
        admin = world.admin(subnqn=NQN)
        host = world.io(admin, subnqn=NQN)
        expect(admin.command(wire.sqe(9, 7, 0, None, (0x0B, 0x100))), OK)
        admin.send(admin.capsule(wire.sqe(0x0C, 9)))
        read = wire.sqe(2, 8, 2, wire.sgl(TRANSPORT, 512), (2048, 0, 0))
        expect(host.command(read), Cpl(0, 0x80))
        for at in range(100):
            host.send(host.capsule(wire.sqe(2, 100 + at, 2, wire.sgl(TRANSPORT, 4096), (at, 0, 7))))
        world.rpc.call("bdev_null_resize", {"name": "Grow", "new_size": 2})
        require({expect(host.answer(), OK).cid for _ in range(100)} == set(range(100, 200)), "each once")
        expect(host.command(read), OK)
        expect(admin.answer(), OK, "the event")
        world.rpc.call("nvmf_subsystem_remove_ns", {"nqn": NQN, "nsid": 2})
        world.rpc.call("bdev_null_delete", {"name": "Grow"})

    yield Case("removed/resized", "C7", resized, classes=("C7",))
