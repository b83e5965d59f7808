# SPDX-License-Identifier: MIT
"""Jobs: a build, a test program, a check; and the pool that runs several at a time.

A job is one process in a session of its own, so that what a terminal sends reaches ./test alone, which ends them. Its
TMPDIR is its own and must be empty at its end. What it prints is read line by line; how it ended is counted.
"""
import os
import re
import selectors
import shutil
import signal
import subprocess
import time

VERDICT = re.compile(r"^(ok  |FAIL|skip) (.+?) \((\d+\.\d\d) s\)(?:: .*)?$")
COUNT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
NINJA = re.compile(r"^\[(\d+)/(\d+)\] ")
PATIENCE = 2.0  # seconds that a job has between being asked to end and being made to


class Job:
    """One process, and what came of it: counts, texts of failures, seconds of tests."""
    tests = 0            # how many it is expected to have
    part = False         # not all of its tests are run
    leaves_files = False

    def __init__(self, configuration, name, command, environment=None, seconds=1.0):
        self.configuration, self.name, self.command = configuration, name, command
        self.environment, self.expected = environment or {}, seconds
        self.passed = self.failed = self.skipped = 0
        self.failures = []     # names of tests
        self.texts = []        # to be shown
        self.times = []        # (seconds, name)
        self.ran = []          # names of tests
        self.now = ""          # what it is at
        self.last = ""
        self.begun = self.ended = 0.0

    def line(self, text):
        """One line of what it prints."""

    def end(self, status):
        """It has ended: count."""

    @property
    def done(self):
        return self.passed + self.failed + self.skipped

    def count(self, text):
        found = COUNT.match(text)
        if found:
            self.passed, self.failed, self.skipped = (int(n or 0) for n in found.groups())
        return found is not None

    def fails(self, text, name=None):
        self.failed += 1
        self.failures += [name] if name else []
        self.texts.append(text)


