#!/usr/bin/env python3
"""trace_stages.py TRACE.json - what each command went through in a trace of Weft, one a line:

    WRITE NEW TX_H_TO_C RDY_TO_EXECUTE EXECUTING[bdev write] EXECUTED RDY_TO_COMPLETE TRANSFER_C2H COMPLETED

Holds what a viewer needs: slices of a command lie in one another and begin no earlier than what came before them,
slices of a reactor do not cut each other, every track has a name. Exits 1 and says where that is broken.
"""
import json
import sys


def broken(event, why):
    sys.exit(f"{why}: {event}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        trace = json.load(file)
    tracks, commands, last = {}, {}, {}
    for event in trace["traceEvents"]:
        kind = event["ph"]
        if kind == "M":
            tracks[event.get("tid")] = event["args"]["name"]
            continue
        if event["tid"] not in tracks:
            broken(event, "a track without a name")
        if kind == "X":
            if event["ts"] < 0 or event["dur"] < 0:
                broken(event, "a span before the beginning")
            continue
        if kind == "i":
            continue
        key = event["cat"], event["id"]
        open_slices, words = commands.setdefault(key, ([], []))
        if event["ts"] < last.get(key, 0):
            broken(event, "out of order")
        last[key] = event["ts"]
        if kind == "b":
            if event["name"].startswith("bdev") and len(open_slices) == 2:
                words[-1] += f"[{event['name']}]"
            elif len(open_slices) in (0, 1):
                words.append(event["name"])
            else:
                broken(event, "a stage within a stage")
            open_slices.append(event["name"])
        elif kind == "e":
            if not open_slices or open_slices.pop() != event["name"]:
                broken(event, "ends what is not open")
            if not open_slices and "end" in event.get("args", {}):
                words.append(event["args"]["end"])
        else:
            broken(event, "unknown")
    for (category, number), (open_slices, words) in commands.items():
        if open_slices:
            broken(number, f"{open_slices} never end")
        if category == "nvmf":
            print(" ".join(words))


main()
