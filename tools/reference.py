#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make docs/reference.md: everything a program may use, from the comments of the public headers.

The headers are the only source. A comment belongs to the declarations after it, up to the next comment or empty line.
Names that end in an underscore are the inside of macros; where such a function carries the comment, the macro gets it.
Usage: tools/reference.py prints the page; tools/reference.py --check FILE tells whether FILE is that page.
"""
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ["run", "task", "scope", "generator", "sync", "error", "thread", "stream", "net", "process", "signal", "base",
           "loop", "explore", "sim", "layer", "http", "websocket"]
INTRODUCTION = """# Reference

Made from the headers by `tools/reference.py`; the headers say the same. A call marked *waits* may suspend the running
task: it notices a request to cancel first, on every call. `fn(args...)` is a function with its arguments, which the
compiler checks. *Must use*: the compiler warns when the result is ignored.
"""
COMMENT = re.compile(r"/\*(.*?)\*/", re.S)
SECTION = re.compile(r"^/\* -+ (.*?) -+ \*/$")
MARKS = re.compile(r"\b(CRANK_API|CRANK_BLOCKS|CRANK_MUST_USE|CRANK_NORETURN|__extension__)\s*")
PRINTF = re.compile(r"\s*CRANK_PRINTF\([^)]*\)")


def pieces_of(text):
    """The header cut into comments, declarations, macros and empty lines, in order."""
    text = text.replace("\\\n", " ")
    at = 0
    while at < len(text):
        if text.startswith("/*", at):
            end = text.index("*/", at) + 2
            yield "comment", text[at:end]
        elif text[at] == "\n":
            end = at + 1
            if text.startswith("\n", end):
                yield "gap", ""
        elif text[at] == "#":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            yield "macro", re.sub(r"/\*.*?\*/", "", text[at:end])
        else:
            end = end_of_declaration(text, at)
            yield "declaration", text[at:end]
        at = end


def end_of_declaration(text, at):
    """Behind the semicolon or closing brace that ends the declaration at this place."""
    depth = 0
    for end in range(at, len(text)):
        if text[end] == "{":
            depth += 1
        elif text[end] == "}":
            depth -= 1
            if depth == 0 and text.startswith("\n", end + 1):
                return end + 1
        elif text[end] == ";" and depth == 0:
            return end + 1
    return len(text)


def prose(comment):
    lines = [re.sub(r"^\s*\* ?", "", line).strip() for line in comment[2:-2].strip().split("\n")]
    return " ".join(line for line in lines if line)


def inside(name):
    """Is the name the inside of a macro, or a building block of one?"""
    return name.endswith("_") or re.search(r"_(\d+|N|OK_\w+)$", name) or name.endswith("_H")


def wrapped(text):
    return textwrap.fill(text.strip(), 120, break_on_hyphens=False, break_long_words=False)


class Entry:
    """One comment with the declarations that it is about: what is shown for each name."""

    def __init__(self, comment):
        self.comment, self.shown, self.marks, self.block = comment, {}, set(), None
        self.fresh = True

    def text(self):
        marks = "".join(f" *{mark}.*" for mark in ("Waits", "Must use") if mark in self.marks)
        names = ", ".join(f"`{shown}`" for shown in self.shown.values())
        lines = [wrapped(f"{names}:{marks} {self.comment}")]
        if self.block:
            lines += ["", "```text", self.block, "```"]
        return "\n".join(lines) + "\n"


class Header:
    """The entries and section titles of one header, in order."""

    def __init__(self, text):
        self.found, self.entry, self.introduction = [], Entry(""), None
        macros = re.findall(r"^#define (\w+)\(([^)]*)\)", text.replace("\\\n", " "), re.M)
        self.macros = {name: f"{name}({arguments})" for name, arguments in macros if not inside(name)}
        for kind, piece in pieces_of(text):
            getattr(self, kind)(piece)

    def comment(self, piece):
        section = SECTION.match(piece)
        if section:
            self.found.append(section.group(1))
        elif "SPDX" not in piece and self.introduction is None:
            self.introduction = prose(piece)
        elif "SPDX" not in piece:
            self.begin(prose(piece))

    def gap(self, _):
        self.begin("")

    def begin(self, comment):
        self.entry = Entry(comment)
        self.found.append(self.entry)

    def macro(self, piece):
        match = re.match(r"#define (\w+)\(", piece)
        if match and match.group(1) in self.macros:
            shown = self.macros[match.group(1)]
            if "CRANK_CAPTURE_" in piece:
                shown = shown.replace("(...)", "(fn, args...)").replace(", ...)", ", fn, args...)")
            self.entry.shown[match.group(1)] = shown
            self.entry.fresh = False

    def declaration(self, piece):
        if piece.startswith(("typedef", "enum", "struct")):
            self.type(piece)
        elif "static inline" not in piece:
            self.function(piece)
        self.entry.fresh = False

    def type(self, piece):
        name = re.search(r"}\s*(\w+);$", piece) or re.match(r"(?:enum|struct) (\w+) {", piece)
        if not name or inside(name.group(1)) or re.search(r"_\s*}", piece):
            return
        self.entry.shown[name.group(1)] = name.group(1)
        if not re.search(r"void \*state|\bopaque\b", piece):
            self.entry.block = piece

    def function(self, piece):
        shown = re.sub(r"\s+", " ", PRINTF.sub("", MARKS.sub("", piece))).strip().rstrip(";").strip()
        match = re.search(r"\b(crank_\w+)\(", shown)
        if not match:
            return
        name, entry = match.group(1).rstrip("_"), self.entry
        if match.group(1) != name:
            if name not in self.macros:
                return
            entry, shown = self.entry_of_macro(name), self.macros[name]
        entry.shown.setdefault(name, shown)
        entry.marks |= {"Waits"} if "CRANK_BLOCKS" in piece else set()
        entry.marks |= {"Must use"} if "CRANK_MUST_USE" in piece else set()

    def entry_of_macro(self, name):
        """Where the macro over a function belongs: to its own comment, else to the function's."""
        earlier = [entry for entry in self.found if isinstance(entry, Entry) and name in entry.shown]
        if earlier and not (self.entry.fresh and self.entry.comment[:1].isupper()):
            return earlier[0]
        for entry in earlier:
            del entry.shown[name]
        return self.entry


def page():
    lines = [INTRODUCTION]
    for header in HEADERS:
        text = (ROOT / "include/crank" / f"{header}.h").read_text(encoding="utf-8")
        text = re.sub(r"^CRANK_(BEGIN|END)_DECLS$", "", text, flags=re.M)
        read = Header(text)
        lines += [f"## crank/{header}.h\n", wrapped(read.introduction) + "\n"]
        for entry in read.found:
            if isinstance(entry, str):
                lines.append(f"### {entry}\n")
            elif entry.shown:
                lines.append(entry.text())
    return "\n".join(lines).rstrip("\n") + "\n"


def main():
    if len(sys.argv) == 1:
        print(page(), end="")
        return 0
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        if Path(sys.argv[2]).read_text(encoding="utf-8") == page():
            return 0
        print(f"{sys.argv[2]} is older than the headers; run tools/reference.py >docs/reference.md")
        return 1
    print("usage: tools/reference.py [--check FILE]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
