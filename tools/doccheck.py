#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compile and run every C block of the documentation and compare what it prints.

A fenced block marked `c` is a whole program. The block right after it, marked `output`, is what it prints. Programs run
under the simulator (CRANK_BACKEND=sim), so that those which sleep end at once and print exact times. Words after `c`:

    c                     a whole program, to itself called program.c; an `output` block follows
    c exit=70             its exit status (0 otherwise)
    c prints-to=stderr    the output block shows stderr; `both` shows the two in one
    c backend=epoll       run on this backend instead
    c input=one\\ntwo\\n   what stands on its standard input; nothing otherwise
    c with=certificates   localhost.pem, localhost.key and ca.pem of examples/certificates.sh lie where it is started
    c fragment            statements; compiled inside a function, not run
    c file                declarations and functions; compiled as a file of their own, not run
    c needs=NAME.h        skipped where the compiler finds no such header; for the kinds that are not linked
    c must-not-compile    the compiler must refuse it with each line of the `output` block in its message

What a fragment needs to be declared stands before it in a comment that readers do not see: <!-- given ... -->.
In an output block `...` stands for any text within a line, a line `...` for any number of lines.
Blocks in other languages are left alone. Links to files and headings inside the repository are checked too. The last
line counts: "N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import os
import re
import shlex
import subprocess
import sys
import tempfile

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Werror".split()
KINDS = ("fragment", "file", "must-not-compile")
OPTIONS = {"exit": "0", "prints-to": "stdout", "backend": "sim", "input": "", "needs": "", "with": ""}
CERTIFICATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "certificates.sh")
SKIPPED = "skipped" # in the place of what is wrong with a block
FENCE = re.compile(r"^```([^`]*)$")
GIVEN = re.compile(r"<!-- given\n(.*?)-->", re.S)


class Mistake(Exception):
    """What is wrong with one block, as a sentence."""


class Block:
    """One fenced block: where it begins, the words behind its fence, its text, and what stood before it."""

    def __init__(self, path, line, words, text, before):
        self.path, self.line, self.words, self.text, self.before = path, line, words, text, before
        self.expected = None

    @property
    def place(self):
        return f"{self.path}:{self.line}"

    def kind(self):
        kinds = [w for w in self.words[1:] if "=" not in w]
        if len(kinds) > 1 or any(k not in KINDS for k in kinds):
            raise Mistake(f"{self.place}: unknown words after the fence; known are {', '.join(KINDS)}")
        return kinds[0] if kinds else "program"

    def options(self):
        found = dict(OPTIONS)
        for word in self.words[1:]:
            name, equals, value = word.partition("=")
            if equals and name not in OPTIONS:
                raise Mistake(f"unknown option {name}=; known: {', '.join(OPTIONS)}")
            if equals:
                found[name] = value
        return found


def blocks_of(path, text):
    """Every fenced block of a page, in order."""
    found, lines, i, last_end = [], text.split("\n"), 0, 0
    while i < len(lines):
        fence = FENCE.match(lines[i])
        if not fence:
            i += 1
            continue
        end = i + 1
        while end < len(lines) and lines[end].rstrip() != "```":
            end += 1
        if end == len(lines):
            raise Mistake(f"{path}:{i + 1}: this block never ends")
        body = "\n".join(lines[i + 1:end]) + "\n"
        found.append(Block(path, i + 1, fence.group(1).split(), body, "\n".join(lines[last_end:i])))
        i = last_end = end + 1
    return found


def pair(blocks):
    """Give each program the output block right after it."""
    checked = []
    for block, following in zip(blocks, blocks[1:] + [None]):
        if not block.words or block.words[0] != "c":
            continue
        kind = block.kind()
        if kind in ("program", "must-not-compile"):
            follows = following and following.words[:1] == ["output"] and not following.before.strip()
            if not follows:
                raise Mistake(f"{block.place}: no ```output block right after this {kind}")
            block.expected = following.text
        checked.append(block)
    return checked


