#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Would the tests notice? One place of src/base to src/sync is changed at a time, and the tests that run it are run.

mutate.py BUILD COVERAGE [options]
  BUILD             a folder with the programs of the tests, as ./test makes it (build/test/gcc)
  COVERAGE          the folder "coverage" that coverage.py --run has filled: which program runs which lines
  --count N         so many mutants (150)
  --seed N          which (1)
  --seconds N       begin no further one after so long (none)
  --programs N      of the programs that run a line the first N only (all); nearly all mutants that any
                    program kills fall to the first dozen
  --least N         least share that must be killed, in percent (80)
  --survivors FILE  write those that nothing noticed there
  --equivalent FILE mutants that change nothing a program could see, each with its reason; they are not counted
  --only PART       mutants of files with this in their path alone
  --at PLACES       all mutants of these lines (FILE:LINE,FILE:LINE...), and no drawing
  --list            show each as it is done
  -j N              mutants at a time (2)

A mutant is a line that some test runs, with one condition, constant or operator of it changed, or a statement dropped.
The file is compiled (a header: all that include it), and what the compiler makes the same of is none. The programs that
reach the line are linked with it, those named like its file first, then the quicker ones, and run until a test fails,
crashes or takes too long: then the mutant is killed, provided that the same test passes without it. The last line is
"N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time

from coverage import LAYERS, excused

TEST_TIMEOUT = 8
PROGRAM_TIMEOUT = 300
REPLAY_TIMEOUT = 20  # of a corpus, which takes a second

# ---- what may be changed in a line

SWAPS = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == ", " && ": " || ",
         " || ": " && ", " + ": " - ", " - ": " + ", " += ": " -= ", " -= ": " += ", "++": "--", "--": "++",
         " & ": " | ", " | ": " & ", "true": "false", "false": "true"}
SWAP = re.compile(r" (?:<=?|>=?|==|!=|&&|\|\||[-+]=?|&|\|) |\+\+|--|\btrue\b|\bfalse\b")
NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")
CONDITION = re.compile(r"\b(?:if|while) \(")
STATEMENT = re.compile(r"^\s*(?:\(void\))?[\w.>\[\]*-]+(?:\(.*\)| [-+|&]?= [^{]*|\+\+|--);$")
COMMENT_OR_TEXT = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])+'", re.S)


