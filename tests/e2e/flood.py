"""Storms against a running weftd, and what they cost.

Each storm opens connections from several source addresses (127.0.0.2 and up), and once more all from one: sockets that
say nothing, that send an ICReq and no more, that finish a Connect and stay, and that connect and leave at a fixed rate;
and on a port with TLS those that say nothing, nearly all of a ClientHello, or all of one that somebody has overheard.
While it lasts a known host connects again and again (weft identify), through TLS where the storm is. Printed for each:
how far resident memory moved, the longest time the known host took, and how long it took until everything was given
back. Fails when memory moves by 64 MiB, the known host takes 2 s, or something stays.
"""
import argparse
import json
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

MEMORY_MAX = 64 << 20
HOST_SECONDS_MAX = 2.0


class Target:
    def __init__(self, port, pid, metrics, weft, options):
        """`options`: how the known host connects, but for address and port."""
        self.port, self.pid, self.metrics, self.weft, self.options = port, pid, metrics, weft, options

    def resident(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def figure(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{"))

    def displaced(self):
        return (self.figure("weft_transport_displaced_connections_total") +
                self.figure("weft_transport_tls_handshakes_displaced_total"))

    def identify(self, port):
        return [self.weft, "identify", "-a", "127.0.0.1", "-s", str(port), *self.options]

    def known_host(self):
        """Seconds until a host that is known has connected and asked."""
        began = time.monotonic()
        done = subprocess.run(self.identify(self.port), capture_output=True, timeout=30, text=True)
        if done.returncode != 0:
            print(f"# the known host after {time.monotonic() - began:.2f} s: {done.stderr.strip()}", flush=True)
        return time.monotonic() - began if done.returncode == 0 else float("inf")


def client_hello(target):
    """What the known host says first when it connects through TLS: as somebody overhears it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        host = subprocess.Popen(target.identify(listener.getsockname()[1]), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        peer = listener.accept()[0]
        peer.settimeout(10)
        hello = peer.recv(5)
        while len(hello) < 5 + struct.unpack(">H", hello[3:5])[0]:
            piece = peer.recv(4096)
            if not piece:
                raise EOFError("the host left before it had said all of its ClientHello")
            hello += piece
        peer.close()
        host.wait(timeout=30)
    return hello


# 16 KiB, with the record's header, but for the last byte.
LONG_HELLO = struct.pack(">BHH", 22, 0x0301, 16384 - 5) + struct.pack(">I", 1 << 24 | 16384 - 9) + bytes(16384 - 10)
IP_BIND_ADDRESS_NO_PORT = 24  # the port is chosen by connect(), which knows the peer
ICREQ = struct.pack("<BBBBI HBBI", 0, 0, 128, 0, 128, 0, 0, 0, 0).ljust(128, b"\0")


def connect_capsule(nqn, number):
    """Connect of the admin queue, from a host of its own."""
    sqe = bytearray(64)
    sqe[0] = 0x7F
    sqe[1] = 0x40  # SGL
    sqe[4] = 0x01  # Connect
    sqe[24 + 8:24 + 12] = struct.pack("<I", 1024)
    sqe[39] = 0x01  # in-capsule data, by offset
    sqe[40:48] = struct.pack("<HHHBB", 0, 0, 31, 0, 0)
    sqe[48:52] = struct.pack("<I", 120_000)
    data = bytearray(1024)
    data[0:16] = struct.pack("<QQ", number + 1, 0xF100D)
    data[16:18] = b"\xff\xff"
    data[256:256 + len(nqn)] = nqn.encode()
    host = f"nqn.2014-08.org.example:flood-{number}".encode()
    data[512:512 + len(host)] = host
    return struct.pack("<BBBBI", 4, 0, 72, 72, 72 + 1024) + bytes(sqe) + bytes(data)


class Storm:
    """Connections of one kind: how many, from how many sources, how many a second (0: as quickly as it goes).

    Each says `first`, and then, with an `nqn`, Connect to that subsystem; the target's `answer` begins so, of some at
    least. Where it is `bounded`, all but 1024 make room."""

    made = 0

    def __init__(self, name, first, count, sources, rate=0, leaves=False, nqn=None, answer=b"",
                 bounded=False):
        self.name, self.first, self.count, self.sources = name, first, count, sources
        self.rate, self.leaves, self.nqn = rate, leaves, nqn
        self.answer, self.bounded = answer, bounded
        self.is_answered = False
        self.open = []
        self.answered = 0
        self.failed = 0
        # An address has 28 000 ports for a minute: no storm takes those of another one, nor the known host's.
        Storm.made += 1
        self.network = Storm.made
        self.errors = {}  # how often which

    def one(self, target, number):
        peer = socket.socket()
        peer.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        peer.settimeout(5)
        try:
            peer.bind((f"127.0.{self.network}.{2 + number % self.sources}", 0))
            peer.connect(("127.0.0.1", target.port))
            peer.sendall(self.first)
            if self.nqn:
                peer.sendall(connect_capsule(self.nqn, number))
                if self.leaves:
                    got = b""
                    while len(got) < 128 + 24:
                        piece = peer.recv(4096)
                        if not piece:
                            break
                        got += piece
                    self.answered += len(got) >= 128 + 24 and got[128 + 22:128 + 24] == b"\0\0"
        except OSError as error:
            self.failed += 1
            self.errors[str(error)] = self.errors.get(str(error), 0) + 1
        if self.leaves:
            peer.close()
        else:
            self.open.append(peer)

    def run(self, target):
        began = time.monotonic()
        for number in range(self.count):
            if self.rate:
                time.sleep(max(0, began + number / self.rate - time.monotonic()))
            self.one(target, number)

    def answers(self):
        """Of those that stay: how many Connects were answered with success."""
        for peer in self.open:
            peer.setblocking(False)
            try:
                got = peer.recv(4096)
                self.is_answered |= bool(self.answer) and got.startswith(self.answer)
                self.answered += len(got) >= 128 + 24 and got[128 + 22:128 + 24] == b"\0\0"
            except OSError:
                pass


def wait_until(condition, seconds):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.1)
    return False


def measure(target, storm, hold):
    before, descriptors = target.resident(), target.descriptors()
    peak, slowest, tries = before, 0.0, 0
    displaced = target.displaced()
    is_over = threading.Event()
    is_settled = threading.Event()  # and all has been given back

    def blow():
        storm.run(target)
        time.sleep(hold)
        is_over.set()

    def watch():
        nonlocal peak
        while not is_settled.wait(0.02):
            peak = max(peak, target.resident())

    threads = [threading.Thread(target=blow), threading.Thread(target=watch)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while not is_over.is_set():
        slowest = max(slowest, target.known_host())
        tries += 1
        is_over.wait(0.1)
    threads[0].join()
    lasted = time.monotonic() - began - hold
    storm.answers()
    for peer in storm.open:
        peer.close()
    ended = time.monotonic()
    is_back = wait_until(lambda: target.descriptors() <= descriptors and
                         target.figure("weft_transport_connections") == 0 and
                         target.figure("weft_transport_tls_handshakes") == 0 and
                         target.figure("weft_subsystem_controllers") == 0, 30)
    back = time.monotonic() - ended
    is_settled.set()
    threads[1].join()
    displaced = target.displaced() - displaced  # not before: to tell of ten thousand controllers takes memory, too
    after = target.resident()
    problems = []
    if max(peak, after) - before >= MEMORY_MAX:
        problems.append("memory")
    if slowest >= HOST_SECONDS_MAX:
        problems.append("the known host")
    if not is_back:
        problems.append(f"left: {target.descriptors() - descriptors} descriptors, "
                        f"{target.figure('weft_transport_connections'):.0f} connections")
    if storm.nqn and storm.answered < storm.count * 0.99:
        problems.append(f"only {storm.answered} Connects were answered")
    if storm.answer and not storm.is_answered:
        problems.append("nobody was answered")
    if storm.bounded and displaced < storm.count - 1024:
        problems.append("too few were displaced")
    print(f"{'not ok' if problems else 'ok'} {storm.name}: {storm.count} from {storm.sources} addresses in {lasted:.1f} s: "
          f"memory +{(peak - before) / 2**20:.1f} MiB, afterwards {(after - before) / 2**20:+.1f} MiB; known host at most "
          f"{slowest:.2f} s of {tries}; given back after {back:.1f} s; {displaced:.0f} displaced, {storm.failed} not "
          f"connected{'; ' + ', '.join(problems) if problems else ''}", flush=True)
    if storm.errors:
        print(f"# {json.dumps(storm.errors)}", flush=True)
    return not problems


def dribbler(target, nqn):
    """One byte of a PDU a second: closed within the time of a PDU. One that never reads: the same."""
    slow = socket.create_connection(("127.0.0.1", target.port))
    slow.sendall(ICREQ)
    slow.recv(128)
    slow.sendall(connect_capsule(nqn, 1))
    slow.recv(24)
    began = time.monotonic()
    closed = None
    while time.monotonic() - began < 20:
        try:
            slow.send(b"\4" if time.monotonic() - began < 0.5 else b"\0")
        except OSError:
            closed = time.monotonic() - began
            break
        if select.select([slow], [], [], 1.0)[0]:
            closed = time.monotonic() - began
            break
    is_well = closed is not None and 7 < closed < 14
    print(f"{'ok' if is_well else 'not ok'} a byte a second: closed after {closed} s", flush=True)
    slow.close()
    return is_well


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the sizes of docs/reliability/bounds.md")
    parser.add_argument("--only", default="", help="storms with this in their name")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="of the weftd")
    parser.add_argument("--metrics", type=int, required=True, help="the port of its /metrics")
    parser.add_argument("--weft", required=True, help="the program")
    parser.add_argument("--nqn", required=True)
    parser.add_argument("tls", nargs="+", help="how the known host connects where there is TLS: options of weft identify")
    given = parser.parse_args()
    nqn = given.nqn
    target = Target(given.port, given.pid, given.metrics, given.weft, ["-n", nqn])
    secure = Target(given.tls_port, given.pid, given.metrics, given.weft, given.tls)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = 10_000 if given.full else 2_000
    seconds = 20 if given.full else 3
    print(f"# {json.dumps({'cpus': os.cpu_count(), 'kernel': os.uname().release, 'known host alone': round(target.known_host(), 3), 'through TLS': round(secure.known_host(), 3)})}")
    hello = client_hello(secure)
    well = True
    # Once, so that what is allocated once is not counted as the storm's.
    Storm("warm-up", ICREQ, 64, 4, leaves=True, nqn=nqn).run(target)
    for sources in (16, 1):
        storms = [
            (target, Storm("silent sockets", b"", count, sources, bounded=True), 2),
            (target, Storm("ICReqs", ICREQ, count, sources, bounded=True), 2),
            (target, Storm("Connects that stay", ICREQ, count, sources, nqn=nqn), 1),
            (target, Storm("Connects that leave", ICREQ, 1000 * seconds, sources, rate=1000, leaves=True, nqn=nqn), 0),
            (secure, Storm("silent sockets, TLS", b"", count, sources, bounded=True), 2),
            (secure, Storm("half of a ClientHello", hello[:len(hello) // 2], count, sources, bounded=True), 2),
            (secure, Storm("nearly 16 KiB of one", LONG_HELLO, count, sources, bounded=True), 2),
            (secure, Storm("an overheard ClientHello", hello, count, sources, answer=b"\x16", bounded=True), 2),
        ]
        for victim, storm, hold in storms:
            if given.only in storm.name:
                well &= measure(victim, storm, hold)
    if given.full:
        well &= dribbler(target, nqn)
    sys.exit(0 if well else 1)


main()
