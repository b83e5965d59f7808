#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every example under the simulator and compare what it prints: goldens.py BUILD [ID]...

The goldens and the rules for them are in examples/tutorials/golden (see its README). A program without one is run
all the same and must succeed. The last line is "N passed, N failed, N skipped".
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
GOLDEN = os.path.join(ROOT, "examples", "tutorials", "golden")
TIMEOUT = 60


def program_of(build, ident):
    """The program of an id: e11 is e11_countasync."""
    found = [p for p in glob.glob(os.path.join(build, "examples", ident + "_*")) if os.access(p, os.X_OK)
             and os.path.isfile(p)]
    return found[0] if len(found) == 1 else None


def read(path, otherwise=""):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return otherwise


def matches(printed, expected, is_regex):
    """None, or what is different first."""
    lines, wanted = printed.split("\n"), expected.split("\n")
    for number, (line, want) in enumerate(zip(lines, wanted), 1):
        same = re.fullmatch(want, line) if is_regex else line == want
        if not same:
            return f"line {number} is    {line!r}\n    expected {want!r}"
    if len(lines) != len(wanted):
        return f"{len(lines) - 1} lines, expected {len(wanted) - 1}"
    return None


def run(program, arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CRANK_")}
    environment.update(CRANK_BACKEND="sim", LC_ALL="C.UTF-8")
    wrap = os.environ.get("TEST_WRAP", "").split()
    return subprocess.run(wrap + [program] + arguments, capture_output=True, timeout=TIMEOUT, env=environment,
                          stdin=subprocess.DEVNULL, check=False)


def compare(build, golden):
    """None, or why the program does not print what the golden says."""
    name, ending = os.path.splitext(os.path.basename(golden))
    program = program_of(build, name.split("-")[0])
    if not program:
        return "its program was not built"
    beside = os.path.join(GOLDEN, name)
    status = int(read(beside + ".status", "0"))
    try:
        done = run(program, read(beside + ".args").split())
    except subprocess.TimeoutExpired:
        return f"takes longer than {TIMEOUT} s"
    why = matches(done.stdout.decode(errors="replace"), read(golden), ending == ".regex")
    if not why and done.returncode != status:
        why = f"left with status {done.returncode}, expected {status}"
    if why and done.stderr:
        why += "\n    stderr: " + done.stderr.decode(errors="replace").strip().replace("\n", "\n            ")[:2000]
    return why


def succeeds(program):
    try:
        done = run(program, [])
    except subprocess.TimeoutExpired:
        return f"takes longer than {TIMEOUT} s"
    if done.returncode == 0:
        return None
    return f"left with status {done.returncode}: {done.stderr.decode(errors='replace')[:2000]}"


def fails_with_trace(program):
    """look/11 ends with an error that nobody handles: crank_run prints the places it came through and gives 1."""
    done = run(program, [])
    said = done.stderr.decode(errors="replace")
    for part in ("ENOENT", "fetch_price", "portfolio", "app", "11_errors.c:"):
        if part not in said:
            return f"does not name {part} on stderr: {said}"
    return None if done.returncode == 1 else f"left with status {done.returncode}, expected 1"


def cases(build):
    """(name, function, argument): the goldens, then the look programs."""
    for golden in sorted(glob.glob(os.path.join(GOLDEN, "*.txt")) + glob.glob(os.path.join(GOLDEN, "*.regex"))):
        yield os.path.basename(golden), lambda g=golden: compare(build, g)
    for source in sorted(glob.glob(os.path.join(ROOT, "examples", "look", "*.c"))):
        name = "look_" + os.path.basename(source)[:-2]
        program = os.path.join(build, "examples", name)
        judge = fails_with_trace if name.startswith("look_11") else succeeds
        if os.path.exists(program):
            yield name, lambda p=program, j=judge: j(p)


def main():
    if len(sys.argv) < 2:
        print("goldens.py BUILD [ID]...", file=sys.stderr)
        return 2
    build, chosen = sys.argv[1], sys.argv[2:]
    todo = [(n, f) for n, f in cases(build) if not chosen or any(n.startswith(c) for c in chosen)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (name, _), why in zip(todo, pool.map(lambda case: case[1](), todo)):
            if why:
                failed += 1
                print(f"FAIL examples: {name}: {why}")
    print(f"{len(todo) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
