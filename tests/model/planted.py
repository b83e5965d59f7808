#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Faults planted into copies of the cross-thread files, each of which the model must find and repeat.

planted.py FOLDER [PART OF A NAME]...: FOLDER holds a built model (build.sh). A plant is a file, what stands in it and
what stands there instead. Prints what was not found; last "N passed, N failed, 0 skipped". planted.py --list prints the
names; --check tells, without building anything, whether what each plant replaces still stands in its file.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# name, file, [(what stands there, what is put there)], the scenarios of which one must find it
PLANTS = [
    ("the loop falls asleep without a last look", "src/loop/wakeup.c",
     [("return atomic_compare_exchange_strong(&wakeup->head, &head, ASLEEP) || head == ASLEEP;",
       "head = atomic_load(&wakeup->head); if (head) return head == ASLEEP;"
       " atomic_store(&wakeup->head, ASLEEP); return true;")],
     ["two_posters", "wake_wakes"]),
    ("a post does not wake who sleeps", "src/loop/wakeup.c",
     [("    if (head == ASLEEP && wakeup->forks", "    if (!head && wakeup->forks")],
     ["two_posters", "wake_wakes"]),
    ("a worker looks before it says that it rests", "src/thread/real_pool.c",
     [("    bool more = cr_job_queue_waiting(&workers->jobs);\n", ""),
      ("    pthread_mutex_lock(&workers->lock);\n    self->below = workers->resting;",
       "    bool more = cr_job_queue_waiting(&workers->jobs);\n"
       "    pthread_mutex_lock(&workers->lock);\n    self->below = workers->resting;")],
     ["job_against_rest", "jobs_at_once"]),
    ("a worker that retires does not look again", "src/thread/real_pool.c",
     [("    atomic_fetch_sub(&workers->live, 1);\n    if (cr_job_queue_waiting(&workers->jobs)) {",
       "    atomic_fetch_sub(&workers->live, 1);\n    if (false) {")],
     ["job_for_the_only_worker"]),
    ("the signal is cleared after the look", "src/thread/real_pool.c",
     [("    atomic_store(&workers->signalled, false);\n    size_t count = cr_workers_collect(workers);",
       "    size_t count = cr_workers_collect(workers);\n    atomic_store(&workers->signalled, false);")],
     ["jobs_at_once", "jobs_in_a_burst", "job_against_rest"]),
    ("a job is taken without asking who has it", "src/thread/job_queue.c",
     [("        if (atomic_compare_exchange_strong(&job->state, &queued, CR_JOB_RUNNING))",
       "        bool free = atomic_load(&job->state) == queued;\n"
       "        if (free) atomic_store(&job->state, CR_JOB_RUNNING);\n        if (free)")],
     ["job_against_cancel", "job_behind_a_cancelled"]),
    ("two take from one place", "src/thread/job_queue.c",
     [("        if (!atomic_compare_exchange_weak(&jobs->head, &head, head + 1))\n            continue;",
       "        atomic_store(&jobs->head, head + 1);")],
     ["jobs_at_once", "jobs_in_a_burst"]),
    ("the loop ends while somebody holds it", "src/loop/registry.c",
     [("        if (at == loop)\n            return true;",
       "        if (at == loop) {\n            pthread_rwlock_unlock(&lock);\n            return true;\n        }"),
      ("void cr_registry_release(void) { pthread_rwlock_unlock(&lock); }", "void cr_registry_release(void) { }")],
     ["post_at_the_end", "submit_waits"]),
    ("a waker lets go of the loop while somebody is inside", "src/thread/waker.c",
     [("    while (atomic_load(&waker->inside) > 0 && waker->forks == cr_forks)\n        sched_yield();\n", "")],
     ["wake_at_the_end"]),
    ("a waker is freed with its post on the way", "src/thread/waker.c",
     [("    if (atomic_load(&waker->posted))\n        waker->freed = true;",
       "    if (false)\n        waker->freed = true;")],
     ["wake_against_free"]),
    ("a request does not hold its submission", "src/thread/submit.c",
     [("    atomic_fetch_add(&submission->refs, 1);\n    if (!cr_loop_post(submission->loop, &submission->request))",
       "    if (!cr_loop_post(submission->loop, &submission->request))")],
     ["submit_cancels"]),
    ("a program's loop closes in two steps", "src/loop/wakeup.c",
     [("    cr_post *newest = atomic_exchange(&wakeup->head, CLOSED);\n",
       "    cr_post *newest = atomic_exchange(&wakeup->head, NULL);\n    atomic_store(&wakeup->head, CLOSED);\n")],
     ["post_to_a_program"]),
    ("a submission is answered without its lock", "src/thread/submit.c",
     [("    pthread_cond_broadcast(&submission->ended);\n", "")],
     ["submit_waits"]),
]


def changed(path, changes):
    """The file's text with the fault in it, and why that cannot be; one of the two is None."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    for before, after in changes:
        if before not in text:
            return None, f"{path} has changed: what is to be replaced is not there"
        text = text.replace(before, after, 1)
    return text, None


def check():
    failed = 0
    for name, path, changes, _ in PLANTS:
        _, why = changed(path, changes)
        if why:
            failed += 1
            print(f"FAIL planted: {name}: {why}")
    print(f"{len(PLANTS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def plant(folder, built, plant_):
    """None when the model found it and found it again, else what it did; built is an empty folder."""
    name, path, changes, scenarios = plant_
    text, why = changed(path, changes)
    if why:
        return why
    copy = os.path.join(built, "planted.c")
    for entry in os.listdir(folder):
        if entry.endswith(".o"):
            shutil.copy2(os.path.join(folder, entry), built)
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run([os.path.join(HERE, "build.sh"), built, path, copy], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        return "it does not build: " + done.stderr[-500:]
    model = os.path.join(built, "model")
    done = subprocess.run([model, "--seconds", "30"] + scenarios, capture_output=True, text=True, check=False)
    again = re.search(r"again: \S+ (\S+) --choices (\S+)", done.stdout)
    if done.returncode != 1 or not again:
        return "not found: " + done.stdout
    print(f"{name}: found by {again.group(1)} with {again.group(2)}")
    done = subprocess.run([model, again.group(1), "--choices", again.group(2)], capture_output=True, text=True,
                          check=False)
    return None if done.returncode == 1 else "it does not come again: " + done.stdout


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(plant_[0] for plant_ in PLANTS))
        return 0
    if sys.argv[1:] == ["--check"]:
        return check()
    folder = os.path.abspath(sys.argv[1])
    os.chdir(ROOT)
    chosen = [p for p in PLANTS if len(sys.argv) < 3 or any(word in p[0] for word in sys.argv[2:])]
    if not chosen:
        print("FAIL planted: no plant has such a name")
        return 1
    failed = 0
    for plant_ in chosen:
        with tempfile.TemporaryDirectory(prefix="planted_", dir=folder) as built:
            why = plant(folder, built, plant_)
        if why:
            failed += 1
            print(f"FAIL planted: {plant_[0]}: {why}")
    print(f"{len(chosen) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
