#!/usr/bin/env python3
"""house_rules.py [DIRECTORY] - the rules of the house that no compiler holds.

Prints `file:line: rule: what to do` for each broken one and exits 1; a warning alone does not fail.
What the rooms may include is read from DEPENDS of weft_room() in src/*/CMakeLists.txt, which is the truth.
"""
import os
import re
import sys
from pathlib import Path

# (path prefix, what it may use, reason). The shorter this list, the better.
EXCEPTIONS = [
    ("src/base/log.cc", "<chrono>", "the log stamps its lines before there is an environment"),
    ("src/base/log.cc", "<ctime>", "the same"),
    ("src/base/log.cc", "using namespace", "std::chrono, inside one function"),
    ("src/bdev/registry", "std::function", "a device's removed and resized events; control path"),
    ("src/nvme_host/controller", "std::function", "a controller's events and its loss; control path"),
    ("src/app/cli/load/load_watch.cc", "<unistd.h>", "isatty(): progress is for terminals only"),
]

LENGTH_WARN, LENGTH_MAX = 600, 800
# Rooms through which every I/O goes. A std::function costs 553 instructions a call, a pointer and a context 70.
DATA_PATH = ("base", "env", "memory", "reactor", "net", "nvme", "nvme_host", "bdev", "bdev_modules", "nvmf/io", "nvmf/tcp")
ENV_HEADERS = {
    "thread", "chrono", "random", "ctime", "time.h", "unistd.h", "fcntl.h", "poll.h", "pthread.h", "sched.h", "netdb.h",
    "sys/socket.h", "sys/epoll.h", "sys/eventfd.h", "sys/timerfd.h", "sys/mman.h", "sys/random.h", "sys/stat.h",
    "sys/time.h", "sys/un.h", "sys/ioctl.h", "netinet/in.h", "netinet/tcp.h", "arpa/inet.h", "liburing.h"}
LOCK_HEADERS = {"mutex", "shared_mutex", "condition_variable"}
LOCK_ROOMS = ("base", "env", "memory", "reactor")

TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^()\\ ]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.[^\'\n]*|[^\'\\\n])\'', re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b")
SHELL_FUNCTION = re.compile(r"^(\w+)\(\)")
FEATURE_TABLE = "docs/nvmf/inventory.md"
FEATURE_TEST = re.compile(r"`(unit|sim|conformance|e2e|vm): ([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
ROOM = re.compile(r"weft_room\(\s*(\w+)([^)]*)\)")
KEYWORDS = ("DEPENDS", "LIBS", "FOLDERS", "TEST_DEPENDS")


def code_only(text):
    """The text with comments and literals blanked, line by line where it was."""
    return TOKENS.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


class House:
    def __init__(self, top):
        self.top = Path(top)
        self.findings = []  # (path, line, rule, text, is a warning)
        self.test_text = {}  # by folder, when somebody asks for a test

    def tell(self, path, line, rule, text, warning=False):
        if any(path.startswith(prefix) and rule_use in text for prefix, rule_use, _ in EXCEPTIONS):
            return
        self.findings.append((path, line, rule, text, warning))

    def check(self):
        self.read_rooms()
        self.check_order()
        for path in self.files():
            try:
                text = (self.top / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                self.tell(path, 1, "encoding", "make it UTF-8")
                continue
            if path.endswith(".md"):
                self.check_links(path, text)
                if path == FEATURE_TABLE:
                    self.check_features(path, text)
                continue
            self.check_text(path, text)
            if path.endswith((".h", ".cc")):
                self.check_code(path, text)
            if path.endswith(".h"):
                self.check_header(path, text)
        return sorted(self.findings)

    def files(self):
        for folder, folders, names in os.walk(self.top):
            folders[:] = sorted(name for name in folders if name not in ("build", ".git", "__pycache__", "corpus"))
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file():
                    continue
                kind = path.suffix in (".h", ".cc", ".py", ".sh", ".cmake", ".md") or name == "CMakeLists.txt"
                if kind or (path.suffix == "" and path.open("rb").read(2) == b"#!"):
                    yield path.relative_to(self.top).as_posix()

    # Rooms ----------------------------------------------------------------------------------------------------

    def read_rooms(self):
        self.depends, self.test_depends, self.place = {}, {}, {}
        for lists in sorted(self.top.glob("src/*/CMakeLists.txt")):
            folder, path = lists.parent.name, lists.relative_to(self.top).as_posix()
            found = ROOM.search(self.cmake(lists))
            self.place[folder] = path
            self.depends[folder], self.test_depends[folder] = set(), set()
            if found is None:
                continue
            if found.group(1) != folder:
                self.tell(path, 1, "room", f"name the room as its folder: weft_room({folder} …)")
            heading = None
            for word in found.group(2).split():
                if word in KEYWORDS:
                    heading = word
                elif heading == "DEPENDS":
                    self.depends[folder].add(word)
                elif heading == "TEST_DEPENDS":
                    self.test_depends[folder].add(word)
            for other in sorted((self.depends[folder] | self.test_depends[folder])):
                if not (self.top / "src" / other / "CMakeLists.txt").exists():
                    self.tell(path, 1, "room", f"DEPENDS names '{other}', which is no folder of src/")
        for room, below in self.depends.items():
            if not below:
                self.depends[room] = self.linked(room)

    @staticmethod
    def cmake(path):
        return re.sub(r"#[^\n]*", "", path.read_text(encoding="utf-8"))

    def linked(self, room):
        """For a folder of programs, without weft_room(): the rooms that they link, and what these bring along."""
        text = "".join(self.cmake(path) for path in (self.top / "src" / room).rglob("CMakeLists.txt"))
        if ROOM.search(text):
            return set()
        reached, waiting = set(), set(re.findall(r"\bweft_(\w+)", text)) & set(self.depends)
        while waiting:
            other = waiting.pop()
            reached.add(other)
            waiting |= self.depends[other] - reached
        return reached - {room}

    def check_order(self):
        done, trail = set(), []

        def visit(room):
            if room in trail:
                circle = " → ".join(trail[trail.index(room):] + [room])
                self.tell(self.place[room], 1, "layers", f"rooms form a circle, {circle}: move what both need into a lower room")
            elif room not in done:
                trail.append(room)
                for other in sorted(self.depends.get(room, ())):
                    visit(other)
                done.add(trail.pop())

        for room in sorted(self.depends):
            visit(room)

    # Files ----------------------------------------------------------------------------------------------------

    def check_text(self, path, text):
        lines = text.split("\n")
        length = text.count("\n")
        if length > LENGTH_MAX:
            self.tell(path, length, "length", f"{length} lines, {LENGTH_MAX} is the limit: split it by idea")
        elif length > LENGTH_WARN:
            self.tell(path, length, "length", f"{length} lines: split it before adding more", warning=True)
        if text and not text.endswith("\n"):
            self.tell(path, len(lines), "whitespace", "end the last line with a newline")
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                self.tell(path, number, "whitespace", "remove the blanks at the end of the line")
            if found := UNFINISHED.search(line):
                self.tell(path, number, "unfinished", f"{found.group()}: do it now, or file an issue and say here what is true today")

        if path.endswith(".sh") or text.startswith("#!/bin/bash"):
            self.check_shell(path, lines)

    def check_shell(self, path, lines):
        defined = {}
        for number, line in enumerate(lines, 1):
            if not (found := SHELL_FUNCTION.match(line)):
                continue
            first = defined.setdefault(found.group(1), number)
            if first != number:
                self.tell(path, number, "shell", f"{found.group(1)}() is defined in line {first} already, and this one "
                          "hides it: give one another name")

    def check_code(self, path, text):
        parts = path.split("/")
        room = parts[1] if parts[0] == "src" and len(parts) > 2 else None
        is_test = room is None or path.endswith(("_test.cc", "_fuzz.cc", "_bench.cc")) or parts[-1].startswith(("test_", "fake_"))
        code = code_only(text).split("\n")
        on_data_path = room is not None and any("/".join(parts[1:]).startswith(f"{name}/") for name in DATA_PATH)
        for number, (line, bare) in enumerate(zip(text.split("\n"), code), 1):
            found = INCLUDE.match(line) if bare.lstrip().startswith("#") else None
            if found:
                self.check_include(path, number, found.group(1), found.group(2), room, is_test)
            elif "shared_ptr" in bare:
                self.tell(path, number, "ownership", "shared_ptr: find who decides when it ends; unique_ptr, value or pool there")
            elif "std::function" in bare and on_data_path and not is_test:
                self.tell(path, number, "data path", "std::function: a function pointer and its context, or "
                          "std::move_only_function where no I/O passes")
            elif re.search(r"\busing\s+namespace\b", bare) and not is_test:
                self.tell(path, number, "names", "using namespace: name what is used")

    def check_include(self, path, number, kind, target, room, is_test):
        if kind == "<":
            if room is None or is_test or room == "env":
                return
            if target in ENV_HEADERS:
                self.tell(path, number, "env", f"<{target}>: only src/env/ talks to the system; use env::Environment")
            if target in LOCK_HEADERS and room not in LOCK_ROOMS:
                self.tell(path, number, "locks", f"<{target}>: no locks above reactor/; send a message to the owning thread")
        elif room is not None:
            other = target.split("/")[0]
            if "/" not in target or other not in self.depends:
                self.tell(path, number, "layers", f'"{target}": include by room, "room/file.h"')
            elif other != room and other not in self.depends.get(room, ()):
                if not (is_test and other in self.test_depends.get(room, ())):
                    self.tell(path, number, "layers", f'"{target}": {room} does not declare {other}; add it to DEPENDS in '
                              f"src/{room}/CMakeLists.txt if it lies below, else move the code")

    def check_header(self, path, text):
        if not text.startswith(("//", "/*")):
            self.tell(path, 1, "file comment", "say in the first lines what the file is for and what one must know")
        for number, line in enumerate(code_only(text).split("\n"), 1):
            if line.strip():
                if line.strip() != "#pragma once":
                    self.tell(path, number, "pragma once", "put #pragma once right after the file comment")
                return

    def check_features(self, path, text):
        """Rows are numbered without a gap; what works, or differs, names tests that are there."""
        wanted = 0
        for number, line in enumerate(text.split("\n"), 1):
            cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| ") else []
            if line.startswith("## "):
                wanted = 0
            if not cells or not cells[0].isdigit():
                continue
            wanted += 1
            answer, tests = (cells[2], cells[3]) if len(cells) == 4 else ("", "")
            if len(cells) != 4 or int(cells[0]) != wanted:
                self.tell(path, number, "features", f"row {wanted} of its table is expected, with four cells")
            elif not answer.startswith(("works", "differs", "does not apply", "missing")):
                self.tell(path, number, "features", "say works, differs, does not apply or missing")
            elif answer.startswith(("works", "differs")) and not FEATURE_TEST.search(tests):
                self.tell(path, number, "features", "name a test")
            for kind, name in FEATURE_TEST.findall(tests):
                if not self.has_test(kind, name):
                    self.tell(path, number, "features", f"there is no test {kind}: {name}")

    def has_test(self, kind, name):
        if kind == "e2e":
            return (self.top / "tests/e2e" / f"{name}.sh").exists()
        if not self.test_text:
            for folder, pattern in (("src", "*_test.cc"), ("tests/sim", "*_test.cc"), ("tests/conformance", "area*.py"),
                                    ("tests/vm/cases", "*.sh")):
                self.test_text[folder] = "".join(file.read_text() for file in sorted((self.top / folder).rglob(pattern)))
        if kind == "vm":
            return f"case_{name}()" in self.test_text["tests/vm/cases"]
        if kind == "conformance":
            # Many names are made while the cases are: then the area is what can be seen here.
            area = re.escape(name.partition("/")[0])
            return re.search(rf'["\']({re.escape(name)}\b|{area}/\{{)', self.test_text["tests/conformance"]) is not None
        suite, _, case = name.partition(".")
        where = self.test_text["tests/sim" if kind == "sim" else "src"]
        return re.search(rf"TEST(?:_F|_P)?\({suite},\s+{case}\)", where) is not None

    def check_links(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            for target in LINK.findall(line):
                if ":" not in target and not ((self.top / path).parent / target).exists():
                    self.tell(path, number, "link", f"{target} does not exist")


def main():
    top = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    findings = House(top).check()
    for path, line, rule, text, warning in findings:
        print(f"{path}:{line}: {rule}: {'warning: ' if warning else ''}{text}")
    broken = sum(not finding[4] for finding in findings)
    print(f"house rules: {broken} broken, {len(findings) - broken} warnings")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