class Program(Job):
    """A test program, run with --verbose: a verdict a line, what a test printed behind it, indented."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.block = None   # of a failure that is still being printed
        self.verdict = ""
        self.seen = 0
        self.seconds = 0.0

    @property
    def done(self):
        return self.seen

    def line(self, text):
        found = VERDICT.match(text)
        if found:
            self.close_block()
            self.verdict, name, seconds = found.groups()
            self.now = name
            self.seen += 1
            self.ran.append(name)
            self.times.append((float(seconds), f"{self.configuration}: {self.name}: {name}"))
            if self.verdict == "FAIL":
                self.failures.append(name)
                self.block = [f"FAIL {self.configuration}: {self.name}: {text[5:]}"]
        elif text.startswith("    "):
            if self.block is not None:
                self.block.append(text)
        else:
            self.close_block()
            if not COUNT.match(text) and not text.startswith(self.name.split(" ")[0] + ": "):
                self.texts.append(text)
        self.last = text

    def close_block(self):
        if self.block is not None:
            self.texts.append("\n".join(self.block))
        self.block = None

    def end(self, status):
        self.close_block()
        if not self.count(self.last):
            self.failed += len(self.failures)
            self.fails(f"FAIL {self.configuration}: {self.name} ended without a count, with status {status}")


class Script(Job):
    """What prints what failed and, last, its counts; the rest is shown."""
    tests = 1

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.lines = []

    def line(self, text):
        self.lines.append(text)

    def end(self, status):
        counted = bool(self.lines) and self.count(self.lines[-1])
        shown = self.shown(self.lines[:-1] if counted else self.lines)
        if shown:
            self.texts.append("\n".join(re.sub(r"^FAIL ", f"FAIL {self.name}: ", line) for line in shown))
        if not counted:
            self.fails(f"FAIL {self.name} ended without a count, with status {status}")
        self.times.append((self.ended - self.begun, self.name))

    def shown(self, lines):
        return lines


class Build(Job):
    """meson or ninja, which print into a log."""
    leaves_files = True

    def __init__(self, configuration, command, log, **keywords):
        super().__init__(configuration, "build", command, **keywords)
        self.log, self.lines, self.status = log, [], 0
        self.now = "setting up"

    def line(self, text):
        self.lines.append(text)
        found = NINJA.match(text)
        if found:
            done, total = int(found[1]), int(found[2])
            self.now = f"building {done}/{total}"
            if done * 10 > total: # what it has taken tells more than what it took last time
                self.expected = (time.monotonic() - self.begun) * total / done

    def end(self, status):
        self.status = status
        with open(self.log, "a", encoding="utf-8") as log:
            log.write("".join(line + "\n" for line in self.lines))
        if status != 0:
            wrong = [line for line in self.lines
                     if re.search(r"error:|ERROR|undefined reference|FAILED|cannot find", line)][:20]
            self.fails("\n".join(wrong + [f"FAIL {self.configuration} does not build; all of it is in {self.log}"]))


class Pool:
    """Runs jobs, so many at a time, the longest first."""

    def __init__(self, progress, folder, ended):
        self.progress, self.folder, self.ended = progress, folder, ended
        self.selector = selectors.DefaultSelector()
        self.running, self.todo, self.width, self.started = [], [], 1, 0

    def run(self, jobs, width):
        self.todo = sorted(jobs, key=lambda job: -job.expected)
        self.width = width
        try:
            while self.todo or self.running:
                while self.todo and len(self.running) < width:
                    self.start(self.todo.pop(0))
                self.look()
        finally:
            self.stop()

    def start(self, job):
        self.started += 1
        job.folder = os.path.join(self.folder, str(self.started))
        os.mkdir(job.folder)
        environment = {**os.environ, **job.environment, "TMPDIR": job.folder}
        job.begun = time.monotonic()
        job.process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        job.rest = b""
        job.heard = job.begun
        os.set_blocking(job.process.stdout.fileno(), False)
        self.selector.register(job.process.stdout, selectors.EVENT_READ, job)
        self.running.append(job)

    def look(self):
        """Wait a little, take in what was printed and deal with the jobs that have ended."""
        for key, _ in self.selector.select(0.05):
            self.take_in(key.data)
        for job in list(self.running):
            if job.process.poll() is None:
                continue
            # What it printed last may have come since the pipe was looked at.
            while not job.process.stdout.closed and self.take_in(job):
                pass
            # A process that it has left behind may keep the pipe open.
            if job.process.stdout.closed or time.monotonic() - job.heard > 0.2:
                self.finish(job)
        self.tell(time.monotonic())

    def take_in(self, job):
        """Some of what it has printed, if there is any: then true."""
        try:
            read = os.read(job.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        before = job.done
        job.heard = time.monotonic()
        *lines, job.rest = (job.rest + read).split(b"\n")
        if not read:
            lines, job.rest = [job.rest] if job.rest else [], b""
            self.selector.unregister(job.process.stdout)
            job.process.stdout.close()
        for line in lines:
            job.line(line.decode(errors="replace"))
        self.show(job)
        self.count_progress(job.done - before, job)
        return True

    def count_progress(self, more, job):
        self.progress.done += more
        job.tests -= more
        self.progress.expected -= more

    def show(self, job):
        for text in job.texts:
            self.progress.say(text)
        job.texts.clear()
        self.progress.configuration = job.configuration
        self.progress.test = f"{job.name}: {job.now}" if job.now and job.name != "build" else job.now or job.name

    def tell(self, now):
        waiting = sum(job.expected for job in self.todo)
        at_work = [max(0.0, job.expected - (now - job.begun)) for job in self.running]
        self.progress.now_left = max([(waiting + sum(at_work)) / self.width] + at_work)
        self.progress.tick()

    def finish(self, job):
        self.running.remove(job)
        if not job.process.stdout.closed:
            self.selector.unregister(job.process.stdout)
            job.process.stdout.close()
            kill_group(job, signal.SIGKILL) # what holds it
        job.ended = time.monotonic()
        before = job.done
        job.end(job.process.returncode)
        left = sorted(os.listdir(job.folder))
        shutil.rmtree(job.folder, ignore_errors=True)
        if left and not job.leaves_files and not job.failed:
            job.fails(f"FAIL {job.configuration}: {job.name} left in its temporary folder: {' '.join(left[:10])}")
        self.show(job)
        self.count_progress(job.done - before, job)
        self.progress.expected -= job.tests # what it was expected to have beside those
        self.ended(job)

    def stop(self):
        """End what runs: where all is well there is nothing."""
        for job in self.running:
            kill_group(job, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        for job in self.running:
            try:
                job.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            kill_group(job, signal.SIGKILL)
            job.process.wait()
            if not job.process.stdout.closed:
                self.selector.unregister(job.process.stdout)
                job.process.stdout.close()
        self.running.clear()


def kill_group(job, number):
    try:
        os.killpg(job.process.pid, number)
    except ProcessLookupError:
        pass
