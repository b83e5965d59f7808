#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Style as a test: sizes, layers, names, documentation, banned words and calls.

Prints file:line, what is wrong and why the rule exists; last "N passed, N failed", one per rule. tidy.py [ROOT] checks
the tree at ROOT (this one by default); --list names the rules, --circles prints the circles of files by calls and the
hooks that point upwards, other words choose among the rules. test_tidy.py tests it.
"""
import os
import re
import shutil
import statistics
import subprocess
import sys

from tidy_ranks import broad_headers, circles, declared, homes, hooks, print_circles
from tidy_tree import COMMENT, INCLUDE, Tree, functions_of, line_of, source_functions

LAYERS = ["base", "context", "world", "backend", "loop", "error", "task", "scope", "group", "generator", "sync",
          "thread", "io", "net", "process", "run", "inspect", "cli"]
# Public headers by the layer they belong to: which of them a file of src may include.
HEADER_RANK = {"base": "base", "call": "context", "loop": "loop", "run": "world", "error": "error", "task": "task",
               "scope": "scope", "generator": "generator", "sync": "sync", "thread": "thread", "stream": "io",
               "net": "net", "process": "process", "signal": "process", "explore": "inspect",
               "sim": "run", "layer": "run", "http": "cli", "tls": "cli",
               "websocket": "cli"}

# Files that include each other in a circle, and why.
CIRCLES = {
    ("scope/cancel", "scope/end", "scope/join"):
        "an end is told to whoever awaits it, a cancelled await cancels, and what is cancelled may end at once",
}

FUNCTION_MAX, FUNCTION_P90, FUNCTION_MEDIAN = 70, 30, 12
FILE_MAX, PARAMETERS_MAX, BLOB_MAX = 600, 5, 256 * 1024
COMMENT_SHARE = (0.18, 0.32)

# Direct calls of the operating system are for base/sys_real.c; elsewhere only where this table says so, and why.
OS_CALLS = ("malloc calloc realloc free mmap munmap madvise mprotect read write pread pwrite open openat close eventfd "
            "epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 clock_gettime gettimeofday time nanosleep "
            "usleep sleep getrandom syscall pthread_create pthread_join pthread_detach poll ppoll select fork "
            "getaddrinfo freeaddrinfo recvmsg sendmsg flock lstat chmod unlink fcntl sendfile "
            "copy_file_range splice").split()
OS_CALLS_ALLOWED = {
    "base/sys_real.c": (OS_CALLS, "it is the table"),
    "base/sys_real_sockets.c": ("syscall getaddrinfo freeaddrinfo recvmsg sendmsg".split(),
                                "it is a part of the table"),
    "base/sys_real_files.c": ("open openat syscall flock lstat chmod unlink fcntl sendfile copy_file_range".split(),
                              "it is a part of the table"),
    "base/sys_real_processes.c": ("malloc free close syscall fcntl".split(), "it is a part of the table"),
    "base/check.c": (["write"], "the last words before an abort may not depend on a loop"),
    "cli/child.c": ("close poll clock_gettime pread".split(), "it is no part of the library, and starts programs"),
    "context/overflow.c": (["write"], "a signal handler on the alternate stack may call nothing else"),
}
BANNED_CALLS = {
    "strcpy": "it knows no size; use snprintf or memcpy", "strcat": "it knows no size", "sprintf": "it knows no size",
    "strtok": "it has hidden state", "gets": "it knows no size", "atoi": "it hides errors; use strtol",
    "alloca": "it jumps the guard of a small stack", "system": "it forks", "rand": "it is shared by the process",
    "random": "it is shared by the process",
}
BANNED_WORDS = {
    "TODO": "what is not done is not in the tree", "FIXME": "what is broken is fixed", "XXX": "say what is meant",
    "HACK": "say why it is right", "/work/": "the project stands alone", "../shared": "the project stands alone",
    "/tmp/brief": "the project stands alone",
}
# What libraries call themselves, for crank has no public call for it.
LIBRARY_CALLS = "malloc calloc realloc free time".split()
# What stands behind crank_ in a library's public names, where it is not its own name alone.
PUBLIC_WORDS = {"http": ["http", "websocket"]}
# Who may name the switch of stacks: one place where a task can stop.
SWITCH_NAMES = re.compile(r"\b(cr_fiber_park|cr_stack_swap|cr_fiber_leave|cr_sched_enter)\b")
SWITCH_ALLOWED = re.compile(
    r"^(context/|task/(wait\.h|checkpoint\.c)$|scope/(spawn|end)\.c$|loop/turn\.c$|generator/generator\.)")

# Functions that another library calls, with the parameters that it chose: OpenSSL.
FOREIGN_PARAMETERS = {("lib/tls/context.c", "choose_protocol"), ("lib/tls/simulated.c", "instantiate"),
                      ("lib/tls/simulated.c", "generate")}

PROTOTYPE = re.compile(r"^CRANK_API\b[^;{]*?\b(crank_\w+)\s*\([^;{]*;", re.M | re.S)
ERRNO = re.compile(r"-E[A-Z0-9]+\b")


# ---- rules: each looks at the tree and complains ------------------------------------------------------------------


def function_sizes(tree):
    functions = list(source_functions(tree))
    for f in functions:
        if f.length > FUNCTION_MAX:
            tree.complain(f.path, f.line, f"{f.name} has {f.length} lines, at most {FUNCTION_MAX}",
                          "what does not fit a screen is not understood at once")
    lengths = sorted(f.length for f in functions)
    if len(lengths) < 20:
        return
    median, p90 = statistics.median(lengths), lengths[len(lengths) * 9 // 10]
    if median > FUNCTION_MEDIAN or p90 > FUNCTION_P90:
        tree.complain("src", 1, f"functions have {median} lines in the median and {p90} at the 90th percentile, at "
                      f"most {FUNCTION_MEDIAN} and {FUNCTION_P90}", "short functions have names that say what they do")


def parameters(tree):
    for f in source_functions(tree):
        if f.parameters > PARAMETERS_MAX and not f.name.endswith("_") and \
                (f.path, f.name) not in FOREIGN_PARAMETERS:
            tree.complain(f.path, f.line, f"{f.name} takes {f.parameters} parameters, at most {PARAMETERS_MAX}",
                          "more are mixed up at the call; pass a struct")


def file_sizes(tree):
    for path in tree.files("src/", "lib/", "include/", "tests/", "examples/", "tools/", "benchmarks/",
                           ends=(".c", ".h", ".S", ".py", ".sh")):
        count = tree.text(path).count("\n")
        if count > FILE_MAX:
            tree.complain(path, count, f"the file has {count} lines, at most {FILE_MAX}", "a file owns one thing")
    for path in tree.all_files():
        size = os.path.getsize(os.path.join(tree.root, path))
        if size > BLOB_MAX:
            tree.complain(path, 1, f"the file has {size} bytes, at most {BLOB_MAX}", "clones stay small")


def columns(tree):
    for path in tree.files("src/", "lib/", "include/", "tests/", "tools/", "examples/",
                           ends=(".c", ".h", ".S", ".py", ".sh")):
        limit = 100 if path.startswith(("src/", "lib/")) else 120
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if len(line) > limit:
                tree.complain(path, number, f"{len(line)} columns, at most {limit}", "two files fit side by side")


def whitespace(tree):
    for path in tree.files("src/", "lib/", "include/", "tests/", "tools/", "examples/", "benchmarks/",
                           ends=(".c", ".h", ".S", ".py", ".sh", ".build")):
        text = tree.text(path)
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() or "\t" in line:
                tree.complain(path, number, "a tab or a blank at the end of the line", "diffs show only what changed")
        if text and not text.endswith("\n"):
            tree.complain(path, text.count("\n") + 1, "no newline at the end of the file", "tools expect one")


def licences(tree):
    for path in tree.files("src/", "lib/", "include/", "tests/", "tools/", "benchmarks/",
                           ends=(".c", ".h", ".S", ".py", ".sh", "meson.build", ".map")):
        if "SPDX-License-Identifier: MIT" not in "\n".join(tree.text(path).split("\n")[:2]):
            tree.complain(path, 1, "no SPDX line at the top", "every file says under which licence it stands")


def head_comments(tree):
    for path in tree.files("src/", "lib/", ends=(".c", ".h", ".S")):
        head = re.match(r"/\* SPDX[^\n]*\*/\n(?:#[^\n]*\n|\s*\n)*/\*(.*?)\*/", tree.text(path), re.S)
        if not head or os.path.basename(path) not in head.group(1):
            tree.complain(path, 1, "does not open by its name and what it owns",
                          "a reader learns first what a file is for")


def layers(tree):
    for path in tree.files("src/", ends=(".c", ".h", ".S")):
        folder = path.split("/")[1]
        if folder not in LAYERS:
            continue
        rank = LAYERS.index(folder)
        for match in INCLUDE.finditer(tree.text(path)):
            line = line_of(tree.text(path), match.start())
            local, public = match.groups()
            check_include(tree, path, line, rank, local, public)


def check_include(tree, path, line, rank, local, public):
    why = "a layer knows those below it"
    if local:
        target = local.split("/")[0]
        if "/" not in local or target not in LAYERS:
            tree.complain(path, line, f'"{local}" is not named by its folder', "an include says where it looks")
        elif LAYERS.index(target) > rank:
            tree.complain(path, line, f'includes "{local}" of a higher layer', why)
    elif public == "crank.h":
        tree.complain(path, line, "includes all of crank.h", "the library names what it needs")
    else:
        noun = public[len("crank/"):-len(".h")]
        if LAYERS.index(HEADER_RANK.get(noun, "base")) > rank:
            tree.complain(path, line, f"includes <{public}> of a higher layer", why)


def libraries(tree):
    """A library of lib/ stands on the public headers, as programs do; its names begin with its own and its file's."""
    calls = re.compile(r"(?<![\w>.])(" + "|".join(c for c in OS_CALLS if c not in LIBRARY_CALLS) + r")\s*\(")
    for path in tree.files("lib/", ends=(".c", ".h")):
        library, file = path.split("/")[1], os.path.basename(path)
        text, code = tree.text(path), tree.code(path)
        for match in INCLUDE.finditer(text):
            local, public = match.groups()
            if local and not local.startswith(library + "/"):
                tree.complain(path, line_of(text, match.start()), f'includes "{local}"',
                              "a library includes its own headers, by its folder's name, and public ones")
            elif public == "crank.h":
                tree.complain(path, line_of(text, match.start()), "includes all of crank.h",
                              "the library names what it needs")
        for match in calls.finditer(code):
            if not is_declarator(code, match.start()):
                tree.complain(path, line_of(code, match.start()), f"calls {match.group(1)} directly",
                              "a library's world is crank's, so that it can be simulated")
        public = "|".join(PUBLIC_WORDS.get(library, [library]))
        own = re.compile(rf"crank_({public})_|cr_{library}_{file.rsplit('.', 1)[0]}(_|$)")
        for f in functions_of(tree, path):
            if not f.is_static and not own.match(f.name):
                tree.complain(path, f.line, f"{f.name} is neither crank_{library}_ nor cr_{library}_ and its file's",
                              "a reader finds a function by its name")


