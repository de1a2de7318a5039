"""What must not cost more when there is more of it: connections, reactors, namespaces, subsystems."""

import contextlib

from clients import Load
from measure import in_turn, running
from nvme_host import Host
from targets import BLOCK, NQN

ACTIVE, IDLE_HOSTS, QUEUES_PER_HOST = 10, 10, 99  # 990 idle connections
NAMESPACES, SUBSYSTEMS = 10000, 1000
SMALL_READ = Load("randread", BLOCK, 32)


@contextlib.contextmanager
def targets_with_disk(commands, *names, cpus="0x1"):
    """A target for each name, with a RAM disk, paused."""
    with contextlib.ExitStack() as stack:
        targets = {}
        for name in names:
            target = commands.start(name.split(" ")[0], cpus[name] if isinstance(cpus, dict) else cpus)
            stack.callback(target.close)
            commands.export_ram_disk(target, 256)
            targets[name] = target
            target.pause()
        yield targets


def connections(commands, client, arguments):
    """Ten connections at work, alone and beside 990 that do nothing."""
    load = Load("randread", BLOCK, 32, connections=ACTIVE)
    with targets_with_disk(commands, "weft alone", "weft crowded") as targets, contextlib.ExitStack() as stack:
        crowded = targets["weft crowded"]
        with running(crowded):
            for _ in range(IDLE_HOSTS):
                stack.callback(Host(crowded.port, queues=QUEUES_PER_HOST).close)
        return in_turn(targets, client, load, arguments)


def reactors(commands, client, arguments):
    """Two connections on one reactor, and on two. With two CPUs the client shares that of the second reactor."""
    load = Load("randread", BLOCK, 32, connections=2)
    results = {}
    for name in commands.names():
        command = commands.weft if name == "weft" else commands.peer
        if "{cpus}" not in command:
            continue
        cpus = {f"{name} 1 reactor": "0x1", f"{name} 2 reactors": "0x3"}
        with targets_with_disk(commands, *cpus, cpus=cpus) as targets:
            results.update(in_turn(targets, client, load, arguments))
    return results


def growth(commands, client, arguments):
    """Reads of one namespace: alone, among 10 000 namespaces, and among 1 000 subsystems."""
    with targets_with_disk(commands, "weft small", "weft namespaces", "weft subsystems") as targets:
        for name, make in (("weft namespaces", _make_namespaces), ("weft subsystems", _make_subsystems)):
            with running(targets[name]):
                make(targets[name])
        return in_turn(targets, client, SMALL_READ, arguments)


def _make_namespaces(target):
    """All in one new subsystem of that name; the disk is the first."""
    others = [f"Null{number}" for number in range(1, NAMESPACES)]
    target.calls(("bdev_null_create", {"name": name, "block_size": BLOCK, "num_blocks": 256}) for name in others)
    target.call("nvmf_delete_subsystem", nqn=NQN)
    target.add_subsystem(bdevs=["Malloc0", *others], max_namespaces=NAMESPACES)


def _make_subsystems(target):
    for number in range(1, SUBSYSTEMS):
        target.call("bdev_null_create", name=f"Null{number}", block_size=BLOCK, num_blocks=256)
        target.add_subsystem(f"{NQN}-{number}", [f"Null{number}"])