def masked(text):
    """The text with comments and strings blanked: what is left is code, in its place."""
    return COMMENT_OR_TEXT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def closing(text, at):
    """Where the parenthesis that opens at `at` closes in the line, or -1."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return -1


def changes(line, code, before):
    """All changed forms of a line, of which code is what is not comment; before is the code line before it. None of a
    hint to the processor, which changes nothing but time."""
    result = []
    if "__builtin_prefetch" in code:
        return result
    for match in SWAP.finditer(code):
        result.append(line[:match.start()] + SWAPS[match.group()] + line[match.end():])
    for match in NUMBER.finditer(code):
        number = int(match.group())
        result.append(line[:match.start()] + str(0 if number == 1 else number + 1) + line[match.end():])
    for match in CONDITION.finditer(code):
        opens = match.end() - 1
        closes = closing(code, opens)
        if closes > 0:
            result.append(f"{line[:opens]}(!{line[opens:closes + 1]}){line[closes + 1:]}")
    if STATEMENT.match(code.rstrip()) and not code.lstrip().startswith("return") and \
            before.rstrip()[-1:] in ("", ";", "{", "}", ")", ":"):
        result.append(re.match(r"\s*", line).group() + ";")
    return result


class Mutant:
    """One line of one file, and what it is made."""

    def __init__(self, path, line, old, new):
        self.path, self.line, self.old, self.new = path, line, old.strip(), new.strip()
        self.text = new
        self.verdict = ""
        self.killer = ""
        self.seconds = 0.0

    def __str__(self):
        return f"{self.path}:{self.line}: {self.old}  ->  {self.new}"


# ---- which tests run a line, and what may be changed at all

def reached_by(folder):
    """(file, line) -> the programs that run it."""
    result = {}
    for program in sorted(os.listdir(folder)):
        name = os.path.join(folder, program, "reached.json")
        if not os.path.exists(name):
            continue
        with open(name, encoding="utf-8") as file:
            for path, lines in json.load(file).items():
                for line in lines:
                    result.setdefault((path, line), []).append(program)
    return result


def candidates(root, reached, only):
    """All mutants, in the order of their places: a list of lists, one for each line."""
    result = []
    for path in sorted({path for path, _ in reached}):
        if not path.startswith(tuple(f"src/{layer}/" for layer in LAYERS)) or only not in path:
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        lines, code = text.split("\n"), masked(text).split("\n")
        whole, sides = excused(os.path.join(root, path))
        for number, line in enumerate(lines, 1):
            if (path, number) not in reached or number in whole or number in sides:
                continue
            before = next((code[i] for i in range(number - 2, -1, -1) if code[i].strip()), "")
            forms = changes(line, code[number - 1], before)
            if forms:
                result.append([Mutant(path, number, line, form) for form in forms])
    return result


def argued(name):
    """The mutants that a file says are none: "path ¦ old ¦ new ¦ why" in each line."""
    if not name:
        return set()
    result = set()
    with open(name, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            parts = [part.strip() for part in line.split(" ¦ ")]
            if len(parts) != 4 or len(parts[3]) < 20:
                sys.exit(f"{name}:{number}: not path ¦ old ¦ new ¦ reason")
            result.add(tuple(parts[:3]))
    return result


# ---- building

class Build:
    """The folder that the tests were built in: how its files are compiled and its programs linked."""

    def __init__(self, folder, root):
        self.folder, self.root = os.path.abspath(folder), root
        self.compile, self.links, self.includers = {}, {}, {}
        with open(os.path.join(self.folder, "compile_commands.json"), encoding="utf-8") as file:
            for entry in json.load(file):
                path = os.path.relpath(os.path.join(self.folder, entry["file"]), root)
                if entry["output"].startswith("libcrank"):
                    self.compile[path] = entry["command"].split()
        self.read_includers()
        self.read_links()
        self.originals = {}
        self.lock = threading.Lock()

    def ninja(self, *words):
        return subprocess.run(["ninja", "-C", self.folder, *words], capture_output=True, text=True, check=True).stdout

    def read_includers(self):
        source = None
        for line in self.ninja("-t", "deps").split("\n"):
            name = os.path.relpath(os.path.join(self.folder, line.strip()), self.root)
            if not line.startswith(" "):
                source = None
            elif source is None:
                source = name
            elif source in self.compile and source not in self.includers.setdefault(name, []):
                self.includers[name].append(source)

    def read_links(self):
        programs = [name for name in os.listdir(os.path.join(self.folder, "tests"))
                    if re.match(r"[a-z]+_\w+$", name) and os.path.isfile(os.path.join(self.folder, "tests", name))]
        targets = [f"tests/{name}" for name in programs]
        for line in self.ninja("-t", "commands", *targets).split("\n"):
            match = re.search(r" -o tests/(\w+) ", line)
            if match and match.group(1) in programs and " -c " not in line:
                self.links[match.group(1)] = line.split()

    def object(self, source, into, overlay):
        """Compile a source, what lies in overlay in place of the tree's own; False where that does not compile."""
        command = [word for word in self.compile[source] if word not in ("-g", "-Werror", "-MD")]
        for flag in ("-MQ", "-MF", "-o"):
            if flag in command:
                at = command.index(flag)
                del command[at:at + 2]
        at = command.index("-c")
        changed = os.path.join(overlay, source) if overlay else ""
        command[at + 1] = changed if changed and os.path.exists(changed) else os.path.join(self.root, source)
        command.append(f"-fmacro-prefix-map={self.root}/=")
        if overlay:
            command += ["-iquote", os.path.join(overlay, "src"), f"-fmacro-prefix-map={overlay}/="]
        done = subprocess.run(command + ["-w", "-o", into], cwd=self.folder, capture_output=True, check=False)
        return done.returncode == 0

    def original(self, source, folder):
        """The bytes that the unchanged source compiles to."""
        with self.lock:
            if source not in self.originals:
                into = os.path.join(folder, source.replace("/", "_") + ".o")
                if not self.object(source, into, None):
                    sys.exit(f"{source} does not compile")
                with open(into, "rb") as file:
                    self.originals[source] = file.read()
            return self.originals[source]

    def link(self, program, objects, into):
        command = list(self.links[program])
        command[command.index("-o") + 1] = into
        at = next(i for i, word in enumerate(command) if word.endswith(".a") or word == "-Wl,--start-group")
        command[at:at] = objects
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{program} cannot be linked; is {self.folder} up to date?\n{done.stderr}")


