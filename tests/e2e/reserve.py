#!/usr/bin/env python3
"""reserve.py ADDRESS PORT NQN HOST ACTION... - a host that reserves namespace 1, by the host of tests/conformance.

Actions: register:KEY:CPTPL, acquire:KEY:TYPE, preempt:KEY:OTHER:TYPE, release:KEY:TYPE, read, write; a last word `:conflict`
or `:SCT/SC` says how it must end instead of well."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
import wire  # noqa: E402
from answers import OK, Cpl, expect  # noqa: E402
from area_io import perform  # noqa: E402
from area_reservations import ACQUIRE, FORCED, REGISTER, RELEASE, reserve  # noqa: E402
from host import Host  # noqa: E402
from wire import TRANSPORT  # noqa: E402


class Target:
    """What a Host needs to know of the world."""

    def __init__(self, address, port, nqn):
        self.address, self.port, self.nqn = address, int(port), nqn

    def hostnqn(self, number):
        return f"nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-{number:012d}"

    def hostid(self, number):
        return number.to_bytes(16, "big")


def act(host, words):
    right = OK
    if words[-1] == "conflict":
        right = Cpl(0, 0x83)
        words = words[:-1]
    elif "/" in words[-1]:
        right = Cpl(*(int(number, 16) for number in words[-1].split("/")))
        words = words[:-1]
    verb, numbers = words[0], [int(word) for word in words[1:]]
    if verb == "register":
        got = reserve(host, REGISTER, 2 | FORCED | numbers[1] << 30, 0, numbers[0])
    elif verb == "acquire":
        got = reserve(host, ACQUIRE, numbers[1] << 8, numbers[0])
    elif verb == "preempt":
        got = reserve(host, ACQUIRE, 2 | numbers[2] << 8, numbers[0], numbers[1])
    elif verb == "release":
        got = reserve(host, RELEASE, numbers[1] << 8, numbers[0])
    else:
        command = wire.sqe({"read": 2, "write": 1}[verb], host.cid(), 1, wire.sgl(TRANSPORT, 512), (0, 0, 0))
        got = perform(host, command, bytes(512))
    expect(got, right, " ".join(words))


def main():
    target = Target(*sys.argv[1:4])
    number = int(sys.argv[4])
    admin = Host(target, number).handshake().connect().enable()
    host = Host(target, number).handshake().connect(1, admin.cntlid)
    for action in sys.argv[5:]:
        act(host, action.split(":"))


main()