def cycles(tree):
    """Modules of one folder (x.c with x.h) must not reach each other through includes in both directions."""
    edges = {}
    for path in tree.files("src/", "lib/", ends=(".c", ".h")):
        module = circle_of(path[path.find("/") + 1:path.rfind(".")])
        targets = {circle_of(m.group(1)[:m.group(1).rfind(".")])
                   for m in INCLUDE.finditer(tree.text(path)) if m.group(1)}
        edges.setdefault(module, set()).update(t for t in targets if t != module)
    for module in edges:
        way = path_back(edges, module)
        if way and module == min(way):
            tree.complain(f"src/{module}.h", 1, "includes itself by way of " + " -> ".join(way),
                          "files stand in an order in which they can be read")


def circle_of(module):
    """The first of the files with which a module stands in a circle that has a reason; else itself."""
    return next((circle[0] for circle in CIRCLES if module in circle), module)


def path_back(edges, start):
    stack, seen = [(start, [start])], set()
    while stack:
        module, way = stack.pop()
        for target in sorted(edges.get(module, ())):
            if target == start:
                return way + [start]
            if target not in seen:
                seen.add(target)
                stack.append((target, way + [target]))
    return None


def names(tree):
    for f in source_functions(tree):
        if f.path.startswith("src/") and not f.is_static and \
                not re.match(r"cr(ank)?_|main$", f.name):
            tree.complain(f.path, f.line, f"{f.name} is visible to other files but is not cr_ or crank_",
                          "a library's names do not meet its users'")


