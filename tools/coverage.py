#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much of src/base to src/sync the tests run: a table by file, and a failure under the thresholds.

coverage.py BUILD [options]
  BUILD            a folder configured with -Db_coverage=true -Doptimization=0 -Dc_args=-DCR_INLINE=inline
  --run            run the test programs first, each with counts of its own, under BUILD/coverage
  --programs A,B   only these programs (names as in BUILD/tests)
  --long           slow tests too
  --asleep         and each program once more, on sim, with the stack of every parked task put away at once
  --lines N        least share of lines, in percent (98)
  --branches N     least share of branches (90)
  --list           show the lines and branches that no test reaches
  -j N             cores: so many programs and one more at a time, each with so many tests (2)

The counts are gcov's own (gcov --json-format). A line of a header counts once, reached if any of the files that include
it reached it there; so does a branch. Not counted are, with the reason beside them in the source:

- a line with the comment "unreached: why", and the block that such a line opens;
- the side of a CR_ASSERT or CR_ASSUME, and of a CR_CHECK that says "internal:", which would abort, or is undefined:
  that it is not reached is the invariant itself.

Assembly is not counted: gcov knows compiled code only. mutate.py uses what --run leaves under BUILD/coverage.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import re
import subprocess
import sys
import time

# Not world: the simulator's network is compared with the kernel's, call by call (tests/unit/world_*.c).
LAYERS = ("base", "context", "backend", "loop", "error", "task", "scope", "group", "generator", "sync", "run")
EXCUSED = re.compile(r"/\*\s*unreached:\s*\S")
INTERNAL = re.compile(r"\bCR_ASSERT\s*\(|\bCR_ASSUME\s*\(|\bCR_CHECK\s*\(")


def test_programs(build):
    """The test programs of a build folder, those of a kind together."""
    folder = os.path.join(build, "tests")
    kinds = ("unit_", "behaviour_", "real_", "fault_", "explore_", "capture_", "fuzz_")
    return sorted(name for name in os.listdir(folder)
                  if name.startswith(kinds) and os.path.isfile(os.path.join(folder, name)))


def object_folder(build):
    """Where the library's objects lie, with the notes that gcov needs beside them."""
    for folder in sorted(os.listdir(build)):
        path = os.path.join(build, folder)
        if folder.startswith("libcrank") and os.path.isdir(path) and \
                any(name.endswith(".gcno") for name in os.listdir(path)):
            return path
    sys.exit(f"{build}: no notes of gcov; configure with -Db_coverage=true and build")


def run_program(build, program, options):
    """Run one program, and with --asleep once more, into a folder of its own. Gives its last line, and how long the
    first took."""
    folder = os.path.join(build, "coverage", program)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".gcda"):
            os.unlink(os.path.join(folder, name))
    environment = dict(os.environ, GCOV_PREFIX=os.path.abspath(folder), GCOV_PREFIX_STRIP="99")
    command = [os.path.join(build, "tests", program)]
    begun = time.monotonic()
    if program.startswith("fuzz_"):
        corpus = os.path.join(options.root, "tests/fuzz/corpus", program[len("fuzz_"):])
        return run_counted(command + [corpus], environment), time.monotonic() - begun
    command += ["-j", str(options.jobs), "--timeout", "60"]
    command += ["--long"] if options.long else []
    last = run_counted(command, environment)
    seconds = time.monotonic() - begun
    if not options.asleep:
        return last, seconds
    asleep = run_counted(command + ["--backend", "sim"], dict(environment, CRANK_HIBERNATE_AFTER="1e-9"))
    return last if ", 0 failed" not in last else asleep, seconds


