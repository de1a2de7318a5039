"""The machine that figures come from: what it is, what else it does, and how its TCP is set."""

import contextlib
import os
import platform

CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"


def description():
    return {"kernel": platform.release(), "architecture": platform.machine(), "cpu": _cpu_model(),
            "cpus": os.cpu_count(), "memory_mib": _memory_mib(), "virtual": "hypervisor" in _cpuinfo().get("flags", ""),
            "system": _system(), "huge_pages": _line("/sys/kernel/mm/transparent_hugepage/enabled")}


def load():
    return os.getloadavg()[0]


def stolen_seconds():
    """Time that a hypervisor gave to others."""
    return int(_line("/proc/stat").split()[8]) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def congestion_control(name):
    """The system's congestion control set to `name`, if we may; in any case a sentence on what it is."""
    before = _line(CONGESTION)
    if before == name:
        yield f"{name}, for targets and clients: the system's"
        return
    try:
        _write(CONGESTION, name)
    except OSError:
        yield f"{name} for weftd and weft perf by their options; {before}, the system's, for peer and other clients"
        return
    try:
        yield f"{name}, for targets and clients: set for the system while it was measured, before it was {before}"
    finally:
        _write(CONGESTION, before)


def _cpuinfo():
    fields = {}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    return fields


def _cpu_model():
    fields = _cpuinfo()
    return f"{fields.get('model name', 'unknown')} (family {fields.get('cpu family')}, model {fields.get('model')})"


def _memory_mib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)


def _system():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _line(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
