"""The table: what shall be reached, and what was. A row names a figure of the results and what it is compared with."""

from dataclasses import dataclass

from loads import COPYING, FIELD, LIGHT

FIGURES = {"iops": "IOPS", "busy_ns": "busy per I/O", "mean_us": "mean latency", "p99_us": "p99 latency"}


@dataclass(frozen=True)
class Row:
    what: str
    goal: str         # as a reader wants it: "≥ 1.25"
    value: float
    ours: str         # the figures behind the value
    other: str
    met: bool | None  # None: there is no goal

    def verdict(self):
        return {True: "met", False: "not met", None: ""}[self.met]


@dataclass(frozen=True)
class Ratio:
    """Ours over the peer's, of one figure of a case, for each of these clients that measured it."""
    case: str
    figure: str
    sign: str
    goals: dict  # client: goal, None for a row without
    peer: str = "peer"


def _read_write(name, figure, sign, read, write):
    return [Ratio(name.format("read"), figure, sign, read), Ratio(name.format("write"), figure, sign, write)]


def _everybody(goal):
    return {FIELD: goal, LIGHT: goal, COPYING: None}


RATIOS = [
    *_read_write("4 KiB {} QD 128", "iops", "≥", {FIELD: 1.25, LIGHT: 1.5, COPYING: None}, {FIELD: 1.25, LIGHT: 1.4}),
    *_read_write("4 KiB {} QD 128", "busy_ns", "≤", _everybody(0.65), _everybody(0.65)),
    *_read_write("4 KiB {} 16 x QD 32", "iops", "≥", {FIELD: 1.4, LIGHT: 1.6, COPYING: None},
                 {FIELD: 1.35, LIGHT: 1.5}),
    *_read_write("4 KiB {} 16 x QD 32", "busy_ns", "≤", _everybody(0.6), _everybody(0.6)),
    *_read_write("4 KiB {} 4 x QD 32", "iops", "≥", {FIELD: 1.3, LIGHT: 1.5}, {FIELD: 1.3, LIGHT: 1.5}),
    *_read_write("4 KiB {} QD 32", "iops", "≥", _everybody(1.2), _everybody(1.2)),
    *_read_write("4 KiB {} QD 32", "busy_ns", "≤", _everybody(0.65), _everybody(0.65)),
    *_read_write("4 KiB {} QD 1", "mean_us", "≤", _everybody(0.92), _everybody(0.92)),
    *_read_write("4 KiB {} QD 1", "p99_us", "≤", _everybody(0.92), _everybody(0.92)),
    *_read_write("128 KiB {} QD 32", "iops", "≥", _everybody(1.35), _everybody(1.3)),
    Ratio("128 KiB read QD 32, zero copy", "iops", "≥", {LIGHT: 1.6}),
    *_read_write("4 KiB {} QD 128, digests", "iops", "≥", _everybody(1.25), _everybody(1.25)),
    *_read_write("128 KiB {} QD 32, digests", "iops", "≥", _everybody(1.25), _everybody(1.25)),
    *_read_write("4 KiB {} QD 128, 1 GiB cold", "iops", "≥", {LIGHT: 1.5}, {LIGHT: 1.4}),
    *_read_write("4 KiB {} QD 128, 1 GiB cold", "busy_ns", "≤", {LIGHT: 0.65}, {LIGHT: 0.65}),
    *_read_write("128 KiB {} QD 32, 1 GiB cold", "iops", "≥", {LIGHT: 1.35}, {LIGHT: 1.3}),
    *(Ratio(f"4 KiB {way} QD 32, file on {folder}", "iops", "≥", {LIGHT: 1.2}, peer)
      for folder in ("tmpfs", "disk") for way in ("read", "write") for peer in ("peer aio", "peer uring")),
]


def rows(report):
    """All rows that the results, as they are in JSON, have the figures for."""
    loads = {(load["case"], load["client"]): load["targets"] for load in report["loads"]}
    found = []
    for ratio in RATIOS:
        for client, goal in ratio.goals.items():
            targets = loads.get((ratio.case, client), {})
            if "weft" in targets and ratio.peer in targets:
                found.append(_ratio_row(ratio, goal, targets, report["settings"]["clients"][client]))
    return found + _floor_rows(report, loads) + _quiet_rows(report["quiet"]) + _crowd_rows(report["crowds"])