def run_counted(command, environment):
    """Run tests, show what failed, give the line with the counts."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().split("\n")
    for line in lines[:-1]:
        print(f"  {line}", flush=True)
    return lines[-1]


def gcov(objects, folder):
    """gcov's reports on the counts in a folder: one dictionary per object that has any."""
    names = [name for name in sorted(os.listdir(folder)) if name.endswith(".gcda")]
    names = [name for name in names if os.path.exists(os.path.join(objects, name[:-4] + "gcno"))]
    for name in names:
        note = os.path.join(folder, name[:-4] + "gcno")
        if not os.path.lexists(note):
            os.symlink(os.path.abspath(os.path.join(objects, name[:-4] + "gcno")), note)
    if not names:
        return []
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", *names], cwd=folder,
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]


class Counts:
    """What was reached: lines and branches by file."""

    def __init__(self, root):
        self.root = root
        self.lines = {}     # (file, line) -> count
        self.branches = {}  # (file, line, function, index) -> count
        self.paths = {}     # (folder, name as gcov has it) -> file, None where it is not counted

    def path(self, folder, name):
        key = (folder, name)
        if key not in self.paths:
            path = os.path.relpath(os.path.realpath(os.path.join(folder, name)), self.root)
            counted = path.startswith(tuple(f"src/{layer}/" for layer in LAYERS))
            self.paths[key] = path if counted else None
        return self.paths[key]

    def add_report(self, report):
        for file in report["files"]:
            path = self.path(report["current_working_directory"], file["file"])
            for line in file["lines"] if path else []:
                key = (path, line["line_number"])
                self.lines[key] = self.lines.get(key, 0) + line["count"]
                for index, branch in enumerate(line["branches"]):
                    way = key + (line.get("function_name", ""), index)
                    self.branches[way] = self.branches.get(way, 0) + branch["count"]

    def add(self, other):
        for mine, theirs in ((self.lines, other.lines), (self.branches, other.branches)):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count

    def reached(self):
        """The lines that ran, by file."""
        result = {}
        for (path, line), count in self.lines.items():
            if count:
                result.setdefault(path, []).append(line)
        return {path: sorted(lines) for path, lines in result.items()}


def count_program(program, objects, options):
    """What came of a program, and what it has reached: its last line, how long it ran (None where it was not to run),
    and the counts. In a process of its own, as reading gcov's reports takes about as long as running the tests."""
    folder = os.path.join(options.build, "coverage", program)
    run = options.run and program in options.chosen
    last, seconds = run_program(options.build, program, options) if run else (None, None)
    counts = Counts(options.root)
    for report in gcov(objects, folder) if os.path.isdir(folder) else []:
        counts.add_report(report)
    if os.path.isdir(folder):
        with open(os.path.join(folder, "reached.json"), "w", encoding="utf-8") as file:
            json.dump(counts.reached(), file)
    return last, seconds, counts


def block_end(lines, at):
    """The last line of the block that line `at` opens; `at` itself where it opens none."""
    depth, opened = 0, False
    for number in range(at, len(lines) + 1):
        for sign in re.sub(r"/\*.*?\*/|\"(?:\\.|[^\"])*\"|'(?:\\.|[^'])+'", "", lines[number - 1]):
            if sign == "{":
                depth, opened = depth + 1, True
            elif sign == "}" and opened:
                depth -= 1
                if depth == 0:
                    return number
        if not opened:
            return at
    return at


def statement_end(lines, at):
    """The line on which the statement that begins on line `at` ends."""
    for number in range(at, min(at + 12, len(lines) + 1)):
        if lines[number - 1].rstrip().endswith((";", "\\")) or re.search(r";\s*/\*.*\*/\s*$", lines[number - 1]):
            return number
    return at


