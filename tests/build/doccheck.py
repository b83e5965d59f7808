#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: nothing
"""The documentation's checker finds what it is there to find: each page below is right or wrong, and it must say so."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'
FAILING = HELLO.replace("return 0", "return 3")


def with_before_puts(statement):
    return HELLO.replace("puts", f"{statement} puts")


def block(words, text):
    return f"```{words}\n{text}```\n"


# What the page is, the page, and what the checker must say of it (None: nothing, it is right).
PAGES = [
    ("a right program", block("c", HELLO) + block("output", "hello\n"), None),
    ("any text in a line", block("c", HELLO) + block("output", "he...\n"), None),
    ("any lines", block("c", HELLO) + block("output", "...\n"), None),
    ("wrong output", block("c", HELLO) + block("output", "goodbye\n"), "prints something else"),
    ("output that goes on", block("c", HELLO) + block("output", "hello\nagain\n"), "prints something else"),
    ("a program without output", block("c", HELLO), "no ```output block"),
    ("text between the two", block("c", HELLO) + "then\n" + block("output", "hello\n"), "no ```output block"),
    ("a wrong status", block("c", FAILING) + block("output", "hello\n"), "status 3"),
    ("the status it tells", block("c exit=3", FAILING) + block("output", "hello\n"), None),
    ("a warning", block("c", with_before_puts("int unused;")) + block("output", "hello\n"), "does not compile"),
    ("stderr", block("c prints-to=stderr", HELLO.replace('puts("hello")', 'fputs("hello", stderr)')) +
     block("output", "hello\n"), None),
    ("input", block("c input=x\\n", with_before_puts("if (getchar() == 'x' && getchar() == '\\n')")) +
     block("output", "hello\n"), None),
    ("input that is not there", block("c input=y", with_before_puts("if (getchar() == 'x')")) +
     block("output", "hello\n"), "prints something else"),
    ("two programs", block("c", HELLO) + block("output", "hello\n") + block("c exit=3", FAILING) +
     block("output", "hello\n"), None),
    ("two programs with equal names", 2 * (block("c", "int same;\n" + HELLO) + block("output", "hello\n")), None),
    ("what does not link beside what does", block("c", HELLO) + block("output", "hello\n") +
     block("c", "int gone(void);\n" + with_before_puts("gone();")) + block("output", "hello\n"),
     "page.md:8 with gcc: does not link"),
    ("a fragment", block("c fragment", "int x = 1;\n"), None),
    ("a fragment with what it is given", "<!-- given\nint f(int);\n-->\n" + block("c fragment", "f(1);\n"), None),
    ("a fragment without it", block("c fragment", "f(1);\n"), "does not compile"),
    ("what must not compile", block("c must-not-compile", "int x = nothing;\n") + block("output", "nothing\n"), None),
    ("what does compile", block("c must-not-compile", HELLO) + block("output", "x\n"), "must not"),
    ("another message", block("c must-not-compile", "int x = nothing;\n") + block("output", "elephant\n"),
     "does not say"),
    ("what needs a header that is there", block("c file needs=stdio.h", "int x = nothing;\n"), "does not compile"),
    ("what needs one that is not", block("c file needs=no/such.h", "int x = nothing;\n"), None),
    ("what needs one and is linked", block("c needs=stdio.h", HELLO) + block("output", "hello\n"), "not linked"),
    ("an unknown word", block("c sideways", HELLO), "unknown words"),
    ("an unknown option", block("c colour=red", HELLO) + block("output", "hello\n"), "unknown option"),
    ("another language", block("python", "print(1)\n"), None),
    ("a block without an end", "```c\nint x;\n", "never ends"),
    ("an endless program", block("c", with_before_puts("for (;;) getchar();")) + block("output", "...\n"),
     "still running"),
    ("a good link", "# Some Words\n[there](#some-words)\n", None),
    ("a dead heading", "# Some Words\n[there](#other-words)\n", "no heading"),
    ("a dead link", "[there](nowhere.md)\n", "leads nowhere"),
]


def verdict(page, said):
    """None, or how the checker went wrong about the page."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "page.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tools/doccheck.py"), "--cc", "gcc", "--timeout", "1",
                               f"--flags=-I{ROOT}/include", path], capture_output=True, text=True, check=False)
    if said is None:
        return None if done.returncode == 0 else f"refused: {done.stdout}{done.stderr}"
    if done.returncode == 0:
        return "accepted"
    return None if said in done.stdout else f"does not say {said!r}: {done.stdout}{done.stderr}"


def main():
    failed = 0
    for name, page, said in PAGES:
        wrong = verdict(page, said)
        if wrong:
            failed += 1
            print(f"FAIL {name}: {wrong}")
    print(f"{len(PAGES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