def _ratio_row(ratio, goal, targets, label):
    beside = "" if ratio.peer == "peer" else f" beside {ratio.peer}"
    ours, other = (targets[name]["median"][ratio.figure] for name in ("weft", ratio.peer))
    what = f"{ratio.case}, {label}: {FIGURES[ratio.figure]}{beside}"
    return _row(what, ratio.sign, goal, ours / other, _figure(ratio.figure, ours), _figure(ratio.figure, other))


def _row(what, sign, goal, value, ours="", other="", unit=""):
    met = None if goal is None else value >= goal if sign == "≥" else value <= goal if sign == "≤" else value < goal
    return Row(what, "" if goal is None else f"{sign} {goal}{unit}", value, ours, other, met)


def _figure(figure, value):
    if figure == "iops":
        return f"{value / 1000:.1f} k" if value < 1e6 else f"{value / 1e6:.3f} M"
    return f"{value:.0f} ns" if figure.endswith("_ns") else f"{value:.1f} µs"


def _floor_rows(report, loads):
    found = []
    for client, floor, goal in ((LIGHT, "QD 128", 38), (COPYING, "QD 128, copying", None)):
        floor_median = report["floor"].get(floor, {}).get("median")
        for name, target in loads.get(("4 KiB read QD 128", client), {}).items():
            if floor_median:
                what = f"4 KiB read QD 128, {report['settings']['clients'][client]}: {name}, share of the floor in %"
                iops = target["median"]["iops"]
                found.append(_row(what, "≥", goal if name == "weft" else None, iops / floor_median["iops"] * 100,
                                  _figure("iops", iops), _figure("iops", floor_median["iops"])))
    return found


def _quiet_rows(quiet):
    found = []

    def add(what, sign, goal, part, take, unit):
        if "weft" in part:
            values = {name: take(figures) for name, figures in part.items()}
            found.append(_row(what, sign, goal, values["weft"], f"{values['weft']:.4g}{unit}",
                              f"{values['peer']:.4g}{unit}" if "peer" in values else "", unit))

    add("idle with 100 connected hosts: share of a core", "<", 1, quiet.get("idle_cpu_percent", {}),
        lambda figures: figures["100"], " %")
    add("first I/O after 1 s of silence: added", "<", 100, quiet.get("first_after_silence", {}),
        lambda figures: figures["added_us"], " µs")
    add("memory per idle connection that has worked", "≤", 16, quiet.get("memory", {}),
        lambda figures: figures["kib_per_connection"], " KiB")
    add("exec to the first accepted connection", "≤", 50, quiet.get("start_up", {}),
        lambda figures: figures["median_ms"], " ms")
    return found


def _crowd_rows(crowds):
    found = []

    def add(what, sign, goal, part, ours, other, figure):
        if ours in part and other in part:
            value, base = (part[name]["median"][figure] for name in (ours, other))
            found.append(_row(what, sign, goal, value / base, _figure(figure, value), _figure(figure, base)))

    add("10 of 1 000 connections active, against 10 alone: IOPS", "≥", 0.9, crowds.get("connections", {}),
        "weft crowded", "weft alone", "iops")
    for name in ("weft", "peer"):
        add(f"two reactors against one: {name}, busy per I/O", "≤", 1.05 if name == "weft" else None,
            crowds.get("reactors", {}), f"{name} 2 reactors", f"{name} 1 reactor", "busy_cpu_ns")
    for kind, count in (("namespaces", "10 000"), ("subsystems", "1 000")):
        add(f"1 → {count} {kind}: busy per I/O", "≤", 1.05, crowds.get("growth", {}), f"weft {kind}", "weft small",
            "busy_ns")
    add("p99 turn with 1 000 RPCs a second, to it against to another", "≤", 1.2, crowds.get("management", {}),
        "weft called", "weft beside calls", "turn_p99_ns")
    for load, part in crowds.get("tls", {}).items():
        for bits in (128, 256):
            add(f"{load}, TLS with AES-{bits} against none: busy per I/O", "≤", None, part, f"weft tls {bits}",
                "weft plain", "busy_ns")
    part = crowds.get("changes", {})
    if all("p99_9_us" in part.get(name, {}).get("median", {}) for name in ("weft changed", "weft beside changes")):
        value, base = (part[name]["median"]["p99_9_us"] for name in ("weft changed", "weft beside changes"))
        found.append(_row("p99.9 of reads that 200 changes a second add, to it against to another, in ms", "≤", 1.0,
                          (value - base) / 1000, f"{value:.0f} µs", f"{base:.0f} µs"))
    return found