def documentation(tree):
    """Every public function has a comment above it or above its paragraph; one that waits says how it fails."""
    for path in tree.files("include/", ends=(".h",)):
        text = tree.text(path)
        for match in PROTOTYPE.finditer(text):
            name = match.group(1)
            if name.endswith("_"):
                continue
            comment = comment_above(text, match.start())
            line = line_of(text, match.start())
            if not comment:
                tree.complain(path, line, f"{name} has no comment", "the header is the reference")
            elif "CRANK_BLOCKS" in match.group() and not re.search(r"fail|-E[A-Z]|NULL", comment, re.I):
                tree.complain(path, line, f"{name} does not say how it fails", "the header is the reference")


def comment_above(text, offset):
    """All comments of the paragraph that holds offset and stands before it."""
    start = text.rfind("\n\n", 0, offset)
    return " ".join(COMMENT.findall(text[max(start, 0):offset]))


def words(tree):
    this = "tools/"
    for path in tree.all_files():
        if path.startswith(this) or not path.endswith((".c", ".h", ".S", ".py", ".sh", ".md", ".build", ".map", "test",
                                                       "run", "bench")):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            for word, why in BANNED_WORDS.items():
                if word in line and (word.startswith(("/", ".")) or re.search(rf"\b{word}\b", line)):
                    tree.complain(path, number, f"{word}", why)


