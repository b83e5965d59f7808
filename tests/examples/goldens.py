#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every example and compare what it prints: goldens.py BUILD [ID]...

The goldens and the rules for them are in examples/tutorials/golden (see its README) and examples/look/golden. Every
program is run under the simulator, the short ones for real too: there a time may be longer than the golden's, never
shorter. The last line is "N passed, N failed, N skipped".
"""
import concurrent.futures
import functools
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TIMEOUT = 60
# Whatever takes about a second or less for real, and prints the same there but for its times.
SHORT = {"e01", "e02", "e03", "e04", "e05", "e06", "e11", "e13", "e16", "e18", "e19", "e20", "e21", "e22", "e23", "e24",
         "e25", "e26", "e27", "e35", "n01", "n03", "x01", "x02", "x03", "x07", "x08",
         "look_01", "look_04", "look_05", "look_06", "look_07", "look_11"}
# Other programs are started, which the simulator does not: for real only.
REAL = {"look_14"}
# They read certificates in the folder where they are started.
WITH_CERTIFICATES = ("look_18",)
# Servers that run until they are asked to end: tests/build/servers.py and web_servers.py are their clients.
SERVERS = {"look_13", "look_16", "look_17"}
SECONDS = re.compile(r"[0-9]+\.[0-9]{2} seconds")


def ident_of(golden):
    """The id of a golden's program: e11 in tutorials, look_01 in look, chat in servers."""
    ident = os.path.basename(golden).split(".")[0].split("-")[0]
    return "look_" + ident if os.sep + "look" + os.sep in golden else ident


def program_of(build, ident):
    """The program of an id: e11 is e11_countasync, chat is chat."""
    found = [p for p in glob.glob(os.path.join(build, "examples", ident + "_*")) +
             glob.glob(os.path.join(build, "examples", ident)) if os.access(p, os.X_OK) and os.path.isfile(p)]
    return found[0] if len(found) == 1 else None


def read(path, otherwise=""):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return otherwise


def only_later(line, want):
    """Whether two lines differ only in their times, and those are the golden's or later, by two seconds at most."""
    here, there = SECONDS.findall(line), SECONDS.findall(want)
    if SECONDS.sub("", line) != SECONDS.sub("", want) or len(here) != len(there):
        return False
    return all(-0.01 <= float(h.split()[0]) - float(t.split()[0]) <= 2 for h, t in zip(here, there))


def matches(printed, expected, is_regex, for_real):
    """None, or what is different first."""
    lines, wanted = printed.split("\n"), expected.split("\n")
    for number, (line, want) in enumerate(zip(lines, wanted), 1):
        same = re.fullmatch(want, line) if is_regex else line == want
        if not same and not (for_real and only_later(line, want)):
            return f"line {number} is    {line!r}\n    expected {want!r}"
    if len(lines) != len(wanted):
        return f"{len(lines) - 1} lines, expected {len(wanted) - 1}"
    return None


@functools.cache
def certificates():
    """A folder with the files that look/18 names, made when they are first asked for; removed at the end."""
    folder = tempfile.TemporaryDirectory()
    subprocess.run([os.path.join(ROOT, "examples", "certificates.sh"), folder.name], check=True, timeout=TIMEOUT,
                   stdout=subprocess.DEVNULL)
    return folder


def run(program, arguments, backend="sim"):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CRANK_")}
    environment.update(CRANK_BACKEND=backend, LC_ALL="C.UTF-8")
    wrap = os.environ.get("TEST_WRAP", "").split()
    folder = certificates().name if os.path.basename(program).startswith(WITH_CERTIFICATES) else None
    return subprocess.run(wrap + [os.path.abspath(program)] + arguments, capture_output=True, timeout=TIMEOUT,
                          env=environment, stdin=subprocess.DEVNULL, check=False, cwd=folder)


def compare(build, golden, backend):
    """None, or why the program does not print what the golden says."""
    beside, ending = os.path.splitext(golden)
    program = program_of(build, ident_of(golden))
    if not program:
        return "its program was not built"
    status = int(read(beside + ".status", "0"))
    try:
        done = run(program, read(beside + ".args").split(), backend)
    except subprocess.TimeoutExpired:
        return f"takes longer than {TIMEOUT} s"
    why = matches(done.stdout.decode(errors="replace"), read(golden), ending == ".regex", backend != "sim")
    if not why and done.returncode != status:
        why = f"left with status {done.returncode}, expected {status}"
    said = done.stderr.decode(errors="replace")
    for part in read(beside + ".stderr").splitlines():
        if part not in said:
            why = why or f"does not say {part!r} on stderr"
    if why and done.stderr:
        why += "\n    stderr: " + said.strip().replace("\n", "\n            ")[:2000]
    return why


def cases(build):
    """(name, function): the goldens, and what has none."""
    goldens = glob.glob(os.path.join(ROOT, "examples", "*", "golden", "*"))
    goldens = sorted(os.path.normpath(g) for g in goldens if g.endswith((".txt", ".regex")))
    for golden in goldens:
        name = ident_of(golden) + " (" + os.path.basename(golden) + ")"
        if ident_of(golden) not in REAL:
            yield name, lambda g=golden: compare(build, g, "sim")
        if ident_of(golden) in SHORT | REAL:
            yield name + " for real", lambda g=golden: compare(build, g, "epoll")
    known = {ident_of(golden) for golden in goldens}
    for program in sorted(glob.glob(os.path.join(build, "examples", "*_*"))):
        name = os.path.basename(program)
        ident = re.match("(look_)?[^_]*", name)[0]
        if os.path.isfile(program) and os.access(program, os.X_OK) and ident not in known | SERVERS:
            yield name, lambda n=name: f"{n} has no golden"


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