# ---- running

def limit():
    """A mutant may ask for memory or write without end."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(program, words, seconds):
    """Run a program of tests. Gives its exit status and output; a status of None where it took too long."""
    child = subprocess.Popen([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", preexec_fn=limit, start_new_session=True)
    try:
        output, _ = child.communicate(timeout=seconds)
        return child.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        child.communicate()
        return None, ""


class Runner:
    """Draws mutants and has the tests judge them."""

    def __init__(self, options, root):
        self.options, self.root = options, root
        self.build = Build(options.build, root)
        self.reached = reached_by(options.coverage)
        self.folder = os.path.join(os.path.dirname(os.path.abspath(options.coverage)), "mutants")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        seconds = os.path.join(options.coverage, "seconds.json")
        with open(seconds, encoding="utf-8") as file:
            self.seconds = json.load(file)

    def words(self, program, filters=()):
        if program.startswith("fuzz_"):
            return [os.path.join(self.root, "tests/fuzz/corpus", program[len("fuzz_"):])]
        return ["-j", "2", "--timeout", str(TEST_TIMEOUT), "--stop", *filters]

    def order(self, mutant):
        """The programs that run its line: named like its file first, then the quicker ones."""
        stem = os.path.splitext(os.path.basename(mutant.path))[0]
        programs = [name for name in self.reached[(mutant.path, mutant.line)] if name in self.build.links]
        return sorted(programs, key=lambda name: (stem not in name, self.seconds.get(name, 1)))

    def objects(self, mutant, folder):
        """Compile what the change concerns. None where it does not compile, [] where nothing comes out different."""
        with open(os.path.join(self.root, mutant.path), encoding="utf-8") as file:
            lines = file.read().split("\n")
        lines[mutant.line - 1] = mutant.text
        changed = os.path.join(folder, mutant.path)
        os.makedirs(os.path.dirname(changed), exist_ok=True)
        with open(changed, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        sources = [mutant.path] if mutant.path in self.build.compile else self.build.includers.get(mutant.path, [])
        result = []
        for source in sources:
            into = os.path.join(folder, source.replace("/", "_") + ".o")
            if not self.build.object(source, into, folder):
                return None
            with open(into, "rb") as file:
                if file.read() != self.build.original(source, self.folder):
                    result.append(into)
        return result

    def killed_by(self, program, changed):
        """The test of a program that fails with the mutant, also alone, and passes without it; or None."""
        patience = REPLAY_TIMEOUT if program.startswith("fuzz_") else PROGRAM_TIMEOUT
        status, output = run(changed, self.words(program), patience)
        if status == 0:
            return None
        match = re.search(r"^\s*FAIL (.*?) \(\d+\.\d+ s\)(.*)$", output, re.M)
        filters = [match.group(1)] if match else []
        original = os.path.join(self.build.folder, "tests", program)
        if run(original, self.words(program, filters), PROGRAM_TIMEOUT)[0] != 0:
            return None
        late = status is None or (match and "took too long" in match.group(2))
        if not late and run(changed, self.words(program, filters), PROGRAM_TIMEOUT)[0] == 0:
            return None
        return f"{program}: {match.group(1) if match else 'its end'}", late

    def judge(self, mutant, number):
        """Fill in what became of a mutant."""
        folder = os.path.join(self.folder, str(number))
        os.makedirs(folder)
        begun = time.monotonic()
        objects = self.objects(mutant, folder)
        mutant.verdict = "broken" if objects is None else "survived" if objects else "same"
        for program in self.order(mutant)[:self.options.programs or None] if objects else []:
            changed = os.path.join(folder, program)
            self.build.link(program, objects, changed)
            found = self.killed_by(program, changed)
            os.unlink(changed)
            if found:
                mutant.killer, late = found
                mutant.verdict = "late" if late else "killed"
                break
        mutant.seconds = time.monotonic() - begun
        shutil.rmtree(folder, ignore_errors=True)
        return mutant

    def drawn(self):
        """Mutants in an order of chance: a line, and one of its forms. What a line draws is decided by the seed and its
        own text: a change elsewhere leaves the sample as it was. Where lines were named, all of theirs."""
        lines = candidates(self.root, self.reached, self.options.only)
        if self.options.at:
            places = self.options.at.split(",")
            yield from (mutant for forms in lines for mutant in forms if f"{mutant.path}:{mutant.line}" in places)
            return
        known = argued(self.options.equivalent)
        alike, drawn = {}, []
        for forms in lines:
            place = (forms[0].path, forms[0].old)
            alike[place] = alike.get(place, 0) + 1
            words = f"{self.options.seed} {alike[place]} {place}"
            chance = int.from_bytes(hashlib.sha256(words.encode()).digest()[:16], "big")
            drawn.append((chance, forms[chance % len(forms)]))
        for _, mutant in sorted(drawn, key=lambda one: one[0]):
            if (mutant.path, mutant.old, mutant.new) not in known:
                yield mutant

    def run(self):
        """Judge so many; those that come to nothing are replaced by the next."""
        begun, done, tried = time.monotonic(), [], 0
        source = self.drawn()
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            waiting = set()
            while len(done) < self.options.count:
                over = self.options.seconds and time.monotonic() - begun > self.options.seconds
                while not over and len(waiting) < self.options.jobs and len(done) + len(waiting) < self.options.count:
                    mutant = next(source, None)
                    if mutant is None:
                        break
                    waiting.add(pool.submit(self.judge, mutant, tried))
                    tried += 1
                if not waiting:
                    break
                ended, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in ended:
                    mutant = future.result()
                    if mutant.verdict not in ("same", "broken"):
                        done.append(mutant)
                    if self.options.list:
                        print(f"{mutant.verdict:8} {mutant.seconds:6.1f} s  {mutant}  {mutant.killer}", flush=True)
        return sorted(done, key=lambda mutant: (mutant.path, mutant.line)), time.monotonic() - begun


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("coverage")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--programs", type=int, default=0)
    parser.add_argument("--least", type=float, default=80)
    parser.add_argument("--survivors", default="")
    parser.add_argument("--equivalent", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--at", default="")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    return parser.parse_args()


def main():
    options = parse()
    root = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    runner = Runner(options, root)
    done, seconds = runner.run()
    shutil.rmtree(runner.folder, ignore_errors=True)
    survivors = [mutant for mutant in done if mutant.verdict == "survived"]
    late = sum(mutant.verdict == "late" for mutant in done)
    killed = len(done) - len(survivors)
    if options.survivors:
        with open(options.survivors, "w", encoding="utf-8") as file:
            file.writelines(f"{mutant}\n" for mutant in survivors)
    share = 100.0 * killed / len(done) if done else 0
    print(f"{len(done)} mutants of seed {options.seed}: {killed} killed ({share:.0f}%, {late} by a time limit), "
          f"{len(survivors)} survived, in {seconds:.0f} s")
    failed = 0
    if len(done) < options.count:
        print(f"FAIL mutants: {len(done)} were judged, {options.count} wanted")
        failed += 1
    if share < options.least:
        print(f"FAIL mutants: {share:.0f}% killed, {options.least:g}% wanted")
        failed += 1
    print(f"{killed} passed, {failed} failed, {len(survivors)} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
