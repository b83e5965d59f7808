# SPDX-License-Identifier: MIT
"""tidy.py's rules about ranks by call: what a rank defines it declares, what points upwards has a reason, and files
can be read one after another."""
import fnmatch
import re

from tidy_tree import INCLUDE, functions_of, line_of

# Functions declared in one rank and defined in a higher one: calls upwards by name.
UPWARD_MAX = 4
UPWARD = {
    "cr_fiber_returned": "the switch jumps there when a task's function returns",
    "cr_watchdog_watch": "a loop asks to be watched; the watchdog reads tasks",
    "cr_watchdog_leave": "the same",
    "cr_watchdog_postpone": "the same",
}
# Functions that a higher rank hangs into a lower one's shared state, by where the pointer is. Tables of functions that
# a lower rank defines and calls (cr_hooks, cr_wait_ops, cr_scope_ops) are interfaces and need no entry.
TASKS_HOOKS_MAX = 3
HOOKS = {
    "cr_task_state.cancel_job": "a request may end a job that no worker has taken: the queue is the rank thread's",
    "cr_task_state.leave_locks": "a task that has returned with a lock is named by the lock's rank",
    "cr_check_hook": "a failed CHECK names the running task",
    "cr_null_faulted": "a fault at a small address is described by who knows tasks",
    "cr_stack_restore": "a fault in a stack that is put away brings it back",
    "cr_watchdog_sleeps": "a test sees when the watchdog sleeps",
}
# The state that all ranks share, where a pointer to a function is a hook.
SHARED_STATE = ("cr_task_state", "crank_loop")
# Headers that more than half of their folder includes: the rank's own type, or with another reason.
BROAD = {
    "group/results.h": "each of them gives results to variables, and says the same when one does not fit",
    "thread/workers.h": "the workers' own type",
    "backend/nonblocking.h": "each backend performs operations without waiting, and in the same way",
}
BROAD_FOLDER = 6  # in a smaller folder a header has few readers anyhow
CIRCLE_MAX = 3


def declared(tree):
    """A function visible to other files is declared in a header of the rank that defines it."""
    headers = {}
    for path in tree.files("src/", ends=(".h",)):
        for name in set(re.findall(r"\b(cr_\w+)\s*\(", tree.code(path))):
            headers.setdefault(name, set()).add(path.split("/")[1])
    upwards = set()
    for path in tree.files("src/", ends=(".c",)):
        rank = path.split("/")[1]
        for f in functions_of(tree, path):
            where = headers.get(f.name, set())
            if f.is_static or not f.name.startswith("cr_") or rank in where:
                continue
            upwards.add(f.name)
            if f.name not in UPWARD:
                place = f"in {', '.join(sorted(where))}" if where else "nowhere"
                tree.complain(path, f.line, f"{f.name} is defined in {rank} and declared {place}",
                              "a call upwards by name is a dependency that no include shows")
    if len(upwards) > UPWARD_MAX:
        tree.complain("src", 1, f"{len(upwards)} functions are called upwards by name, at most {UPWARD_MAX}",
                      "what cannot be declared below its caller goes through few hooks")


def hooks_of(tree):
    """The pointers to functions in shared state, and those that stand alone: name, path and line."""
    for path in tree.files("src/", ends=(".h",)):
        code = tree.code(path)
        for match in re.finditer(r"^extern\b[^;{]*\(\*\s*(\w+)\)\s*\(", code, re.M):
            yield match.group(1), path, line_of(code, match.start())
        for struct in SHARED_STATE:
            body = re.search(rf"^(?:typedef )?struct {struct} \{{.*?^\}}", code, re.M | re.S)
            for match in re.finditer(r"\(\*\s*(\w+)\)\s*\(", body.group() if body else ""):
                yield f"{struct}.{match.group(1)}", path, line_of(code, body.start() + match.start())


def hooks(tree):
    found = list(hooks_of(tree))
    for name, path, line in found:
        if name not in HOOKS:
            tree.complain(path, line, f"the hook {name} is not in HOOKS, with the reason why it must point upwards",
                          "what a lower rank needs from a higher one is a table it defines, or has a reason")
    inside = [name for name, _, _ in found if name.startswith("cr_task_state.")]
    if len(inside) > TASKS_HOOKS_MAX:
        tree.complain("src", 1, f"cr_task_state has {len(inside)} hooks, at most {TASKS_HOOKS_MAX}",
                      "what cannot be declared below its caller goes through few hooks")


