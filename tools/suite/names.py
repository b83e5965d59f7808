# SPDX-License-Identifier: MIT
"""What there is to run, and which of it has a NAME in it: found in the tree, so that nobody keeps a list.

A test program is tests/KIND/SUBJECT.c, called KIND_SUBJECT; a check is an executable file of tests/build. A NAME is a
part of a program's name, of a test's sentence, of a check's or an assurance script's path, or "examples". The sentences
are looked for in the sources: a program without the NAME need not be built.
"""
import glob
import os
import re

KINDS = ["unit", "behaviour", "real", "fault", "explore", "capture", "http", "tls"]
SENTENCE = re.compile(r"\bTEST\w*\(\s*(\w+)\s*,\s*(\w+)")
OWN_MACRO = re.compile(r"^#\s*define\s.*(?:\\\n.*)*\bTEST\w*\(", re.M)
LOCAL_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"/]+)"', re.M)
BACKEND = re.compile(r" *\[(sim|epoll|uring)\]?$")
BUILDS = re.compile(r"^# builds: (.*)$", re.M)
SECONDS = re.compile(r"^# seconds: (\d+)", re.M)
EXAMPLES = "examples"


def plain(text):
    return text.replace("_", " ")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def programs():
    """{program: source}, kind by kind."""
    return {f"{kind}_{os.path.basename(source)[:-2]}": source
            for kind in KINDS for source in sorted(glob.glob(f"tests/{kind}/*.c"))}


def scripts(folder):
    """The executable files of a folder of tests that say what they count."""
    found = sorted(glob.glob(f"tests/{folder}/*.sh") + glob.glob(f"tests/{folder}/*.py"))
    return [path for path in found if os.access(path, os.X_OK)]


def checks():
    return scripts("build")


def declared_seconds(path):
    """How long a check says it takes in the matrix, so that it begins early where no run is remembered."""
    found = SECONDS.search(read(path))
    return float(found[1]) if found else 0.0


def assurance():
    return [path for path in scripts("assurance") if os.path.basename(path)[0].isdigit()]


def with_headers(source):
    """The text of a source and of the headers beside it that it includes, and those of theirs."""
    text, todo, seen = "", [source], set()
    while todo:
        path = todo.pop()
        if path in seen or not os.path.exists(path):
            continue
        seen.add(path)
        here = read(path)
        text += here
        todo += [os.path.join(os.path.dirname(path), name) for name in LOCAL_INCLUDE.findall(here)]
    return text


def sentences(source):
    return [plain(f"{subject}: {sentence}") for subject, sentence in SENTENCE.findall(read(source))]


def may_have(source, name):
    """Whether a test of a source may have name in its sentence. What a macro of its own puts together is not seen:
    there each word has to occur."""
    name = plain(BACKEND.sub("", name))
    if any(name in sentence for sentence in sentences(source)):
        return True
    text = with_headers(source)
    if not OWN_MACRO.search(text):
        return False
    text = plain(text)
    return all(word in text for word in re.findall(r"\w+", name))


def program_has(program, name):
    return name in program


def number_of_tests(source, all_backends):
    """About how many tests a source has, before anything is built."""
    text = read(source)
    each = len(re.findall(r"^TEST_EACH_BACKEND", text, re.M))
    return max(1, len(SENTENCE.findall(text)) + (2 * each if all_backends else 0))


class Choice:
    """What has one of the names in it; all where none is given."""

    def __init__(self, names):
        self.names = names

    def programs(self):
        return {program: source for program, source in programs().items() if not self.names or any(
            program_has(program, name) or may_have(source, name) for name in self.names)}

    def path(self, path):
        return not self.names or any(plain(name) in plain(path) for name in self.names)

    def checks(self):
        return [path for path in checks() if self.path(path)]

    def assurance(self):
        """They are also chosen by the word for all of them: `assurance 09`."""
        return [path for path in assurance() if self.path(path)]

    def examples(self):
        return self.path(EXAMPLES)

    def targets(self):
        """What ninja has to build for it, [] for all; None where nothing is needed."""
        if not self.names or self.examples():
            return []
        found = ["tests/" + program for program in self.programs()]
        for path in self.checks():
            declared = " ".join(BUILDS.findall(read(path))).split()
            if not declared:
                return []
            found += [target for target in declared if target != "nothing"]
        return found or None
