#!/usr/bin/env python3
"""shape.py RECORDED METHOD <ANSWER - does a JSON answer have every key that was recorded for the method, with its type?

RECORDED holds a line `method path type` for each value in the answer of the field's target; [] stands for the
elements of an array. More keys than that are no harm. Prints what is missing and exits 1.
shape.py METHOD <ANSWER prints such lines.
"""
import json
import sys


def shape(value, path=""):
    if isinstance(value, dict):
        return set().union(*(shape(inner, f"{path}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(shape(inner, path + "[]") for inner in value))
    kind = "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
    return {f"{path or '.'} {kind}"}


def main():
    method = sys.argv[-1]
    found = shape(json.load(sys.stdin))
    if len(sys.argv) == 2:
        print("\n".join(f"{method} {line}" for line in sorted(found)))
        return 0
    with open(sys.argv[1], encoding="utf-8") as recorded:
        wanted = {line.split(" ", 1)[1].strip() for line in recorded if line.startswith(method + " ")}
    missing = sorted(wanted - found)
    if not wanted:
        print(f"nothing is recorded for {method}")
    for line in missing:
        print(f"{method}: the answer has no {line}")
    return 1 if missing or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
