#!/usr/bin/env python3
"""Draws the results of bench/run.py as docs/images/*.svg, and writes its tables into docs/performance.md."""

import argparse
import json
import pathlib

import page
from loads import FIELD, LIGHT
from svg import Panel, Series, chart

GIB = 1 << 30
NAMES = {"weft": "Weft", "peer": "peer"}
READ_WRITE = (("randread", "read"), ("randwrite", "write"))


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="the file that bench/run.py --json wrote")
    parser.add_argument("--docs", default=str(top / "docs"), help="folder of images/ and performance.md (%(default)s)")
    parser.add_argument("--peer-name", default="peer", help="what to call the peer (%(default)s)")
    arguments = parser.parse_args()
    NAMES["peer"] = arguments.peer_name
    report = json.loads(pathlib.Path(arguments.results).read_text(encoding="utf-8"))
    docs = pathlib.Path(arguments.docs)
    (docs / "images").mkdir(parents=True, exist_ok=True)
    for name, draw in CHARTS.items():
        title, panels, *columns = draw(report)
        text = chart(title, _note(report, name), panels, *columns)
        (docs / "images" / f"{name}.svg").write_text(text, encoding="utf-8")
    path = docs / "performance.md"
    path.write_text(page.filled(path.read_text(encoding="utf-8"), report, NAMES["peer"]), encoding="utf-8")


def _note(report, name):
    settings = report["settings"]
    if name in ("idle", "memory"):
        return f"Linux {report['machine']['kernel']}, loopback; {settings['date']}"
    client = settings["clients"][_latency_client(report) if name == "latency" else LIGHT]
    return (f"client: {client}; medians of {settings['repeat']}, thin lines from the least to the most; "
            f"{report['machine']['cpus']} CPUs, loopback; {settings['date']}")


# What the loads told ------------------------------------------------------------------------------------------


def _points(loads, name, x, figure, scale=1.0):
    """Of a target, over these loads: figure by x, with its spread."""
    points = {}
    for load in loads:
        if name in load["targets"]:
            runs = [run[figure] * scale for run in load["targets"][name]["runs"] if run[figure] is not None]
            median = load["targets"][name]["median"][figure]
            if median is not None:
                points[load[x]] = (median * scale, min(runs), max(runs))
    return points


def _chosen(report, workload, **wanted):
    """RAM disk, light client, no digests; and what is wanted."""
    wanted = {"workload": workload, "stand": "ram", "client": LIGHT, "digests": False, **wanted}
    return [load for load in report["loads"] if all(load[key] == value for key, value in wanted.items())]


def _both(loads, x, figure, scale=1.0):
    return [Series(label, _points(loads, name, x, figure, scale)) for name, label in NAMES.items()]


def _floor(report, figure):
    points = {}
    for name, floor in report["floor"].items():
        if "copying" not in name:
            runs = [run[figure] for run in floor["runs"]]
            points[int(name.removeprefix("QD "))] = (floor["median"][figure], min(runs), max(runs))
    return Series("floor: plain socket", points)


def by_queue_depth(report):
    panels = []
    for figure, label in (("iops", "IOPS"), ("busy_ns", "busy ns per I/O, log.")):
        for workload, way in READ_WRITE:
            series = _both(_chosen(report, workload, size=4096, connections=1), "depth", figure)
            if workload == "randread":
                series.append(_floor(report, figure))
            panels.append(Panel(f"4 KiB random {way}", label, "queue depth", series, y_log=figure == "busy_ns"))
    return "By queue depth, one connection", panels


def by_connections(report):
    panels = []
    for figure, label in (("iops", "IOPS"), ("busy_ns", "busy ns per I/O")):
        for workload, way in READ_WRITE:
            loads = _chosen(report, workload, size=4096, depth=32)
            panels.append(Panel(f"4 KiB random {way}", label, "connections", _both(loads, "connections", figure)))
    return "By connections, queue depth 32 on each", panels


def by_size(report):
    panels = []
    for figure, label in (("iops", "GiB/s"), ("busy_ns", "busy µs per I/O, log.")):
        for workload, way in READ_WRITE:
            loads = _chosen(report, workload, depth=32, connections=1)
            series = [Series(label_of, {}) for label_of in NAMES.values()]
            for load in loads:
                for one, (name, _) in zip(series, NAMES.items()):
                    scale = load["size"] / GIB if figure == "iops" else 1e-3
                    one.points.update(_points([load], name, "size", figure, scale))
            names = {load["size"]: f"{load['size'] // 1024} KiB" for load in loads}
            panels.append(Panel(f"random {way}", label, "bytes of a command", series, y_log=figure == "busy_ns",
                                x_names=names))
    return "By size, queue depth 32", panels


def _latency_client(report):
    """The field's client where it measured, since it is nobody's of us."""
    return FIELD if any(load["client"] == FIELD and load["depth"] == 1 for load in report["loads"]) else LIGHT


def latency(report):
    panels = []
    for workload, way in READ_WRITE:
        loads = _chosen(report, workload, size=4096, depth=1, client=_latency_client(report))
        series = []
        for name, label in NAMES.items():
            points = {}
            for position, figure in enumerate(("mean_us", "p50_us", "p99_us")):
                for point in _points(loads, name, "depth", figure).values():
                    points[position] = point
            series.append(Series(label, points))
        panels.append(Panel(f"4 KiB random {way}, queue depth 1", "µs", "", series, "bars",
                            x_names={0: "mean", 1: "median", 2: "99 %"}))
    return "Latency", panels


# What the quiet told ------------------------------------------------------------------------------------------


def idle(report):
    series = []
    for name, label in NAMES.items():
        percents = report["quiet"].get("idle_cpu_percent", {}).get(name, {})
        series.append(Series(label, {int(hosts): (percent,) * 3 for hosts, percent in percents.items()}))
    return "CPU time without I/O", [Panel("Percent of a core", "%, log.", "connected hosts, with keep-alives",
                                          series, "bars", y_log=True)], 1


def memory(report):
    series = []
    for name, label in NAMES.items():
        points = report["quiet"].get("memory", {}).get(name, {}).get("used_kib", {})
        series.append(Series(label, {int(count): (kib / 1024,) * 3 for count, kib in points.items() if count != "0"}))
    return "Memory by idle connections", [Panel("Resident, beside the RAM disk", "MiB, log.", "connections",
                                                series, y_log=True)], 1


def scaling(report):
    panels = []
    for figure, title, label in (("iops", "IOPS, the client beside them", "IOPS"),
                                 ("busy_cpu_ns", "Busy per I/O, of the CPU it got", "ns")):
        series = []
        for name, label_of in NAMES.items():
            points = {}
            for count in (1, 2):
                found = report["crowds"].get("reactors", {}).get(f"{name} {count} reactor{'s' if count > 1 else ''}")
                if found:
                    runs = [run[figure] for run in found["runs"]]
                    points[count] = (found["median"][figure], min(runs), max(runs))
            series.append(Series(label_of, points))
        panels.append(Panel(title, label, "reactors", series, "bars"))
    return "Scaling by reactors, two connections, 4 KiB reads at queue depth 32", panels


CHARTS = {"by-queue-depth": by_queue_depth, "by-connections": by_connections, "by-size": by_size, "latency": latency,
          "idle": idle, "memory": memory, "scaling": scaling}

if __name__ == "__main__":
    main()
