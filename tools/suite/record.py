# SPDX-License-Identifier: MIT
"""What the last runs are remembered by, in the folder of the builds: seconds of each job, and what failed.

A failure is a configuration, a job ("behaviour_lock", "tests/build/docs.sh", "build") and the names of the tests that
failed in it, none where the job failed as a whole. It is forgotten when it passes, not when other things are run.
"""
import json
import os


class Record:
    def __init__(self, path, kept=True):
        self.path, self.kept = path, kept
        self.seconds, self.failed = {}, []
        try:
            with open(path, encoding="utf-8") as file:
                held = json.load(file)
            self.seconds, self.failed = dict(held["seconds"]), [tuple(f) for f in held["failed"]]
        except (OSError, ValueError, KeyError, TypeError):
            pass # the first run, or a file of another version

    def job_ended(self, job, failed_tests, seconds):
        """failed_tests: None where it passed."""
        key = (job.configuration, job.name)
        before = [f for f in self.failed if tuple(f[:2]) == key]
        self.failed = [f for f in self.failed if tuple(f[:2]) != key]
        if job.part:
            # Of a job of which only some tests ran the others' failures stay.
            ran = set(job.ran)
            left = [name for f in before for name in f[2] if name not in ran]
            if failed_tests is None and left:
                failed_tests = left
            elif failed_tests:
                failed_tests = sorted(set(failed_tests) | set(left))
        else:
            self.seconds[f"{job.configuration}/{job.name}"] = round(seconds, 2)
        if failed_tests is not None:
            self.failed.append((*key, failed_tests))

    def expected(self, configuration, name, otherwise):
        return self.seconds.get(f"{configuration}/{name}", otherwise)

    def save(self):
        if not self.kept:
            return
        beside = self.path + ".new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({"seconds": self.seconds, "failed": self.failed}, file, indent=0)
        os.replace(beside, self.path)