def matches(expected, printed):
    """Compare; `...` in the expected text stands for anything."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.split("...")) + "\n"
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is not None


def indented(text):
    return "".join(f"    {line}\n" for line in text.rstrip("\n").split("\n"))


def source_of(block, kind):
    given = GIVEN.search(block.before)
    if kind != "fragment":
        return ("#include <crank.h>\n" + given.group(1) + "\n" if given else "") + block.text
    declared = given.group(1) if given else ""
    return (f"#include <crank.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n{declared}\n"
            f"int fragment(void);\nint fragment(void)\n{{\n{block.text}\nreturn 0;\n}}\n")


class Checker:
    """One compiler. Programs are compiled one by one and linked together, which takes a fraction of the time: in the
    executable each has its main under another name, and the environment says which of them it is."""

    def __init__(self, compiler, arguments, folder):
        self.name = compiler
        self.compiler = shlex.split(compiler)
        self.flags = shlex.split(" ".join(arguments.flags))
        self.libs = shlex.split(" ".join(arguments.libs))
        self.syntax_only = arguments.syntax_only
        self.timeout = arguments.timeout
        self.folder = folder
        self.executable = os.path.join(folder, "programs")

    def is_run(self, block):
        return block.kind() == "program" and not self.syntax_only

    def has(self, header):
        command = self.compiler + self.flags + ["-fsyntax-only", "-x", "c", "-"]
        return subprocess.run(command, input=f"#include <{header}>\n", capture_output=True, text=True,
                              check=False).returncode == 0

    def compile(self, numbered):
        """None, or what is wrong. A program's object is left in its folder."""
        number, block = numbered
        folder = os.path.join(self.folder, str(number))
        source, built = os.path.join(folder, "program.c"), os.path.join(folder, "program.o")
        os.mkdir(folder)
        try:
            kind, needs = block.kind(), block.options()["needs"]
            if needs and self.is_run(block):
                raise Mistake("needs= is for what is not linked: c file, c fragment")
            if needs and not self.has(needs):
                return SKIPPED
            with open(source, "w", encoding="utf-8") as file:
                file.write(source_of(block, kind))
            command = self.compiler + ["-std=c11", "-D_DEFAULT_SOURCE", f"-fmacro-prefix-map={folder}/="] + WARNINGS
            if kind == "fragment":
                command += ["-Wno-unused-variable", "-Wno-unused-but-set-variable", "-Wno-unused-function"]
            command += self.flags + [source] + (["-c", "-o", built] if self.is_run(block) else ["-fsyntax-only"])
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if kind == "must-not-compile":
                self.refusal(block, result)
            elif result.returncode:
                raise Mistake(f"does not compile:\n{indented(result.stderr)}")
            elif self.is_run(block):
                name = f"program_{number}"
                subprocess.run(["objcopy", f"--redefine-sym=main={name}", f"--keep-global-symbol={name}", built],
                               check=True)
        except Mistake as mistake:
            return self.say(block, mistake)
        return None

    def link(self, numbers):
        """None, or what the linker says."""
        mains = [f"program_{number}" for number in numbers]
        source = os.path.join(self.folder, "programs.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("#include <stdlib.h>\n#include <string.h>\n")
            file.writelines(f"int {main}(int, char **);\n" for main in mains)
            file.write("int main(int argc, char **argv)\n{\n    const char *name = getenv(\"DOCCHECK_PROGRAM\");\n")
            file.writelines(f"    if (!strcmp(name, \"{main}\"))\n        return {main}(argc, argv);\n"
                            for main in mains)
            file.write("    return 127;\n}\n")
        objects = [os.path.join(self.folder, str(number), "program.o") for number in numbers]
        done = subprocess.run(self.compiler + [source] + objects + ["-o", self.executable] + self.libs,
                              capture_output=True, text=True, check=False)
        return indented(done.stderr) if done.returncode else None

    def run(self, numbered):
        """None, or what is wrong with what a linked program does."""
        number, block = numbered
        try:
            self.compare(block, block.options(), number)
        except Mistake as mistake:
            return self.say(block, mistake)
        return None

    def compare(self, block, options, number):
        environment = dict(os.environ, CRANK_BACKEND=options["backend"], DOCCHECK_PROGRAM=f"program_{number}")
        both = options["prints-to"] == "both"
        if options["prints-to"] not in ("stdout", "stderr", "both"):
            raise Mistake("prints-to= takes stdout, stderr or both")
        folder = os.path.join(self.folder, str(number))
        if options["with"] == "certificates":
            subprocess.run([CERTIFICATES, folder], check=True, stdout=subprocess.DEVNULL)
        try:
            done = subprocess.run(["./program"], executable=self.executable, env=environment, timeout=self.timeout,
                                  check=False, text=True, input=options["input"].replace("\\n", "\n"),
                                  cwd=folder, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT if both else subprocess.PIPE)
        except subprocess.TimeoutExpired:
            raise Mistake(f"still running after {self.timeout:.0f} s") from None
        printed = done.stderr if options["prints-to"] == "stderr" else done.stdout
        if not matches(block.expected, printed):
            unseen = "" if both or printed is done.stderr else indented(done.stderr or "")
            raise Mistake(f"prints something else. Shown:\n{indented(block.expected)}"
                          f"  Printed (status {done.returncode}):\n{indented(printed)}"
                          + (f"  On stderr:\n{unseen}" if unseen.strip() else ""))
        if done.returncode != int(options["exit"]):
            raise Mistake(f"ended with status {done.returncode}, not {options['exit']}"
                          + (f"\n{indented(done.stderr)}" if done.stderr else ""))

    def say(self, block, mistake):
        return f"{block.place} with {self.name}: {mistake}"

    def check(self, blocks, workers):
        """For each block None, or what is wrong."""
        found = list(workers.map(self.compile, enumerate(blocks)))
        ready = [n for n, block in enumerate(blocks) if not found[n] and self.is_run(block)]
        refused = self.link(ready) if ready else None
        if refused:  # by one of them: by which?
            for n in ready:
                why = self.link([n])
                found[n] = self.say(blocks[n], f"does not link:\n{why}") if why else None
            ready = [n for n in ready if not found[n]]
            refused = self.link(ready) if ready else None
        for n, complaint in zip(ready, workers.map(self.run, [(n, blocks[n]) for n in ready])):
            found[n] = refused or complaint
        return found

    @staticmethod
    def refusal(block, result):
        if not result.returncode:
            raise Mistake("compiles, though it must not")
        for line in block.expected.strip().split("\n"):
            if line not in result.stderr:
                raise Mistake(f"the compiler does not say {line!r}, but:\n{indented(result.stderr)}")


def anchor(heading):
    """The name a heading gets on the usual hosting sites."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def prose_of(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)


def bad_links(path, text):
    """Links to files or headings that are not there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, heading = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(file):
            yield f"{path}: the link to {target} leads nowhere"
        elif heading and file.endswith(".md"):
            with open(file, encoding="utf-8") as page:
                headings = re.findall(r"^#+ (.*)$", prose_of(page.read()), re.M)
            if heading not in map(anchor, headings):
                yield f"{path}: {file} has no heading for {target}"


def read_pages(paths):
    """All blocks of the pages, and what is wrong with the pages themselves."""
    blocks, complaints = [], []
    for path in paths:
        with open(path, encoding="utf-8") as page:
            text = page.read()
        complaints += bad_links(path, text)
        try:
            blocks += pair(blocks_of(path, text))
        except Mistake as mistake:
            complaints.append(str(mistake))
    return blocks, complaints


def arguments_of_command_line():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cc", action="append", help="a compiler, with its options if any; may be repeated")
    parser.add_argument("--flags", action="append", default=[], help="flags for compiling, as one string")
    parser.add_argument("--libs", action="append", default=[], help="what programs are linked with, as one string")
    parser.add_argument("--syntax-only", action="store_true", help="compile, do not link or run")
    parser.add_argument("--timeout", type=float, default=30, help="seconds for one program")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true", help="name each block")
    parser.add_argument("files", nargs="+")
    return parser.parse_args()


def main():
    arguments = arguments_of_command_line()
    blocks, complaints = read_pages(arguments.files)
    passed, skipped = len(arguments.files) - len(complaints), 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as workers:
        for compiler in arguments.cc or ["cc"]:
            with tempfile.TemporaryDirectory(prefix="doccheck-") as folder:
                found = Checker(compiler, arguments, folder).check(blocks, workers)
            for block, complaint in zip(blocks, found):
                passed += not complaint
                skipped += complaint is SKIPPED
                complaints += [complaint] if complaint and complaint is not SKIPPED else []
                if arguments.verbose:
                    print(f"{'bad' if complaint else 'ok '} {block.place} with {compiler}")
    for complaint in complaints:
        print(f"FAIL {complaint}")
    print(f"{max(passed, 0)} passed, {len(complaints)} failed, {skipped} skipped")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