def excused(path):
    """Lines that need not be reached, and lines of which one side need not be."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    whole, sides = set(), set()
    for number, text in enumerate(lines, 1):
        if EXCUSED.search(text):
            first = number + 1 if text.strip().startswith("/*") else number
            opening = first + 1 if lines[first].strip() == "{" else first  # a function's brace has a line of its own
            whole.update(range(first, block_end(lines, opening) + 1))
        if INTERNAL.search(text):
            end = statement_end(lines, number)
            if "CR_CHECK" not in text or "\"internal:" in " ".join(lines[number - 1:end]):
                sides.update(range(number, end + 1))
    return whole, sides


def judge(counts):
    """Per file: lines reached, lines, branches reached, branches, and what is missing."""
    table = {}
    excuses = {}
    for path, _ in counts.lines:
        if path not in excuses:
            excuses[path] = excused(os.path.join(counts.root, path))
            table[path] = [0, 0, 0, 0, [], []]
    for (path, line), count in sorted(counts.lines.items()):
        if line in excuses[path][0]:
            continue
        table[path][0] += count > 0
        table[path][1] += 1
        if not count:
            table[path][4].append(line)
    for (path, line, _, _), count in sorted(counts.branches.items()):
        if line in excuses[path][0] or (line in excuses[path][1] and not count):
            continue
        table[path][2] += count > 0
        table[path][3] += 1
        if not count:
            table[path][5].append(line)
    return table


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


def ranges(numbers):
    """1, 2, 3, 7 as "1-3 7"."""
    out = []
    for number in sorted(set(numbers)):
        if out and number == out[-1][1] + 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return " ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in out)


def print_table(table, root, listed):
    total = [0, 0, 0, 0]
    print(f"{'':32} {'lines':>13} {'':>7} {'branches':>11}")
    for path in sorted(table):
        row = table[path]
        total = [a + b for a, b in zip(total, row)]
        print(f"{path:32} {row[0]:5} of {row[1]:5} {share(*row[:2]):6.1f}% {row[2]:5} of {row[3]:5} "
              f"{share(*row[2:4]):6.1f}%")
        if listed and row[4]:
            print(f"    lines not reached: {ranges(row[4])}")
        if listed and row[5]:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                text = file.read().split("\n")
            for line in sorted(set(row[5]) - set(row[4])):
                print(f"    branch not reached: {line}: {text[line - 1].strip()[:100]}")
    print(f"{'all':32} {total[0]:5} of {total[1]:5} {share(*total[:2]):6.1f}% {total[2]:5} of {total[3]:5} "
          f"{share(*total[2:]):6.1f}%")
    return share(*total[:2]), share(*total[2:])


def parse():
    parser = argparse.ArgumentParser(add_help=True, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--programs", default="")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--asleep", action="store_true")
    parser.add_argument("--lines", type=float, default=98)
    parser.add_argument("--branches", type=float, default=90)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    return parser.parse_args()


def main():
    options = parse()
    options.root = root = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    objects = object_folder(options.build)
    programs = test_programs(options.build)
    options.chosen = set(options.programs.split(",") if options.programs else programs)
    failures = 0
    times_file = os.path.join(options.build, "coverage", "seconds.json")
    seconds = {}
    if os.path.exists(times_file):
        with open(times_file, encoding="utf-8") as file:
            seconds = json.load(file)
    counts = Counts(root)
    # Half of the time of a run is waiting, as for ./test: one more than there are cores.
    with concurrent.futures.ProcessPoolExecutor(options.jobs + 1) as pool:
        for program, (last, took, own) in zip(programs, pool.map(count_program, programs, itertools.repeat(objects),
                                                                 itertools.repeat(options))):
            counts.add(own)
            if last is not None:
                seconds[program] = took
                if ", 0 failed" not in last:
                    print(f"FAIL {program}: {last}")
                    failures += 1
    if options.run:
        with open(times_file, "w", encoding="utf-8") as file:
            json.dump(seconds, file, indent=1)
    lines, branches = print_table(judge(counts), root, options.list)
    if lines < options.lines:
        print(f"FAIL lines: {lines:.1f}% reached, {options.lines:g}% wanted")
        failures += 1
    if branches < options.branches:
        print(f"FAIL branches: {branches:.1f}% reached, {options.branches:g}% wanted")
        failures += 1
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
