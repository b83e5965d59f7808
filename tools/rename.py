#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rename identifiers to the words of docs/glossary.md, one stem at a time.

rename.py --list names the stems; rename.py STEM... renames them in every tracked file but CHANGES.md, and moves the
files of MOVES. What a longer name has made too long in src is laid out again: comments here, code by clang-format
(rename.py --wrap FILE... does that alone). tidy's rule "glossary" then refuses what was renamed. A pattern is a regular
expression between word boundaries; where a word means something else elsewhere, "in" names the files it is renamed in.
"""
import os
import re
import subprocess
import sys
import textwrap

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

EXPLORE = ["include/crank/explore.h", "include/crank/run.h", "src/inspect/explore.c", "src/cli/explore.c",
           "tests/harness/explored.c", "tests/explore/search.c"]
SYNC = ["src/task/wait.h", "src/sync/"]
WIDTH = 100

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
    "wait_data": ("task: what it waits for is wait_object, and wait_data is a union of what waits keep there", [
        (r"void \*on;( +)/[*] what it waits for: a lock, a queue, a task [*]/\n    void \*place; +/[*] where the waker "
         r"puts the result [*]/",
         "void *wait_object; /* what it waits for: a lock, a queue, a task */\n"
         "    /* Between a waiter and its waker; the kind of wait says which member holds. */\n"
         "    union cr_wait_data {\n"
         "        void *element;     /* of a queue's waiter: where its element lies, or goes */\n"
         "        const char *call;  /* of a blocking call: its name */\n"
         "        void *notified_by; /* of a lock's waiter: a condition, whose notification it has; or */\n"
         "        long error;        /* below 0: what its wait gives once it has the lock */\n"
         "        uint64_t position; /* of a writer: how many bytes must have been sent */\n"
         "        bool named;  /* a task that does not end, for which it waits, has been reported */\n"
         "        bool failed; /* of an await, from the end of the task awaited: did that fail? */\n"
         "        int expected; /* of a shared await until then: which class of result it wants */\n"
         "    } wait_data;", ["src/task/task.h"]),
        (r"(?<=->)on", "wait_object", ["src/"]),
        (r"(?<=task[.])on", "wait_object", ["tools/gdb/"]),
        (r'self[.]on, self[.]place, self[.]deadline = get\("on", "Q"\), get\("place", "Q"\), get',
         'self.wait_object, self.wait_data = get("wait_object", "Q"), get("wait_data", "Q")\n        '
         'self.deadline = get',
         ["tools/gdb/"]),
        (r"(?<=task[.])place", "wait_data", ["tools/gdb/"]),
        (r"(?<=tter->)place", "wait_data.element", ["src/sync/queue.c"]),
        (r"(?<=self->)place", "wait_data.element", ["src/sync/queue.c"]),
        (r"\(const char \*\)task->place", "task->wait_data.call", ["src/thread/blocking.c"]),
        (r"self->place = \(void \*\)\(uintptr_t\)name", "self->wait_data.call = name", ["src/thread/blocking.c"]),
        (r"\(long\)\(intptr_t\)next->place", "next->wait_data.error", ["src/sync/lock.h"]),
        (r"self->place = NULL", "self->wait_data.error = 0", ["src/sync/lock.c"]),
        (r"task->place = \(void \*\)\(intptr_t\)-ECANCELED", "task->wait_data.error = -ECANCELED",
         ["src/sync/condition.c"]),
        (r"\(intptr_t\)condition < 0", "task->wait_data.error < 0", ["src/sync/condition.c"]),
        (r"(?<=task->)place", "wait_data.notified_by", ["src/sync/condition.c"]),
        (r"waiter->place = waiter->(on|wait_object)", "waiter->wait_data.named = true", ["src/scope/join.c"]),
        (r"waiter->place [?]", "waiter->wait_data.named ?", ["src/scope/join.c"]),
        (r"waiter->place = \(void \*\)\(uintptr_t\)failed", "waiter->wait_data.failed = failed", ["src/scope/join.c"]),
        (r"waiter->place = NULL; /[*] the first", "waiter->wait_data.named = false; /* the first",
         ["src/scope/join.c"]),
        (r"self->place = NULL; /[*] not named", "self->wait_data.named = false; /* not named", ["src/scope/join.c"]),
        (r"self->place = NULL", "self->wait_data.failed = false", ["src/scope/join.c"]),
        (r"place = \(void \*\)\(uintptr_t\)\(task->fiber.flags & CR_TASK_FAILED\)",
         "wait_data.failed = task->fiber.flags & CR_TASK_FAILED", ["src/scope/join.c"]),
        (r"\(enum result_class\)\(uintptr_t\)waiter->place", "(enum result_class)waiter->wait_data.expected",
         ["src/scope/join.c"]),
        (r"place = \(void \*\)\(uintptr_t\)expected", "wait_data.expected = (int)expected", ["src/scope/join.c"]),
        (r"place = \(void \*\)1", "wait_data.failed = true", ["src/scope/join.c"]),
        (r"self->place != NULL", "self->wait_data.failed", ["src/scope/join.c"]),
        (r"(?<=self->)place", "wait_data.failed", ["src/scope/join.c"]),
        (r"\(uint64_t\)\(uintptr_t\)task->place", "task->wait_data.position", ["src/io/"]),
        (r"self->place = \(void \*\)\(uintptr_t\)(all|sent)", r"self->wait_data.position = \1", ["src/io/"]),
        (r"= task->place", "= task->wait_data.named", ["src/scope/end.c"]),
        (r"task->place = task", "task->wait_data.named = true", ["src/scope/end.c"]),
        (r"task->place = NULL", "task->wait_data.named = false", ["src/scope/end.c"]),
        (r"parent->place = NULL", "parent->wait_data.failed = false", ["src/scope/end.c"]),
    ]),
    "waiters": ("sync: a cr_waitq's tasks are its waiters; the epoll backend's lists are queues", [
        (r"(?<=->)line", "waiters", SYNC),
        (r"(?<=, )line(?=\))", "waiters", [f"src/sync/{name}.c" for name in ("event", "semaphore", "barrier", "lock",
                                                                             "condition")]),
        (r"(?<!\w)line(?=->)|(?<=cr_waitq_pop\()line", "waiters", ["src/task/wait.h", "src/sync/object.h"]),
        (r"(?<=cr_waitq )line(?=;)|(?<=cr_waitq \*)line", "waiters", SYNC),
        (r"(?<=on = )line|(?<=wait_object = )line|(?<=cr_waitq_join\()line|(?<=&)line", "waiters", ["src/task/wait.h"]),
        (r'(?<="crank_)(event|semaphore|condition|barrier|lock)", "line"', r'\1", "waiters"', ["tools/gdb/"]),
        (r"struct line", "struct queue", ["src/backend/epoll.c"]),
        (r"line_(add|remove)", r"queue_\1", ["src/backend/epoll.c"]),
        (r"cr_epoll_line", "cr_epoll_queue", None),
        (r"cr_epoll_line_(add|remove)", r"cr_epoll_queue_\1", None),
        (r"(?<=struct queue \*)line|(?<=)line(?=->)", "queue", ["src/backend/epoll.c"]),
        (r"(?<=sim->)line|(?<=cr_worker \*)line(?=;)", "runnable", ["src/thread/sim_pool.c"]),
        ("line_length", "runnable_count", ["src/thread/sim_pool.c"]),
    ]),
    "parent": ("group: the task that opened a group is its parent", [
        ("opener", "parent", ["src/"]),
        ("(wake|check)_opener", r"\1_parent", ["src/"]),
    ]),
    "worker_words": ("thread: the pool wakes workers and polls; it does not summon and look", [
        ("summon", "wake_worker", ["src/thread/", "tests/model/"]),
        ("may_summon", "may_wake_worker", ["src/thread/", "tests/model/"]),
        ("vain_max", "failed_spins_max", ["src/thread/"]),
        (r"(?<=->)vain|(?<=uint32_t )vain(?=;)", "failed_spins", ["src/thread/"]),
        (r"(?<=->)look|(?<=crank_handle \*)look(?=;)", "poll_timer", ["src/thread/", "tests/model/"]),
        (r"(?<=->)looking|(?<=atomic_bool )looking(?=;)", "poll_planned", ["src/thread/", "tests/model/"]),
        ("look_in", "plan_poll", ["src/thread/", "tests/model/"]),
        ("look_due", "poll_due", ["src/thread/", "tests/model/"]),
        ("end_look", "end_poll", ["src/thread/", "tests/model/"]),
        ("look_ns", "poll_ns", ["src/thread/"]),
        ("nap", "poll_delay", ["src/thread/real_pool.c"]),
        ("NAP_(SECONDS|SECONDS_MAX)", r"POLL_\1", ["src/thread/real_pool.c"]),
        ("call_more", "wake_more", ["src/thread/", "tests/model/"]),
        (r"(?<=unsigned )wanted(?=\()|(?<= = )wanted(?=\()", "workers_to_wake", ["src/thread/real_pool.c"]),
        (r"(?<=bool )stood(?=\()|(?<=!)stood(?=\()|(?<=\(void\))stood(?=\()", "clock_stalled", ["src/loop/turn.c"]),
        (r"stood(?=\()", "stall_time", ["src/inspect/watchdog.c"]),
        (r"tidy(?=\()", "housekeep", ["src/loop/turn.c"]),
        (r"oversleep(?=\()", "wake_late", ["src/loop/turn.c"]),
        (r"furnish(?=\()", "open_parts", ["src/loop/open.c"]),
    ]),
    "hibernated": ("hibernate: a stack that is put away is hibernated, and a loop's are its hibernation", [
        (r"(?<=struct cr_hibernation \*)naps|(?<=)naps(?=->)|(?<=\()naps(?=[,) ])|(?<=!)naps|(?<=->)naps|(?<= = )naps"
         r"|(?<=sizeof [*])naps|(?<=, )naps(?=\))",
         "hibernation", ["src/"]),
        (r"(?<=struct )nap|(?<=)nap(?= \*)|(?<=\()nap(?=\)|\{)|(?<= )nap(?=;)", "hibernated", ["src/task/hibernate.c"]),
        ("nap_new", "hibernated_new", ["src/task/hibernate.c"]),
        (r'(?<=")nap(?=")', "hibernated", ["tools/gdb/"]),
        (r"(?<!\w)nap(?=\[)", "hibernated", ["tools/gdb/"]),
        (r"(?<= )nap(?= =)", "hibernated", ["tools/gdb/"]),
        ("NAP", "HIBERNATED", ["tools/gdb/"]),
    ]),
    "files": ("src: five files are named for what is in them: switch_sanitized, symbolize, elements, lock_debug, "
              "nonblocking", [
        ("announced[.]c", "switch_sanitized.c", None),
        ("CR_ANNOUNCED", "CR_SWITCH_SANITIZED", None),
        ("is_announced", "is_sanitized", ["tools/gdb/"]),
        ("base/place[.]h", "base/symbolize.h", None),
        ("place[.](c|h)", r"symbolize.\1", ["src/base/", "docs/tour.md"]),
        ("CR_PLACE_H", "CR_SYMBOLIZE_H", None),
        ("cr_place_returned_to", "cr_symbolize_is_return", None),
        ("cr_place_print", "cr_symbolize_print", None),
        ("sync/store[.](h|c)", r"sync/elements.\1", None),
        ("store[.](c|h)", r"elements.\1", ["src/sync/", "docs/tour.md", "tests/unit/store.c", "tests/unit/elements.c"]),
        ("CR_STORE_H", "CR_ELEMENTS_H", None),
        ("cr_store", "cr_elements", None),
        (r"cr_store_(init|deinit|grow|clear|put|take)", r"cr_elements_\1", None),
        (r"cr_(heap|ring)_(put|take|at)", r"cr_elements_\1_\2", ["src/sync/", "tests/unit/store.c",
                                                                "tests/unit/elements.c"]),
        ("sync/trace[.]c", "sync/lock_debug.c", None),
        ("trace[.]c", "lock_debug.c", ["src/sync/"]),
        ("cr_lock_untrace", "cr_lock_debug_forget", None),
        ("cr_lock_trace_waiter", "cr_lock_debug_waits", None),
        ("cr_lock_trace", "cr_lock_debug_takes", None),
        ("backend/attempt[.](h|c)", r"backend/nonblocking.\1", None),
        ("attempt[.](c|h)", r"nonblocking.\1", ["src/backend/", "docs/tour.md", "tests/unit/attempt.c",
                                               "tests/unit/nonblocking.c"]),
        ("CR_ATTEMPT_H", "CR_NONBLOCKING_H", None),
        ("cr_attempt_waiting", "cr_nonblocking_or_wait", None),
        ("cr_attempt", "cr_nonblocking", None),
        ("cr_attempt_(receive|send)", r"cr_nonblocking_\1", None),
        ("cr_op_events", "cr_nonblocking_events", None),
    ]),
    "freelist": ("base: objects of one size come from a freelist; a pool is one of threads or of a group's tasks", [
        ("cr_pool", "cr_freelist", None),
        (r"cr_pool_(init|deinit|grow|get|put)", r"cr_freelist_\1", None),
        ("base/pool[.](h|c)", r"base/freelist.\1", None),
        ("pool[.](c|h)", r"freelist.\1", ["src/base/", "tests/unit/pool.c", "tests/unit/freelist.c"]),
        ("CR_POOL_H", "CR_FREELIST_H", None),
        ("pool", "freelist", ["src/base/pool", "src/base/freelist"]),
        ("pools", "freelists", ["src/base/pool", "src/base/freelist"]),
        ("generator_pool", "generator_freelist", ["src/"]),
    ]),
    "names_base": ("base, context: functions are named by the file in which they stand", [
        ("cr_commit", "cr_pages_commit", None),
        ("cr_uncommit", "cr_pages_release", None),
        ("cr_stderr_paint", "cr_check_paint", None),
        ("cr_captured_small", "cr_fiber_captured_small", None),
        ("cr_captured_large", "cr_fiber_captured_large", None),
        ("cr_floating_control", "cr_fiber_floating_control", None),
        ("cr_floating_control_set", "cr_fiber_floating_control_set", None),
        ("cr_stack_prepare", "cr_fiber_prepare_stack", None),
        ("cr_error_words", "cr_failure_error_words", None),
    ]),
    "names_loop": ("loop: functions are named by the file in which they stand", [
        ("cr_call_(get|forget|put|find)", r"cr_handles_\1", None),
        ("cr_call_handle", "cr_handles_of", None),
        ("cr_watch_(new|free)", r"cr_callback_watch_\1", None),
        ("cr_fork_note", "cr_inherit_note", None),
        ("cr_fork_came_back", "cr_inherit_came_back", None),
        ("cr_loop_inherit", "cr_inherit_loop", None),
        ("cr_loop_renew", "cr_inherit_renew", None),
        ("cr_loop_inherited", "cr_inherit_is_needed", None),
        ("cr_(nanoseconds|instant|choose)", r"cr_loop_\1", None),
        ("cr_loop_turn", "cr_turn", None),
        ("cr_loop_drive", "cr_turn_drive", None),
    ]),
    "names_task": ("task: functions are named by the file in which they stand", [
        ("cr_cancel_pending", "cr_checkpoint_pending", None),
        ("cr_wait_without_scope", "cr_checkpoint_without_scope", None),
        ("cr_task_name", "cr_describe_name", None),
        ("cr_task_describe", "cr_describe_task", None),
        ("cr_failed", "cr_error_set", None),
        ("cr_failure_(here|take|give|move|copy|collect)", r"cr_error_\1", None),
        ("cr_reason_deliver", "cr_error_deliver_reason", None),
        ("cr_stack_ensure", "cr_hibernate_ensure", None),
        ("cr_stack_ensure_slow", "cr_hibernate_ensure_slow", None),
        ("cr_numbers_reserve", "cr_record_reserve_numbers", None),
        ("cr_task_value_of_kind", "cr_result_value_of_kind", None),
        ("cr_task_bits_of_kind", "cr_result_bits_of_kind", None),
        ("cr_task_(error|value|bits)", r"cr_result_\1", None),
        ("cr_since_trace", "cr_wait_times_trace", None),
        ("cr_(self|loop)_checked", r"cr_checked_\1", None),
        ("cr_task_of_failed", "cr_checked_task_failed", None),
        ("cr_task_ext", "cr_record_ext", None),
    ]),
    "names_scope": ("scope: functions are named by the file in which they stand", [
        ("cr_scopes_(fired|requested|deliverable|pending|run_on|answer|defer|ops)", r"cr_interruption_\1", None),
        ("cr_scopes_interrupt", "cr_interruption_give", None),
        ("cr_scope_owns_cancel", "cr_interruption_owned_by", None),
        ("cr_scope_(absorb|restore_shared|restore_since)", r"cr_interruption_\1", None),
        ("cr_task_cancel", "cr_cancel_task", None),
        ("cr_children_cancel", "cr_cancel_children", None),
        ("cr_ext_free", "cr_end_free_ext", None),
        ("cr_task_(release|release_plain|is_plain|complete|complete_error|unmake|left)", r"cr_end_\1", None),
        ("cr_children_unwanted", "cr_end_children_unwanted", None),
        ("cr_name_leftovers", "cr_end_name_leftovers", None),
        ("cr_returned_cancel", "cr_end_cancel_completing", None),
        ("cr_future_ended", "cr_end_future", None),
        ("cr_task_(claim|watch|unwatch|end_of)", r"cr_join_\1", None),
        ("cr_child_(alive|link|unlink)", r"cr_nursery_\1", None),
        ("cr_children_of", "cr_nursery_list_of", None),
        ("cr_task_adopt", "cr_nursery_adopt", None),
        ("cr_future_uncount", "cr_nursery_uncount_future", None),
        ("cr_grace_(start|stop|over)", r"cr_reap_grace_\1", None),
        ("cr_dones_(left|free)", r"cr_release_dones_\1", None),
        ("cr_need_stack", "cr_sleeper_need_stack", None),
        ("cr_task_make", "cr_spawn_make", None),
        ("cr_task_(make_owned|make_from|ready)", r"cr_spawn_\1", None),
        ("cr_scope_timer_due", "cr_timeout_due", None),
    ]),
    "names_group": ("group, generator: functions are named by the file in which they stand", [
        ("cr_result_fits", "cr_results_fits", None),
        ("cr_result_words", "cr_results_words", None),
        ("cr_variables_words", "cr_results_variables_words", None),
        ("cr_deliver_(at_end|added)", r"cr_results_deliver_\1", None),
        ("cr_generator_(get|put)", r"cr_generators_\1", None),
        ("generator/registry[.]c", "generator/generators.c", None),
        ("registry[.]c", "generators.c", ["src/generator/"]),
    ]),
    "names_thread": ("thread: functions are named by the file in which they stand", [
        ("cr_jobs", "cr_job_queue", None),
        ("cr_jobs_(init|deinit|put|take|give_back|collect|waiting)", r"cr_job_queue_\1", None),
        ("cr_sim_(preempt|wait|resume)", r"cr_sim_pool_\1", None),
        ("cr_pool_ops", "cr_workers_ops", None),
        ("thread/pool[.]h", "thread/workers.h", None),
        ("CR_THREAD_POOL_H", "CR_WORKERS_H", None),
        (r"(?<!\w)pool[.]h", "workers.h", ["src/thread/"]),
        (r"(?<!\w)open[.]c", "workers.c", ["src/thread/"]),
    ]),
    "names_run": ("run, inspect, cli: functions are named by the file in which they stand", [
        ("cr_run_start_grace", "cr_shutdown_start_grace", None),
        ("cr_(root|detached)_ended", r"cr_shutdown_\1_ended", None),
        ("cr_run_starved", "cr_shutdown_starved", None),
        ("run/open[.](h|c)", r"run/task_state.\1", None),
        ("inspect/call[.](h|c)", r"inspect/syscalls.\1", None),
        ("cr_call_name", "cr_syscalls_name", None),
        ("cr_beat_(of|same)", r"cr_sample_beat_\1", None),
        ("cr_command_explore", "cr_explore_command", None),
        ("cr_sim_sys_init", "cr_table_init", None),
        ("open[.](h|c)", r"task_state.\1", ["src/run/"]),
        ("CR_OPEN_H", "CR_TASK_STATE_H", ["src/run/"]),
        (r"(?<!\w)call[.](h|c)", r"syscalls.\1", ["src/inspect/"]),
        ("CR_CALL_H", "CR_SYSCALLS_H", ["src/inspect/"]),
    ]),
    "names_world": ("world: functions are named by the file in which they stand", [
        ("cr_event_(plan|drop)", r"cr_events_\1", None),
        ("cr_socket_(find|new|number|join|release)", r"cr_sockets_\1", ["src/world/", "src/backend/", "tests/unit/"]),
        ("cr_backlog_(push|leave|done)", r"cr_sockets_backlog_\1", None),
        ("cr_options_init", "cr_socket_options_init", ["src/world/", "tests/"]),
        ("cr_net_(connect|listen|accept)", r"cr_handshake_\1", None),
        ("cr_net_bind", "cr_names_bind", None),
        ("cr_net_(own|peer)_name", r"cr_names_\1", None),
        ("cr_net_(socket|pair|close|stat|deinit|events|next|deliver)", r"cr_network_\1", None),
        ("cr_net_(set|get)_option", r"cr_socket_options_\1", None),
        ("cr_net_(send|recv|shutdown)", r"cr_wire_\1", None),
    ]),
}

# Files that a stem renames, where they stand: the old name and the new.
MOVES = {
    "files": [("src/context/announced.c", "src/context/switch_sanitized.c"),
              ("src/base/place.c", "src/base/symbolize.c"), ("src/base/place.h", "src/base/symbolize.h"),
              ("src/sync/store.c", "src/sync/elements.c"), ("src/sync/store.h", "src/sync/elements.h"),
              ("src/sync/trace.c", "src/sync/lock_debug.c"),
              ("src/backend/attempt.c", "src/backend/nonblocking.c"),
              ("src/backend/attempt.h", "src/backend/nonblocking.h"),
              ("tests/unit/store.c", "tests/unit/elements.c"), ("tests/unit/attempt.c", "tests/unit/nonblocking.c")],
    "names_group": [("src/generator/registry.c", "src/generator/generators.c")],
    "names_thread": [("src/thread/pool.h", "src/thread/workers.h"), ("src/thread/open.c", "src/thread/workers.c")],
    "names_run": [("src/run/open.c", "src/run/task_state.c"), ("src/run/open.h", "src/run/task_state.h"),
                  ("src/inspect/call.c", "src/inspect/syscalls.c"), ("src/inspect/call.h", "src/inspect/syscalls.h")],
    "freelist": [("src/base/pool.c", "src/base/freelist.c"), ("src/base/pool.h", "src/base/freelist.h"),
                 ("tests/unit/pool.c", "tests/unit/freelist.c")],
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
            if path.startswith("src/") and path.endswith((".c", ".h")):
                wrap(full)
    for old, new in MOVES.get(stem, ()):
        if os.path.exists(os.path.join(ROOT, old)):
            subprocess.run(["git", "-C", ROOT, "mv", old, new], check=True)


def wrap(path):
    """Lay a file of src out again where it is wider than 100 columns."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"^( *)(\S.*?) +(/[*] .* [*]/)$",  # a comment behind code: above it
                  lambda m: m.group() if len(m.group()) <= WIDTH or m.group(2).startswith(("/*", "#", "*"))
                  else f"{m.group(1)}{m.group(3)}\n{m.group(1)}{m.group(2)}", text, flags=re.M)
    text = re.sub(r"^( *)/[*] ((?:(?![*]/).)*)[*]/$", wrap_comment, text, flags=re.M | re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run(["clang-format", "-i", path], check=True)


def wrap_comment(match):
    if all(len(line) <= WIDTH for line in match.group().split("\n")):
        return match.group()
    indent = match.group(1)
    paragraphs = re.split(r"\n *[*]\n", match.group(2).rstrip())
    laid = []
    for i, paragraph in enumerate(paragraphs):
        lines = [re.sub(r"^ *[*] ?", "", line) for line in paragraph.split("\n")]
        width = WIDTH - len(indent) - 3
        if i == len(paragraphs) - 1:
            lines[-1] += "\u00a0*/"  # not alone on a line
        if any(len(line) > width for line in lines) and not any(re.match(r" {2}|-", line) for line in lines):
            lines = textwrap.wrap(" ".join(lines), width, break_long_words=False, break_on_hyphens=False)
        laid.append(f"\n{indent} * ".join(lines))
    return (f"{indent}/* " + f"\n{indent} *\n{indent} * ".join(laid)).replace("\u00a0", " ")


def main():
    if sys.argv[1:2] == ["--wrap"]:
        for path in sys.argv[2:]:
            wrap(path)
        return 0
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
