#!/usr/bin/env python3
"""containerfile.py TOP QUESTION [PROGRAM...] - what packaging/Containerfile says; exits 1 with what is wrong.

form             instructions, stages and copied files
folders          what the root CMakeLists.txt adds is copied
build-packages   debian/control asks for nothing that `scripts/setup --list build` does not know
libraries        the run-time packages are those that own the libraries of the programs
command, health  the words of ENTRYPOINT and CMD, and of HEALTHCHECK, a line each
"""
import json
import re
import subprocess
import sys
from pathlib import Path

KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
EVERYWHERE = {"libc6", "libgcc-s1"}  # essential, or what an essential package needs


def instructions(top):
    text = (top / "packaging" / "Containerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def fail(text):
    print(text)
    sys.exit(1)


def words_of(top, wanted):
    """The exec form's words; the shell form would put a shell between the engine and weftd's signals."""
    for word, rest in instructions(top):
        if word == wanted:
            return json.loads(rest[rest.index("["):])
    fail(f"there is no {wanted}")


def form(top):
    stages, users = [], []
    for word, rest in instructions(top):
        if word not in KNOWN:
            fail(f"unknown instruction {word}")
        if word == "FROM":
            found = re.fullmatch(r"docker\.io/library/debian:12-slim(?: AS (\w+))?", rest)
            if not found:
                fail(f"not Debian 12: {rest}")
            stages.append(found.group(1))
            users.append("root")
        elif word == "COPY":
            sources = rest.split()[:-1]
            if sources[0].startswith("--from="):
                if sources[0].removeprefix("--from=") not in stages[:-1]:
                    fail(f"no such stage: {rest}")
                continue
            for source in sources:
                if not (top / source).exists():
                    fail(f"no such file: {source}")
        elif word == "USER":
            users[-1] = rest
    if len(stages) != 2 or users[-1] in ("root", "0"):
        fail(f"stages {stages}, users {users}")
    for wanted in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        words_of(top, wanted)


def folders(top):
    copied = {source for word, rest in instructions(top) if word == "COPY" for source in rest.split()[:-1]}
    lists = (top / "CMakeLists.txt").read_text(encoding="utf-8")
    wanted = {path.split("/")[0] for path in re.findall(r"^add_subdirectory\(([^)]+)\)", lists, re.M)}
    wanted |= {path.split("/")[0] for path in re.findall(r"\$\{CMAKE_SOURCE_DIR\}/([\w./-]+)", lists)}
    packaging = "".join(path.read_text(encoding="utf-8") for path in (top / "packaging").rglob("CMakeLists.txt"))
    wanted |= {path.split("/")[0] for path in re.findall(r"\$\{CMAKE_SOURCE_DIR\}/([\w./-]+)", packaging)}
    if missing := wanted - copied:
        fail(f"not copied: {sorted(missing)}")


def build_packages(top):
    control = (top / "debian" / "control").read_text(encoding="utf-8")
    depends = re.search(r"^Build-Depends:((?:.*\n)(?: .*\n)*)", control, re.M).group(1)
    wanted = {re.split(r"[ (]", entry.strip())[0] for entry in depends.split(",")} - {"debhelper-compat"}
    listed = subprocess.run([top / "scripts" / "setup", "--list", "build"], capture_output=True, text=True, check=True).stdout
    known = set(re.search(r"wanted: (.*)", listed).group(1).split())
    if missing := wanted - known:
        fail(f"debian/control asks for {sorted(missing)}, which scripts/setup does not install")
    if not any(word == "RUN" and rest.startswith("scripts/setup build") for word, rest in instructions(top)):
        fail("the build stage does not use scripts/setup build")


def libraries(top, programs):
    runs = [rest for word, rest in instructions(top) if word == "RUN"]
    installed = re.search(r"apt-get install -y --no-install-recommends ([^&]*)&&", runs[-1])
    if not installed:
        fail("the second stage installs nothing")
    needed = set()
    for program in programs:
        dynamic = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
        direct = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for name, path in re.findall(r"(\S+) => (\S+)", linked):
            if name in direct:
                needed.add(owner(path))
    needed -= EVERYWHERE
    if needed != set(installed.group(1).split()):
        fail(f"installed: {sorted(installed.group(1).split())}, needed: {sorted(needed)}")


def owner(path):
    """The package of a library, which dpkg may know by its name before or after /lib became a link."""
    for place in (Path(path), Path("/usr" + path), Path(path).resolve()):
        found = subprocess.run(["dpkg-query", "-S", place], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    fail(f"no package owns {path}")


def main():
    top, question = Path(sys.argv[1]), sys.argv[2]
    if question == "command":
        print(*words_of(top, "ENTRYPOINT"), *words_of(top, "CMD"), sep="\n")
    elif question == "health":
        print(*words_of(top, "HEALTHCHECK"), sep="\n")
    elif question == "libraries":
        libraries(top, sys.argv[3:])
    else:
        {"form": form, "folders": folders, "build-packages": build_packages}[question](top)


if __name__ == "__main__":
    main()
