#!/usr/bin/env python3
"""Tests house_rules.py: each rule fires on a small tree that breaks it, and on nothing else."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import house_rules

HEADER = "// What it is for.\n#pragma once\n"
UNFINISHED = "TO" + "DO"


class HouseRules(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("src/base/CMakeLists.txt", "weft_room(base)\n")
        self.write("src/env/CMakeLists.txt", "weft_room(env DEPENDS base LIBS PkgConfig::URING)\n")
        self.write("src/nvmf/CMakeLists.txt", "weft_room(nvmf FOLDERS tcp\n  DEPENDS base env  # below\n  TEST_DEPENDS extra)\n")
        self.write("src/extra/CMakeLists.txt", "weft_room(extra DEPENDS base)\n")
        self.write("src/base/log.h", HEADER)

    def write(self, path, text):
        file = Path(self.folder.name, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def findings(self):
        return [finding[:3] for finding in house_rules.House(self.folder.name).check()]

    def expect(self, path, text, *findings):
        """`findings`: pairs of line and rule that `text`, as the file `path`, breaks."""
        self.write(path, text)
        self.assertEqual(self.findings(), [(path, line, rule) for line, rule in findings])

    def test_a_clean_tree_has_no_findings(self):
        self.expect("src/env/a.h", HEADER + '#include <vector>\n#include "base/log.h"\n#include "env/a.h"\n')

    def test_an_include_upwards_is_refused(self):
        self.expect("src/base/a.cc", '#include "env/clock.h"\n', (1, "layers"))

    def test_an_include_of_an_undeclared_room_is_refused(self):
        self.expect("src/nvmf/tcp/a.cc", '#include "base/log.h"\n#include "extra/a.h"\n', (2, "layers"))

    def test_test_depends_are_for_tests_only(self):
        self.expect("src/nvmf/a_test.cc", '#include "extra/a.h"\n')
        self.expect("src/extra/a_test.cc", '#include "env/a.h"\n', (1, "layers"))

    def test_an_include_without_its_room_is_refused(self):
        self.expect("src/base/a.cc", '#include "log.h"\n', (1, "layers"))

    def test_an_include_in_a_comment_counts_for_nothing(self):
        self.expect("src/base/a.cc", '// #include "env/clock.h"\n/*\n#include <thread>\n*/\n')

    def test_a_circle_of_rooms_is_refused(self):
        self.write("src/base/CMakeLists.txt", "weft_room(base DEPENDS nvmf)\n")
        self.assertEqual({finding[2] for finding in self.findings()}, {"layers"})

    def test_an_unknown_room_is_refused(self):
        self.expect("src/env/CMakeLists.txt", "weft_room(env DEPENDS base bass)\n", (1, "room"))

    def test_programs_declare_by_what_they_link(self):
        self.write("src/app/CMakeLists.txt", "add_subdirectory(cli)\n")
        self.write("src/app/cli/CMakeLists.txt", "add_library(weft_cli)\ntarget_link_libraries(weft_cli weft_env)  # weft_nvmf\n")
        self.expect("src/app/cli/a.cc", '#include "base/log.h"\n#include "env/a.h"\n#include "nvmf/a.h"\n', (3, "layers"))

    def test_helpers_of_tests_are_tests(self):
        self.expect("src/nvmf/test_rig.h", HEADER + '#include <thread>\n#include "extra/a.h"\n')

    def test_system_headers_stay_in_env(self):
        text = "#include <thread>\n#include <sys/socket.h>\n"
        self.expect("src/env/linux/a.cc", text)
        self.expect("src/nvmf/a_test.cc", text)
        self.expect("tests/sim/a.cc", text)
        self.expect("src/nvmf/a.cc", text, (1, "env"), (2, "env"))

    def test_exceptions_hold_for_their_file_only(self):
        text = "#include <chrono>\n    using namespace std::chrono;\n"
        self.expect("src/base/log.cc", text)
        self.expect("src/base/hex.cc", text, (1, "env"), (2, "names"))

    def test_locks_stay_low(self):
        self.expect("src/base/a.h", HEADER + "#include <mutex>\n")
        self.expect("src/nvmf/a.h", HEADER + "#include <mutex>\n", (3, "locks"))

    def test_shared_ptr_is_refused_everywhere(self):
        self.expect("tests/sim/a.cc", "std::shared_ptr<int> a;\n", (1, "ownership"))

    def test_std_function_is_refused_where_io_passes(self):
        text = 'const char* word = "std::function";  // std::function\nstd::function<void()> a;\n'
        self.expect("src/nvmf/a.cc", text)
        self.expect("src/nvmf/tcp/a_test.cc", text)
        self.expect("src/nvmf/tcp/a.cc", text, (2, "data path"))

    def test_length(self):
        self.expect("src/base/a.cc", "int a;\n" * 600)
        self.expect("src/base/a.cc", "int a;\n" * 801, (801, "length"))
        self.write("src/base/a.cc", "int a;\n" * 601)
        self.assertEqual([finding[4] for finding in house_rules.House(self.folder.name).check()], [True])

    def test_unfinished_work_is_refused_in_comments_too(self):
        self.expect("scripts/a.sh", f"mktemp XXXXXX\n# {UNFINISHED} more\n", (2, "unfinished"))

    def test_whitespace(self):
        self.expect("src/base/a.cc", "int a; \nint b;\t\nint c;", (1, "whitespace"), (2, "whitespace"), (3, "whitespace"))

    def test_pragma_once_comes_right_after_the_file_comment(self):
        self.expect("src/base/a.h", "// What.\n\n/* More. */\n#pragma once\n")
        self.expect("src/base/a.h", "// What.\n#include <vector>\n#pragma once\n", (2, "pragma once"))

    def test_a_shell_function_is_not_hidden_by_another(self):
        self.expect("tests/a.sh", "one() { :; }\ntwo() {\n    one\n}\n")
        self.expect("tests/a.sh", "one() { :; }\ntwo() { :; }\none() { :; }\n", (3, "shell"))

    def test_a_header_says_what_it_is_for(self):
        self.expect("src/base/a.h", "#pragma once\n// What.\n", (1, "file comment"))

    def test_links_of_documents_lead_somewhere(self):
        self.write("docs/there.md", "")
        self.expect("docs/a.md", "[a](there.md#part) [b](https://example.org/x) [c](gone.md)\n", (1, "link"))

    def test_the_build_folder_is_not_looked_at(self):
        self.expect("build/release/a.cc", "int a; \n")


if __name__ == "__main__":
    unittest.main()
