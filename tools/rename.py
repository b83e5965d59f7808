#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rename identifiers to the words of docs/glossary.md, one stem at a time.

rename.py --list names the stems; rename.py STEM... renames them in every tracked file but CHANGES.md; tidy's rule
"glossary" then refuses what was renamed. A pattern is a regular expression between word boundaries; where a word means
something else elsewhere, "in" names the files it is renamed in.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

EXPLORE = ["include/crank/explore.h", "include/crank/run.h", "src/inspect/explore.c", "src/cli/explore.c",
           "tests/harness/explored.c", "tests/explore/search.c"]

# stem: (title of its commit, [(old, new, files or None)])
STEMS = {
    "explore": ("explore: results and choices say what they count", [
        ("crank_made", "crank_choice_log", None),
        ("crank_explored_free", "crank_explore_result_free", None),
        ("crank_explored", "crank_explore_result", None),
        (r"(?<=explored[.])all|(?<=explored->)all|(?<=out->)all|(?<=bool )all(?=;)", "exhaustive", EXPLORE),
        (r"(?<=explored[.])longest|(?<=explored->)longest|(?<=out->)longest|(?<=size_t )longest(?=;)", "max_choices",
         EXPLORE),
        (r"(?<=explored[.])found|(?<=explored->)found|(?<=out->)found|(?<=size_t )found(?=;)", "choices_before",
         EXPLORE),
        (r"(?<=explored[.])left|(?<=explored->)left|(?<=out->)left|(?<=size_t )left(?=;)", "choices_after", EXPLORE),
        (r"(?<=explored[.])repeats|(?<=explored->)repeats|(?<=out->)repeats|(?<=bool )repeats(?=;)", "reproducible",
         EXPLORE),
        (r"(?<=choices\[i\][.])of|(?<=choices\[at\][.])of|(?<=told\[\d\][.])of|(?<=choice[.])of", "options",
         EXPLORE + ["tests/"]),
        (r"(?<=uint32_t )of(?=;)", "options", ["include/crank/run.h"]),
        (r"(?<= [.])of(?= = of)", "options", ["src/"]),
    ]),
    "checkpoint": ("checkpoint: what opens a waiting call has one name", [
        ("cr_wait_begin_at_once_slow", "cr_checkpoint_no_yield_slow", None),
        ("cr_wait_begin_at_once", "cr_checkpoint_no_yield", None),
        ("cr_wait_begin_slow", "cr_checkpoint_slow", None),
        ("cr_wait_begin", "cr_checkpoint", None),
        ("cr_wait_end_slow", "cr_checkpoint_yield_slow", None),
        ("cr_wait_end", "cr_checkpoint_yield", None),
        ("cr_wait_quick_in", "cr_checkpoint_fast_in", None),
        ("cr_wait_quick", "cr_checkpoint_fast", None),
        ("cr_wait_open", "cr_checkpoint_open", None),
        ("cr_wait_room", "cr_checkpoint_no_cancel", None),
        ("cr_wait_on_slow", "cr_checkpoint_again_slow", None),
        ("cr_wait_on", "cr_checkpoint_again", None),
        ("cr_wait_noticed", "cr_cancel_pending", None),
        ("cr_wait_costs", "cr_checkpoint_costs", None),
        ("cr_waiting", "cr_caller", None),
    ]),
    "wait": ("wait: a kind of wait is a table of operations: abort, on_timeout, blocked_by", [
        ("cr_wait", "cr_wait_ops", None),
        (r"(?<=->)undo|(?<=[{ ]\.)undo(?= =)", "abort", None),
        (r"bool \(\*undo\)", "bool (*abort)", None),
        (r"(?<=static bool )undo(?=\()", "abort_call", ["src/"]),
        (r"(?<=[.]undo = )undo", "abort_call", ["src/"]),
        (r"(?<=[.]abort = )undo", "abort_call", ["src/"]),
        ("undo_nothing", "abort_nothing", ["src/"]),
        (r"(\w+)_undo", r"\1_abort", ["src/"]),
        ("undo", "abort", ["src/", "docs/tour.md", "CONTRIBUTING.md"]),
        (r"(?<=->)due(?=\()|(?<=wait->)due|(?<=[{ ]\.)due(?= =)", "on_timeout", None),
        (r"void \(\*due\)", "void (*on_timeout)", None),
        (r"(?<=->)holder(?=\()|(?<=wait->)holder|(?<=[{ ]\.)holder(?= =)", "blocked_by", None),
        (r"cr_task \*\(\*holder\)", "cr_task *(*blocked_by)", None),
        ("may_nap", "hibernatable", None),
    ]),
    "pending": ("cancel: requests and scopes are pending until they are delivered", [
        ("CR_TASK_SCOPE_ASKED", "CR_TASK_SCOPE_PENDING", None),
        ("CR_TASK_ASKED", "CR_TASK_CANCEL_PENDING", None),
        ("CR_TASK_NOTICE", "CR_TASK_ANY_PENDING", None),
        ("cr_task_notice", "cr_cancel_deliver", None),
        ("cr_scope_quiet", "cr_scope_clear_pending", None),
        ("cr_scope_caused", "cr_scope_owns_cancel", None),
        ("undelivered", "pending", None),
    ]),
    "trace": ("trace: listeners are tracers, and told is traced", [
        ("cr_wake_told", "cr_wake_traced", None),
        ("cr_wake_untold", "cr_wake_untraced", None),
        ("cr_park_told", "cr_park_traced", None),
        ("cr_tell", "cr_trace_emit", None),
        ("cr_listener", "cr_tracer", None),
        (r"(?<=->)hear|(?<=\*)hear|(?<=\.)hear", "on_event", None),
        ("listener", "tracer", None),
        ("hear", "on_event", ["src/"]),
        ("cr_loop_listen", "cr_loop_trace", None),
        ("cr_since_listen", "cr_since_trace", None),
    ]),
    "lives": ("task: its lives are deferred, external, completing", [
        ("CR_HELD", "CR_DEFERRED", None),
        ("CR_ASIDE", "CR_EXTERNAL", None),
        ("CR_RETURNED", "CR_COMPLETING", None),
        ("unhold", "undefer", None),
    ]),
    "nursery": ("group: whoever owns children is a nursery", [
        ("cr_owner", "cr_nursery", None),
        ("cr_owner_init", "cr_nursery_init", None),
        ("cr_group_owner", "cr_group_nursery", None),
        (r"scope/owner[.](h|c)", r"scope/nursery.\1", None),
        (r"(?<=')owner[.]c(?=')|(?<=`)owner[.]c(?=`)", "nursery.c", ["src/scope/meson.build", "docs/tour.md"]),
        (r"(?<=/[*] )owner[.](h|c)(?=:)", r"nursery.\1", ["src/scope/owner"]),
        ("CR_OWNER_H", "CR_NURSERY_H", None),
    ]),
    "hibernate": ("hibernate: one stem for stacks that are put away", [
        ("cr_nap_wake", "cr_hibernate_wake", None),
        ("cr_nap_touched", "cr_stack_ensure_slow", None),
        ("cr_naps_open", "cr_hibernate_open", None),
        ("cr_naps_close", "cr_hibernate_close", None),
        ("cr_naps_due", "cr_hibernate_due", None),
        ("cr_naps_here", "cr_hibernation_here", None),
        ("cr_naps", "cr_hibernation", None),
        ("cr_scopes_may_nap", "cr_scopes_hibernatable", None),
        ("CR_RUN_NAP", "CR_RUN_HIBERNATED", None),
        ("cr_stack_touch", "cr_stack_ensure", None),
    ]),
    "state": ("task: the state of a loop's tasks, and its scheduler", [
        ("cr_tasks_of", "cr_task_state_of", None),
        ("cr_tasks_open", "cr_task_state_open", None),
        ("(__wrap_|__real_|)cr_tasks_close", r"\1cr_task_state_close", None),
        ("cr_tasks", "cr_task_state", None),
        ("cr_runner_(push_front|push|enter|init)", r"cr_sched_\1", None),
        ("cr_runner_enter_fast", "cr_sched_enter_fast", None),
        ("cr_runner", "cr_sched", None),
        ("CR_RUNNER_(\\w+)", r"CR_SCHED_\1", None),
        ("cr_handle", "cr_task_handle", None),
    ]),
    "counts": ("task: counts, sequence numbers, external references", [
        ("tally", "counts", None),
        ("CR_TALLY_(\\w+)", r"CR_COUNTS_\1", None),
        ("moments", "sequence", None),
        (r"(?<=loop->)outside", "external_refs", None),
        (r"size_t outside(?=;)", "size_t external_refs", None),
        ("remarks", "unref_timers", None),
        ("hopeless", "nothing_pending", None),
    ]),
    "calls": ("call: captured calls are small or large", [
        ("make_plainly", "make_fast", None),
        ("spawn_fully", "spawn_slow", None),
        ("spawn_eager_fully", "spawn_eager_slow", None),
        ("make_fully", "make_slow", None),
        ("await_fully", "await_slow", None),
        ("return_fully", "return_slow", None),
        ("cr_few_args", "cr_small_args", None),
        ("cr_many_args", "cr_large_args", None),
        ("cr_captured_few", "cr_captured_small", None),
        ("cr_captured_many", "cr_captured_large", None),
        ("cr_fiber_few", "cr_fiber_small", None),
        ("CR_FIBER_FLAG_MANY", "CR_FIBER_FLAG_LARGE", None),
        ("CR_RUNNER_MANY|CR_SCHED_MANY", "CR_SCHED_LARGE", None),
        ("many_free", "large_free", None),
    ]),
}


def files():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout
    kept = ("CHANGES.md", "tools/rename.py", "docs/glossary.md")
    for path in listed.split():
        if path not in kept and not path.startswith(("docs/adr", "examples/tutorials/golden")):
            yield path


def rename(stem):
    _, words = STEMS[stem]
    for path in files():
        full = os.path.join(ROOT, path)
        try:
            with open(full, encoding="utf-8") as file:
                before = text = file.read()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for old, new, only in words:
            if only and not path.startswith(tuple(only)):
                continue
            text = re.sub(rf"\b(?:{old})\b" if re.fullmatch(r"[\w|()\\+]+", old) else rf"(?:{old})(?!\w)", new, text)
        if text != before:
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)


def main():
    if sys.argv[1:] == ["--list"]:
        for stem, (title, _) in STEMS.items():
            print(f"{stem:12} {title}")
        return 0
    unknown = [a for a in sys.argv[1:] if a not in STEMS]
    if unknown or len(sys.argv) == 1:
        print(f"rename: known are --list and {', '.join(STEMS)}", file=sys.stderr)
        return 2
    for stem in sys.argv[1:]:
        rename(stem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
