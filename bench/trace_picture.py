#!/usr/bin/env python3
"""trace_picture.py TRACE.json [COMMANDS] >PICTURE.svg - a moment of a trace as Perfetto shows it, for documents.

The moment is that of so many commands in a row (12) which begin and end in the trace, from its middle. Above them what
the reactor did: its turns, and its calls of the sockets. Made by `weft trace record -o TRACE.json` under load.
"""
import json
import sys
from xml.sax.saxutils import escape

from svg import STYLE

WIDTH, LEFT, ROW, HEAD = 960, 150, 22, 64
COLOURS = {"NEW": "f0", "TX_H_TO_C": "f0", "AWAIT_R2T_ACK": "f0", "EXECUTING": "f1", "TRANSFER_C2H": "f2",
           "REACTOR_TURN": "quiet", "REACTOR_SLEEP": "pale", "SOCK_RECV": "f0", "SOCK_SEND": "f2"}
LEGEND = (("f0", "from the host"), ("f1", "executing"), ("f3", "the device"), ("f2", "to the host"), ("quiet", "other"))


def slices_of(trace):
    """Commands as (name, track, [(depth, name, begin, end)]), and spans as (track, name, begin, end)."""
    commands, spans, open_slices = [], [], {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            spans.append((event["tid"], event["name"], event["ts"], event["ts"] + event["dur"]))
        if event["ph"] not in "be" or event["cat"] != "nvmf":
            continue
        stack, done = open_slices.setdefault(event["id"], ([], []))
        if event["ph"] == "b":
            stack.append((event["name"], event["ts"]))
            continue
        name, begin = stack.pop()
        done.append((len(stack), name, begin, event["ts"]))
        if not stack:
            whole = event.get("args", {}).get("end") == "COMPLETED" and name in ("READ", "WRITE")
            if whole:
                commands.append((name, event["tid"], sorted(done)))
            del open_slices[event["id"]]
    return commands, spans


def draw(commands, spans):
    track = commands[0][1]
    begin = min(command[2][0][2] for command in commands)
    end = max(command[2][0][3] for command in commands)
    margin = (end - begin) * 0.03
    begin, end = begin - margin, end + margin
    scale = (WIDTH - LEFT - 20) / (end - begin)
    rows = [("turns", [(0, name, a, b) for tid, name, a, b in spans if tid == track and name.startswith("REACTOR")]),
            ("socket calls", [(0, name, a, b) for tid, name, a, b in spans if tid == track and name.startswith("SOCK")])]
    rows += [(name.lower(), [piece for piece in pieces if piece[0] > 0]) for name, _, pieces in commands]
    height = HEAD + ROW * len(rows) + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           'role="img" aria-label="Commands on one reactor, stage by stage">',
           f"<style>{STYLE}.quiet{{fill:#8c959f;opacity:.55}}.pale{{fill:#8c959f;opacity:.15}}</style>",
           f'<rect class="paper" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
           f'<text class="title" x="20" y="30">{len(commands)} commands on one reactor, stage by stage</text>']
    for number, (kind, name) in enumerate(LEGEND):
        out.append(f'<rect class="{kind}" x="{LEFT + number * 130}" y="42" width="12" height="12"/>'
                   f'<text class="soft" x="{LEFT + number * 130 + 18}" y="52">{name}</text>')
    for number, (label, pieces) in enumerate(rows):
        y = HEAD + number * ROW
        out.append(f'<text class="soft" x="{LEFT - 12}" y="{y + 15}" text-anchor="end">{escape(label)}</text>')
        for depth, name, a, b in pieces:
            a, b = max(a, begin), min(b, end)
            if b < a:
                continue
            kind = "f3" if name.startswith("bdev") else COLOURS.get(name, "quiet")
            inset = 2 + 4 * max(depth - 1, 0)
            out.append(f'<rect class="{kind}" x="{LEFT + (a - begin) * scale:.2f}" y="{y + inset}" '
                       f'width="{max((b - a) * scale, 0.6):.2f}" height="{ROW - 2 * inset}">'
                       f"<title>{escape(name)} {b - a:.2f} µs</title></rect>")
    bottom = HEAD + ROW * len(rows) + 8
    step = next(size for size in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000) if (end - begin) / size < 12)
    mark = 0
    while mark * step < end - begin:
        x = LEFT + mark * step * scale
        out.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
                   f'<text class="soft value" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{mark * step:g} µs</text>')
        mark += 1
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        commands, spans = slices_of(json.load(file))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    if len(commands) < count:
        sys.exit(f"there are {len(commands)} whole commands only")
    commands.sort(key=lambda command: command[2][0][2])
    middle = (len(commands) - count) // 2
    sys.stdout.write(draw(commands[middle:middle + count], spans))


main()