def os_calls(tree):
    calls = re.compile(r"(?<![\w>.])(" + "|".join(OS_CALLS) + r")\s*\(")
    for path in tree.files("src/", ends=(".c", ".h")):
        allowed, _ = OS_CALLS_ALLOWED.get(path[len("src/"):], ((), ""))
        code = tree.code(path)
        for match in calls.finditer(code):
            if match.group(1) not in allowed and not is_declarator(code, match.start()):
                tree.complain(path, line_of(code, match.start()), f"calls {match.group(1)} directly",
                              "every OS call goes through base/sys.h, so that it can fail in a test")


def is_declarator(code, offset):
    """Is the name at offset being declared or defined, as in `static void free(`?"""
    before = code[code.rfind("\n", 0, offset) + 1:offset]
    return re.search(r"\b(void|int|size_t|ssize_t|bool|long|static)\s+\**$", before) is not None


def banned_calls(tree):
    calls = re.compile(r"(?<![\w>.])(" + "|".join(BANNED_CALLS) + r")\s*\(")
    for path in tree.files("src/", "lib/", ends=(".c", ".h")):
        code = tree.code(path)
        for match in calls.finditer(code):
            if not is_declarator(code, match.start()):
                tree.complain(path, line_of(code, match.start()), f"calls {match.group(1)}",
                              BANNED_CALLS[match.group(1)])


def switches(tree):
    for path in tree.files("src/", ends=(".c", ".h")):
        if SWITCH_ALLOWED.match(path[len("src/"):]):
            continue
        code = tree.code(path)
        for match in SWITCH_NAMES.finditer(code):
            tree.complain(path, line_of(code, match.start()), f"names {match.group(1)}",
                          "there is one place where a task can stop: task/wait.h")


def listed(tree):
    """Every source is in its layer's list, every header is used."""
    included = set()
    for path in tree.files("src/", "lib/", "tests/", "benchmarks/", ends=(".c", ".h", ".S")):
        included.update(m.group(1) for m in INCLUDE.finditer(tree.text(path)) if m.group(1))
    for path in tree.files("src/", "lib/", ends=(".c",)):
        # A library is one list, also of files in folders of its own.
        home = path.split("/")[:2] if path.startswith("lib/") else path.split("/")[:-1]
        build = "/".join(home + ["meson.build"])
        if f"'{path[len(build) - len('meson.build'):]}'" not in (tree.text(build) if build in tree.all_files() else ""):
            tree.complain(path, 1, f"is not in {build}", "a file that is not built is dead")
    for path in tree.files("src/", "lib/", ends=(".h",)):
        if path.partition("/")[2] not in included:
            tree.complain(path, 1, "nobody includes it", "a file that is not used is dead")


