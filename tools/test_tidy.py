#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests of tidy.py: each rule sees what it forbids, and nothing in a tree that keeps the rules."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

SPDX = "/* SPDX-License-Identifier: MIT */\n"
GOOD = {
    "src/base/list.h": SPDX + "/* list.h: a list. Owns nothing. */\n",
    "src/loop/loop.h": SPDX + '/* loop.h: turns. Owns time. */\n#include "base/list.h"\nint cr_turn(int a);\n',
    "src/loop/loop.c": SPDX + '/* loop.c: turns. Owns time. */\n#include "loop/loop.h"\nint cr_turn(int a)\n{\n'
                              "    return a;\n}\n",
    "docs/tour.md": "| file | has |\n|---|---|\n| `loop/loop.c` | `cr_t*`: the turn |\n",
    "docs/glossary.md": "| word | is | not |\n|---|---|---|\n| counts | numbers | `tally` |\n",
    ".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 4\nBreakBeforeBraces: Linux\n"
                     "AllowShortFunctionsOnASingleLine: None\n",
    "src/loop/meson.build": "# SPDX-License-Identifier: MIT\nlayer_sources = ['loop.c']\n",
    "lib/web/call.c": SPDX + "/* call.c: calls. Owns them. */\n#include \"web/call.h\"\n#include <crank/loop.h>\n"
                             "int cr_web_call(int a)\n{\n    return a;\n}\n",
    "lib/web/call.h": SPDX + "/* call.h: calls. */\nint cr_web_call(int a);\n",
    "lib/web/meson.build": "# SPDX-License-Identifier: MIT\nweb_sources = files('call.c')\n",
    "include/crank/loop.h": SPDX + "/* Wait. Fails with -ECANCELED. */\nCRANK_API CRANK_BLOCKS int crank_wait(void);\n",
}
LOOP = GOOD["src/loop/loop.c"]
CALL = GOOD["lib/web/call.c"]
# rule: what to put where (path: text), and a part of the complaint
BAD = [
    ("function_sizes", "src/loop/loop.c", LOOP + "void cr_long(void)\n{\n" + "    cr_turn(1);\n" * 70 + "}\n",
     "cr_long has 73 lines"),
    ("parameters", "src/loop/loop.c", LOOP + "void cr_many(int a, int b, int c, int d, int e, int (*f)(int, int))\n{\n"
     "}\n", "cr_many takes 6 parameters"),
    ("file_sizes", "src/loop/loop.c", LOOP + "\n" * 600, "at most 600"),
    ("columns", "src/loop/loop.c", LOOP + "/* " + "x" * 100 + " */\n", "106 columns, at most 100"),
    ("columns", "include/crank/loop.h", GOOD["include/crank/loop.h"] + "/*" + "x" * 120 + "*/\n", "at most 120"),
    ("whitespace", "src/loop/loop.c", LOOP + "\tint x;\n", "a tab"),
    ("whitespace", "src/loop/loop.c", LOOP + "int x; \n", "a blank at the end"),
    ("whitespace", "src/loop/loop.c", LOOP + "int x;", "no newline"),
    ("licences", "src/loop/loop.c", LOOP.replace(SPDX, ""), "no SPDX"),
    ("head_comments", "src/loop/loop.c", LOOP.replace("loop.c: ", ""), "does not open by its name"),
    ("layers", "src/base/list.h", GOOD["src/base/list.h"] + '#include "loop/loop.h"\n', "of a higher layer"),
    ("layers", "src/loop/loop.c", LOOP + "#include <crank/scope.h>\n", "<crank/scope.h> of a higher layer"),
    ("layers", "src/loop/loop.c", LOOP + "#include <crank.h>\n", "all of crank.h"),
    ("layers", "src/loop/loop.c", LOOP + '#include "loop.h"\n', "not named by its folder"),
    ("libraries", "lib/web/call.c", CALL + '#include "loop/loop.h"\n', 'includes "loop/loop.h"'),
    ("libraries", "lib/web/call.c", CALL + "#include <crank.h>\n", "all of crank.h"),
    ("libraries", "lib/web/call.c", CALL + "int cr_web_x(void)\n{\n    return close(3);\n}\n", "calls close directly"),
    ("libraries", "lib/web/call.c", CALL + "int cr_web_other(void)\n{\n    return 1;\n}\n", "cr_web_other is neither"),
    ("listed", "lib/web/far/more.c", CALL.replace("call.c", "more.c"), "is not in lib/web/meson.build"),
    ("listed", "lib/web/more.c", CALL.replace("call.c", "more.c"), "is not in lib/web/meson.build"),
    ("cycles", "src/base/list.h", GOOD["src/base/list.h"] + '#include "loop/loop.h"\n', "includes itself"),
    ("names", "src/loop/loop.c", LOOP + "int turn(void)\n{\n    return 1;\n}\n", "turn is visible"),
    ("documentation", "include/crank/loop.h", GOOD["include/crank/loop.h"] + "\nCRANK_API int crank_more(void);\n",
     "crank_more has no comment"),
    ("documentation", "include/crank/loop.h",
     GOOD["include/crank/loop.h"].replace("Fails with -ECANCELED. ", ""), "crank_wait does not say how it fails"),
    ("words", "src/loop/loop.c", LOOP + "/* TO" + "DO: more */\n", "TO" + "DO"),
    ("words", "src/loop/loop.c", LOOP + "/* see /wo" + "rk/x */\n", "/wo" + "rk/"),
    ("os_calls", "src/loop/loop.c", LOOP + "void cr_x(void)\n{\n    close(3);\n}\n", "calls close directly"),
    ("banned_calls", "src/loop/loop.c", LOOP + "void cr_x(char *a)\n{\n    strcpy(a, a);\n}\n", "calls strcpy"),
    ("switches", "src/loop/loop.c".replace("loop.c", "time.c"), LOOP.replace("loop.c", "time.c").replace(
        "return a;", "return (int)cr_fiber_park(0, 0, 0);"), "names cr_fiber_park"),
    ("listed", "src/loop/more.c", LOOP.replace("loop.c", "more.c"), "is not in src/loop/meson.build"),
    ("listed", "src/loop/more.h", SPDX + "/* more.h: more. */\n", "nobody includes it"),
    ("layout", "src/loop/loop.c", LOOP + "int cr_x( int a );\n", "not laid out"),
    ("declared", "src/loop/loop.c", LOOP + "int cr_sleeping(void)\n{\n    return 1;\n}\n",
     "cr_sleeping is defined in loop and declared nowhere"),
    ("hooks", "src/loop/loop.h",
     GOOD["src/loop/loop.h"] + "struct crank_loop {\n    int n;\n    void (*ends)(int n);\n};\n",
     "the hook crank_loop.ends is not in HOOKS"),
    ("hooks", "src/loop/loop.h", GOOD["src/loop/loop.h"] + "extern int (*cr_asked)(int n);\n",
     "the hook cr_asked is not in HOOKS"),
    ("homes", "src/loop/loop.c", LOOP.replace("cr_turn", "cr_sleeping"), "cr_sleeping does not stand in the file"),
    ("homes", "src/loop/turn_more.c", LOOP.replace("cr_turn", "cr_loop_more"), "cr_loop_more does not stand"),
    ("homes", "docs/tour.md", "| file | has |\n|---|---|\n| `loop/loop.c` | `cr_turn`, `cr_gone_*` |\n",
     "cr_gone_* is no function of loop/loop.c"),
    ("glossary", "src/loop/loop.c", LOOP + "int cr_tally;\nint tally;\n", "tally: the word is counts"),
    ("comment_share", "src/loop/loop.c", LOOP + "int cr_x;\n" * 600, "of the lines are comments"),
]
# The same where it takes several files.
def several(n, text):
    """n files of loop, each with its own number in the text in place of N, and of the next in place of M."""
    return {f"src/loop/f{i}.c": SPDX + f"/* f{i}.c: more. */\n" + text.replace("N", str(i)).replace(
        "M", str((i + 1) % n)) for i in range(n)}


