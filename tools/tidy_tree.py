# SPDX-License-Identifier: MIT
"""What tidy.py's rules look at: the files of a tree, their code, the functions in them."""
import os
import re
import subprocess

COMMENT = re.compile(r"/\*.*?\*/", re.S)
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'')
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(crank[^>]*)>)', re.M)
SIGNATURE_NAME = re.compile(r"\b([a-z_]\w*)\s*\(")


class Tree:
    """The files of a tree, read once, and the complaints about them."""

    def __init__(self, root):
        self.root, self.texts, self.complaints = root, {}, []

    def files(self, *prefixes, ends=()):
        """Paths tracked by git (or found, where there is no git) that begin and end so."""
        return [p for p in self.all_files() if p.startswith(prefixes or "") and p.endswith(tuple(ends) or "")]

    def all_files(self):
        if not hasattr(self, "paths"):
            try:
                git = subprocess.run(["git", "-C", self.root, "ls-files", "-co", "--exclude-standard"],
                                     capture_output=True, text=True, check=True)
                paths = git.stdout.split("\n")[:-1]
            except (FileNotFoundError, subprocess.CalledProcessError):
                paths = self.walk()
            self.paths = sorted(p for p in paths if os.path.isfile(os.path.join(self.root, p)))
        return self.paths

    def walk(self):
        """What git would list: all but its own folder and what .gitignore names."""
        for folder, folders, names in os.walk(self.root):
            here = os.path.relpath(folder, self.root)
            folders[:] = [f for f in folders if f not in (".git", "__pycache__")
                          and not (here == "." and f.startswith("build"))]
            yield from (os.path.normpath(os.path.join(here, name)) for name in names if name != ".git")

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self.texts[path] = file.read()
        return self.texts[path]

    def code(self, path):
        """The text with comments and strings blanked out, lines kept."""
        key = ("code", path)
        if key not in self.texts:
            self.texts[key] = STRING.sub('""', COMMENT.sub(blank, self.text(path)))
        return self.texts[key]

    def complain(self, path, line, what, why):
        self.complaints.append(f"{path}:{line}: {what} ({why})")


def blank(match):
    return "\n" * match.group().count("\n")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Function:
    """A function's definition: where it is, its name, its length in lines and how many parameters it takes."""

    def __init__(self, path, line, signature, length):
        self.path, self.line, self.length = path, line, length
        signature = re.sub(r"\((crank_\w+)\)\(", r" \1(", signature)  # a macro has the same name
        names = SIGNATURE_NAME.findall(signature)
        names = [n for n in names if n not in ("__attribute__", "CRANK_PRINTF", "visibility")]
        self.name = names[0] if names else "?"
        self.is_static = re.search(r"\bstatic\b", signature) is not None
        self.parameters = count_parameters(signature[signature.find(self.name + "("):])


def count_parameters(text):
    depth, count, seen = 0, 1, ""
    for c in text[text.find("("):]:
        depth += (c == "(") - (c == ")")
        if depth == 0:
            break
        if depth == 1 and c == ",":
            count += 1
        seen += c
    seen = seen[1:].strip()
    if seen in ("", "void"):
        return 0
    return count - seen.endswith("...")


def functions_of(tree, path):
    """Definitions with the brace in column 0, and those written on one line."""
    lines = tree.code(path).split("\n")
    for at, line in enumerate(lines):
        one = re.match(r"^[a-zA-Z_][^;={]*\)\s*\{.*\}\s*$", line)
        if one and not line.startswith(("#", "struct", "enum", "typedef")):
            yield Function(path, at + 1, line[:line.find("{")], 1)
        if line.rstrip() != "{" or at == 0 or lines[at - 1].rstrip().endswith("\\"):
            continue
        start = at
        while start > 0 and lines[start - 1].strip() and not re.match(r"^[#}]|.*;\s*$", lines[start - 1]):
            start -= 1
        end = at
        while end < len(lines) and lines[end].rstrip() not in ("}", "};"):
            end += 1
        signature = " ".join(lines[start:at])
        if "(" in signature and not re.match(r"^\s*(typedef|enum|struct \w+\s*$)", signature):
            yield Function(path, start + 1, signature, end - start + 1)


def source_functions(tree):
    for path in tree.files("src/", "lib/", "include/", ends=(".c", ".h")):
        yield from functions_of(tree, path)