def broad_headers(tree):
    """No header that more than half of its folder's files include but the rank's own type."""
    for folder in sorted({p.split("/")[1] for p in tree.files("src/", ends=(".c",))}):
        files = tree.files(f"src/{folder}/", ends=(".c",))
        readers = {}
        for path in files:
            for match in INCLUDE.finditer(tree.text(path)):
                target = match.group(1) or ""
                if target.startswith(folder + "/") and target[:-len(".h")] != path[len("src/"):-len(".c")]:
                    readers.setdefault(target, set()).add(path)
        for header, paths in sorted(readers.items()):
            if len(files) >= BROAD_FOLDER and len(paths) > len(files) / 2 and header not in BROAD:
                tree.complain(f"src/{header}", 1, f"{len(paths)} of {len(files)} files of its folder include it",
                              "a header that everybody includes says nothing about who needs what")


def bodies_of(tree, path):
    """The functions of a file, each with its code."""
    lines = tree.code(path).split("\n")
    for f in functions_of(tree, path):
        yield f, "\n".join(lines[f.line - 1:f.line - 1 + f.length])


def call_edges(tree):
    """Which module of a folder (x.c with x.h) calls which other: by the names in the bodies of functions."""
    paths = [p for p in tree.files("src/", ends=(".c", ".h")) if p.count("/") == 2]
    homes = {f.name: path for path in paths for f in functions_of(tree, path)
             if path.endswith(".h") or not f.is_static}
    edges = {}
    for path in paths:
        module = path[len("src/"):path.rfind(".")]
        for _, body in bodies_of(tree, path):
            for name in set(re.findall(r"\b(\w+)\s*\(", body)):
                home = homes.get(name, path)
                target = home[len("src/"):home.rfind(".")]
                if target != module and target.split("/")[0] == module.split("/")[0]:
                    edges.setdefault(module, set()).add(target)
    return edges


def reachable(edges, start):
    seen, stack = set(), [start]
    while stack:
        for target in edges.get(stack.pop(), ()):
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return seen


def circles_of(tree):
    """The sets of modules that reach each other by calls, each once."""
    edges = call_edges(tree)
    reach = {module: reachable(edges, module) for module in edges}
    found = {tuple(sorted(m for m in reach[module] if module in reach.get(m, ()))) for module in edges
             if module in reach[module]}
    return sorted(found)


def circles(tree):
    for circle in circles_of(tree):
        if len(circle) > CIRCLE_MAX:
            tree.complain(f"src/{circle[0]}.c", 1, f"{len(circle)} files call each other: {', '.join(circle)}",
                          f"more than {CIRCLE_MAX} files cannot be read one after another")


TOUR = "docs/tour.md"
TOUR_ROW = re.compile(r"^\| `(\w+/\w+\.[cS])` \| (.*) \|$", re.M)


def elsewhere_of(tree):
    """The tour's table of functions that do not stand in the file of their name: file: patterns."""
    rows = TOUR_ROW.findall(tree.text(TOUR)) if TOUR in tree.all_files() else []
    return {file: re.findall(r"`([\w*]+)`", names) for file, names in rows}


def file_of_name(name, paths):
    """The files of a function's name: those with the longest name with which it begins, behind cr_ or crank_."""
    name = re.sub(r"^cr(ank)?_", "", name).rstrip("_") + "_"
    fits = {}
    for path in paths:
        stem = path.split("/")[-1][:-len(".c")]
        for form, exact in ((stem, 1), (stem + "s", 0), (stem.removesuffix("s"), 0)):
            if name.startswith(form + "_"):
                fits[path] = max(fits.get(path, (0, 0)), (len(form), exact))
    return [path for path in fits if fits[path] == max(fits.values())]


def homes(tree):
    """A function that other files may call stands in the file of its name, or in the tour's table."""
    paths, elsewhere = tree.files("src/", ends=(".c",)), elsewhere_of(tree)
    used = set()
    for path in paths:
        patterns = elsewhere.get(path[len("src/"):], [])
        for f in functions_of(tree, path):
            if f.is_static or f.name == "main":
                continue
            listed = [p for p in patterns if fnmatch.fnmatchcase(f.name, p)]
            used.update((path[len("src/"):], p) for p in listed)
            if not listed and file_of_name(f.name, paths) != [path]:
                tree.complain(path, f.line, f"{f.name} does not stand in the file of its name",
                              f"a reader finds a function by its name; exceptions are in the table of {TOUR}")
    for file, patterns in elsewhere.items():
        for pattern in patterns:
            if (file, pattern) not in used:
                tree.complain(TOUR, 1, f"{pattern} is no function of {file}", "a table that is wrong misleads")


def print_circles(tree):
    """What is allowed and worth knowing: files that call each other, and calls upwards."""
    for circle in circles_of(tree):
        print("circle:", " ".join(circle))
    for name, path, line in hooks_of(tree):
        print(f"hook: {name} ({path}:{line}): {HOOKS.get(name, 'no reason')}")
    for name, why in UPWARD.items():
        print(f"upwards by name: {name}: {why}")