BAD_TREES = [
    ("circles", several(4, "int cr_fN(int a)\n{\n    return cr_fM(a);\n}\n"),
     "4 files call each other: loop/f0, loop/f1"),
    ("broad_headers", several(6, '#include "loop/loop.h"\n'), "6 of 7 files of its folder include it"),
    ("declared", {"src/base/more.h": SPDX + "/* more.h: more. */\nint cr_sleeping(void);\n",
                  "src/loop/more.c": SPDX + "/* more.c: more. */\nint cr_sleeping(void)\n{\n    return 1;\n}\n"},
     "cr_sleeping is defined in loop and declared in base"),
]
GOOD_TREES = [
    ("circles", several(3, "int cr_fN(int a)\n{\n    return cr_fM(a);\n}\n")),
    ("broad_headers", several(3, '#include "loop/loop.h"\n')),
]
# What looks like a breach and is none.
HARMLESS = [
    ("os_calls", 'void cr_x(S *s)\n{\n    s->close(3);\n    say("close(3)"); /* close(3) */\n    cr_close(3);\n}\n'),
    ("os_calls", "static void free(void *memory)\n{\n}\n"),
    ("parameters", "int crank_send_(int a, int b, int c, int d, int e, int f)\n{\n    return a;\n}\n"),
    ("parameters", "int cr_print(int a, int b, int c, int d, int e, ...)\n{\n    return a;\n}\n"),
    ("names", "static int turn(void)\n{\n    return 1;\n}\n"),
    ("words", "/* a methodology of XXXL size */\n"),
]


