"""The tables of docs/performance.md, made from the results between markers that stay."""

import re

import goals

MARKED = re.compile(r"(<!-- made by bench/plot\.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text, report, peer_name):
    """The page with every marked part made anew."""
    def part(match):
        return match.group(1) + PARTS[match.group(2)](report, peer_name) + match.group(3)
    return MARKED.sub(part, text)


def _table(heads, rows):
    """The columns after the first are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def _machine(report, _peer_name):
    machine, settings = report["machine"], report["settings"]
    memory = f"{machine['memory_mib'] / 1024:.0f} GiB"
    kind = "a virtual machine" if machine["virtual"] else "a machine"
    rows = [
        ("machine", f"{kind} with {machine['cpus']} CPUs, {machine['cpu']}, {memory}"),
        ("system", f"{machine['system']}, Linux {machine['kernel']} {machine['architecture']}"),
        ("huge pages of the system", machine["huge_pages"] or "none"),
        ("congestion control", settings["congestion_control"]),
        ("figures", f"medians of {settings['repeat']} measurements, {settings['seconds']:g} s each, {settings['date']}"),
        ("load average", f"{settings['load_before']:.2f} before, {settings['load_after']:.2f} after "
                         "(two CPUs poll while it is measured)"),
        ("stolen by the hypervisor", f"{settings['stolen_seconds']:.1f} s"),
    ]
    notes = [("note", note) for note in report["notes"]]
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {text} |\n" for name, text in rows + notes)


def _goals(report, peer_name):
    rows = [(row.what.replace("peer", peer_name), row.goal, f"{row.value:.3g}",
             f"**{row.verdict()}**" if row.met is False else row.verdict(), row.ours, row.other)
            for row in goals.rows(report)]
    return _table(("what", "goal", "is", "", "Weft", "beside it"), rows)


def _loads(report, peer_name):
    def number(value, digits=0):
        return "" if value is None else f"{value:,.{digits}f}".replace(",", " ")

    rows = []
    for load in report["loads"]:
        for name, target in load["targets"].items():
            median = target["median"]
            rows.append((f"{load['case']}, {report['settings']['clients'][load['client']]}: "
                         f"{name.replace('peer', peer_name).replace('weft', 'Weft')}", number(median["iops"]),
                         number(median["busy_ns"]), number(median["cpu_ns"]), number(median["mean_us"], 1),
                         number(median["p50_us"], 1), number(median["p99_us"], 1)))
    return _table(("load, client: target", "IOPS", "busy ns/IO", "CPU ns/IO", "mean µs", "median µs", "99 % µs"), rows)


PARTS = {"machine": _machine, "goals": _goals, "loads": _loads}