def comment_share(tree):
    total = commented = 0
    for path in tree.files("src/", ends=(".c", ".h", ".S")):
        text = tree.text(path)
        total += sum(1 for line in text.split("\n") if line.strip())
        inside = set()
        for match in COMMENT.finditer(text):
            first = line_of(text, match.start())
            inside.update(range(first, first + match.group().count("\n") + 1))
        commented += len(inside)
    if total < 500:
        return
    share = commented / total
    if not COMMENT_SHARE[0] <= share <= COMMENT_SHARE[1]:
        tree.complain("src", 1, f"{share:.0%} of the lines are comments, {COMMENT_SHARE[0]:.0%} to "
                      f"{COMMENT_SHARE[1]:.0%} is right", "comments say why; the rest is said by code")


def layout(tree):
    """As clang-format lays it out: only with the version that .clang-format is written for, else not looked at."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    if ".clang-format" not in tree.all_files() or not program:
        return
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if " version 14." not in version:
        return
    files = tree.files(ends=(".c", ".h"))
    said = subprocess.run([program, "--dry-run", *files], cwd=tree.root, capture_output=True, text=True, check=False)
    seen = set()
    for path, line in re.findall(r"^(\S+?):(\d+):\d+: warning: code should be clang-formatted", said.stderr, re.M):
        if path not in seen:
            tree.complain(path, int(line), "not laid out as .clang-format says: run clang-format -i on it",
                          "one dialect in the whole tree")
        seen.add(path)


def glossary(tree):
    """No identifier that docs/glossary.md has another word for."""
    if "docs/glossary.md" not in tree.all_files():
        return
    better = {}
    for row in tree.text("docs/glossary.md").split("\n"):
        cells = row.split("|")
        if len(cells) == 5:
            better.update((old, cells[1].strip()) for old in re.findall(r"`(\w+)`", cells[3]))
    for path in tree.files("src/", "lib/", "include/", ends=(".c", ".h", ".S")):
        text = tree.code(path)
        for match in re.finditer(r"\b[A-Za-z_]\w*\b", text):
            if match.group() in better:
                word = match.group()
                tree.complain(path, line_of(text, match.start()), f"{word}: the word is {better[word]}",
                              "one word, one meaning: docs/glossary.md")


RULES = [function_sizes, parameters, file_sizes, columns, whitespace, licences, head_comments, layers, libraries,
         cycles, names,
         documentation, words, os_calls, banned_calls, switches, listed, comment_share, layout, declared, hooks,
         broad_headers, circles, homes, glossary]


def run(root, rules=None):
    """All complaints about a tree, and how many rules found none."""
    tree, clean = Tree(root), 0
    for rule in rules or RULES:
        before = len(tree.complaints)
        rule(tree)
        clean += len(tree.complaints) == before
    return tree.complaints, clean


def main():
    arguments = sys.argv[1:]
    by_name = {rule.__name__: rule for rule in RULES}
    if "--list" in arguments:
        print("\n".join(by_name))
        return 0
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    if "--circles" in arguments:
        print_circles(Tree(root))
        return 0
    for argument in list(arguments):
        if os.path.isdir(argument):
            root = argument
            arguments.remove(argument)
    unknown = [a for a in arguments if a not in by_name]
    if unknown:
        known = ", ".join(["--list", "--circles", "a folder", *by_name])
        print(f"tidy: unknown {unknown[0]}; known are {known}", file=sys.stderr)
        return 2
    rules = [by_name[a] for a in arguments] or RULES
    complaints, clean = run(root, rules)
    for complaint in complaints:
        print(complaint)
    print(f"{clean} passed, {len(rules) - clean} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