def complaints(files, rule):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return tidy.run(root, [getattr(tidy, rule)])[0]


def paths_without_git(paths):
    """What of these is looked at in a tree that has no git, on a system that has none either."""
    with tempfile.TemporaryDirectory() as root:
        for path in paths:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            open(os.path.join(root, path), "w", encoding="utf-8").close()
        before, os.environ["PATH"] = os.environ["PATH"], root
        try:
            return tidy.Tree(root).all_files()
        finally:
            os.environ["PATH"] = before


def main():
    passed, failed = 0, 0

    def expect(what, holds, seen):
        nonlocal passed, failed
        passed, failed = passed + holds, failed + (not holds)
        if not holds:
            print(f"FAIL {what}: {seen}")

    for rule in tidy.RULES:
        seen = complaints(GOOD, rule.__name__)
        if rule.__name__ == "listed":
            seen = [c for c in seen if "list.h" not in c]
        expect(f"{rule.__name__} is content with a good tree", not seen, seen)
        expect(f"{rule.__name__} is tested", any(bad[0] == rule.__name__ for bad in BAD + BAD_TREES), "no case")
    for rule, path, text, part in BAD:
        seen = complaints({**GOOD, path: text}, rule)
        expect(f"{rule} sees {part}", any(part in c and c.startswith(path.split("/")[0]) for c in seen), seen)
    for rule, files, part in BAD_TREES:
        seen = complaints({**GOOD, **files}, rule)
        expect(f"{rule} sees {part}", any(part in c for c in seen), seen)
    for rule, files in GOOD_TREES:
        seen = complaints({**GOOD, **files}, rule)
        expect(f"{rule} takes {len(files)} files as harmless", not seen, seen)
    for rule, text in HARMLESS:
        seen = complaints({**GOOD, "src/loop/loop.c": LOOP + text}, rule)
        expect(f"{rule} takes {text.strip()[:40]!r} as harmless", not seen, seen)
    ours = ["README.md", "src/base/build.c", "tools/tidy.py"]
    seen = paths_without_git(ours + ["build/x.c", "build-bench/y.c", ".git/config", "tools/__pycache__/tidy.pyc"])
    expect("without git all files but git's, Python's and those of builds are there", seen == ours, seen)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
