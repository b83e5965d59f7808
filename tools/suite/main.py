# SPDX-License-Identifier: MIT
"""./test: builds the configurations, runs what was chosen of the tests on each, counts.

Owns the order of things: options, builds, jobs, the summary. names.py knows what there is, configurations.py how it is
built and run, jobs.py runs it, progress.py shows it, record.py remembers it.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True # the tree stays as it is

import configurations as known # noqa: E402
import names # noqa: E402
from jobs import Build, Pool, Program, Script # noqa: E402
from options import Refused, parse # noqa: E402
from progress import Progress, seconds_text # noqa: E402
from record import Record # noqa: E402

CORES = len(os.sched_getaffinity(0))
THREADS = r"crank_(to_thread|submit|post|waker)|pthread_create|thread_start"
WAKES = ("behaviour_submit", "behaviour_thread", "behaviour_waker")
VALGRIND_SAYS = r"unhandled .* syscall|write your own handler|README_MISSING|we consider this|valgrind.org/support"
SLOWEST = 10
FOREIGN = ("libpq", "hiredis")  # libraries for which there are examples, built where they are installed


class Stopped(Exception):
    """By a signal."""

    def __init__(self, number, _=None):
        super().__init__(number)
        self.number = number


class Assurance(Script):
    """A script of tests/assurance, whose line "figures: ..." goes into a table."""

    def shown(self, lines):
        self.figures = ([line[9:] for line in lines if line.startswith("figures: ")] or [""])[-1]
        return [line for line in lines if not line.startswith("figures: ")]

    def row(self):
        number, _, what = os.path.basename(self.name)[:-3].partition("_")
        return f"| {number} | {what.replace('_', ' ')} | {self.ended - self.begun:.0f} s | {self.figures} |"


class Work:
    """What of a configuration is to be run."""

    def __init__(self, configuration, choice, failed=()):
        self.configuration = configuration
        self.built = known.BY_NAME.get(configuration)
        self.filters = choice.names
        self.programs, self.checks, self.assurance, self.examples = {}, [], [], False
        self.sources = []      # of the programs, where they are joined
        self.only_tests = {}   # program: names of tests
        self.targets = []
        if failed:
            self.choose_failed(choice, failed)
        else:
            self.choose(choice)

    def choose(self, choice):
        if not self.built:
            self.assurance = choice.assurance()
            self.targets = None
            return
        self.programs = {program: source for program, source in choice.programs().items()
                         if program.partition("_")[0] not in self.built.without}
        self.checks = choice.checks() if self.built.checks else []
        self.examples = self.built.examples and choice.examples()
        self.targets = choice.targets()
        if self.built.as_kinds:
            self.join_kinds()

    def choose_failed(self, choice, failed):
        if "build" in [name for name, _ in failed]:
            self.choose(choice)
            return
        sources = names.programs()
        for name, tests in failed:
            program = name.partition(" on ")[0]
            if program in sources or program.endswith("_all"):
                self.programs[program] = sources.get(program)
                self.only_tests[program] = self.only_tests.get(program, []) + list(tests)
            elif name == names.EXAMPLES:
                self.examples = True
            elif os.access(name, os.X_OK):
                (self.checks if name in names.checks() else self.assurance).append(name)
        whole = self.checks or self.examples or not self.programs
        self.targets = [] if whole else ["tests/" + program for program in self.programs]
        if not self.built:
            self.targets = None

    def join_kinds(self):
        """One program holds all tests of a kind: what was chosen by a program's name is chosen by its sentences."""
        kinds = {}
        for program, source in self.programs.items():
            kind = program.partition("_")[0] + "_all"
            named = any(names.program_has(program, name) for name in self.filters)
            kinds.setdefault(kind, []).extend(names.sentences(source) if named else self.filters)
        self.sources = list(self.programs.values())
        self.programs = dict.fromkeys(kinds)
        if self.filters:
            self.only_tests = {kind: sorted(set(filters))[:250] for kind, filters in kinds.items()}
        if self.filters or self.built.without:
            self.targets = ["tests/" + kind for kind in kinds]

    def filters_of(self, program):
        return self.only_tests.get(program, self.filters)

    def number_of_tests(self):
        every = self.built.all_backends if self.built else False
        sources = self.sources or [source for source in self.programs.values() if source]
        return sum(names.number_of_tests(source, every) for source in sources) + len(self.scripts())

    def scripts(self):
        return self.checks + self.assurance + ([names.EXAMPLES] if self.examples else [])

    def empty(self):
        return not (self.programs or self.scripts())


class Run:
    """One ./test."""

    def __init__(self, options):
        self.options = options
        self.folder = os.path.abspath(os.environ.get("TEST_BUILD_DIR") or "build/test")
        os.makedirs(self.folder, exist_ok=True)
        self.record = Record(os.path.join(self.folder, "record.json"), kept="TEST_WITHIN" not in os.environ)
        for name in ("CRANK_HIBERNATE_AFTER", "TEST_EMULATED", "CRANK_BACKEND"):
            os.environ.pop(name, None)
        os.environ["TEST_WITHIN"] = "1" # what a test runs is no run of its own
        self.progress = Progress()
        self.temporary = tempfile.mkdtemp(prefix="crank-tests-")
        self.pool = Pool(self.progress, self.temporary, self.job_ended)
        self.passed = self.failed = self.skipped = 0
        self.failures, self.times, self.rows, self.hogs = [], [], [], []

    def close(self):
        for hog in self.hogs:
            hog.kill()
            hog.wait()
        self.progress.clear()
        shutil.rmtree(self.temporary, ignore_errors=True)

    # ---- what is to be done

    def works(self):
        options = self.options
        choice = names.Choice(options.names)
        if options.failed:
            failed = {}
            for configuration, name, tests in self.record.failed:
                if not options.only or configuration in options.only:
                    failed.setdefault(configuration, []).append((name, tests))
            order = [name for name in known.KNOWN if name in failed]
            return [Work(name, choice, failed[name]) for name in order]
        works = [Work(name, choice) for name in options.configurations()]
        return [work for work in works if not work.empty()]

    def later_seconds(self, works):
        """About how long works take that have not begun."""
        seconds = 0.0
        for work in works:
            seconds += self.build_seconds(work.configuration)
            seconds += self.script_seconds(work) / (1 if work.assurance else CORES)
            seconds += sum(self.program_seconds(work, program) for program in work.programs) / CORES
        return seconds

    def build_seconds(self, configuration):
        otherwise = 0.0 if configuration not in known.BY_NAME else 30.0
        return self.record.expected(configuration, "build", otherwise)

    def program_seconds(self, work, program):
        return self.record.expected(work.configuration, program, 0.4 if work.configuration == "gcc" else 0.8)

    def check_seconds(self, work, path):
        """In the matrix not less than it says: what is remembered may be of a run that left the long part out."""
        declared = names.declared_seconds(path) if self.options.whole() else 0.0
        return max(declared, self.record.expected(work.configuration, path, 5.0))

    def script_seconds(self, work):
        others = work.assurance + ([names.EXAMPLES] if work.examples else [])
        return sum(self.check_seconds(work, path) for path in work.checks) + sum(
            self.record.expected(work.configuration, name, 60.0 if work.assurance else 10.0) for name in others)

    # ---- building

    def setup_command(self, work, folder):
        changed = sources(work.built)
        listed = os.path.join(folder, "sources.list")
        if not os.path.exists(os.path.join(folder, "build.ninja")):
            shutil.rmtree(folder, ignore_errors=True)
            return ["meson", "setup", folder, "-Dbench=false"] + work.built.setup, changed
        if not os.path.exists(listed) or names.read(listed) != changed:
            return ["meson", "setup", "--reconfigure", folder] + work.built.setup, changed
        return None, changed

    def build(self, work):
        """False where it cannot be built at all; what does not compile is told, and the rest is there."""
        if work.built is None:
            work = Work("gcc", names.Choice([])) # the scripts use its build, and say what they miss
        name = work.built.built_by or work.configuration
        folder, log = self.build_folder(work), os.path.join(self.folder, work.configuration + ".log")
        if os.path.exists(log):
            os.unlink(log)
        command, changed = self.setup_command(work, folder)
        if command:
            job = Build(work.configuration, command, log, environment={"CC": work.built.compiler}, seconds=4.0)
            self.pool.run([job], 1)
            if job.status != 0:
                return False
            with open(os.path.join(folder, "sources.list"), "w", encoding="utf-8") as file:
                file.write(changed)
        if work.targets is None:
            return True
        ninja = ["ninja", "-C", folder, "-k", "20", "-j", str(CORES)] + work.targets
        self.pool.run([Build(work.configuration, ninja, log, seconds=self.build_seconds(name))], 1)
        return True

    def build_folder(self, work):
        return os.path.join(self.folder, work.built.built_by or work.configuration)

    # ---- jobs

    def program_jobs(self, work):
        jobs = []
        for program in work.programs:
            path = os.path.join(self.build_folder(work), "tests", program)
            if not os.access(path, os.X_OK):
                self.fails(work, program, f"FAIL {work.configuration}: {program} was not built")
                continue
            number = self.listed(work, program, path)
            if number == 0:
                continue
            jobs.append(self.program_job(work, program, path, number))
            # Under the simulator one thread runs at a time: where there are races, they are on epoll.
            if work.configuration == "clang-tsan" and re.search(THREADS, names.read(work.programs[program])):
                jobs.append(self.program_job(work, program, path, number, "epoll"))
            # Valgrind lets no thread run beside one that waits in io_uring_enter: the library gives it turns there.
            if work.configuration == "valgrind" and program in WAKES:
                jobs.append(self.program_job(work, program, path, number, "uring"))
        return jobs

    def program_job(self, work, program, path, number, backend=None):
        options, built = self.options, work.built
        prefix, runner = list(built.prefix), list(built.runner)
        name = program + (f" on {backend}" if backend else "")
        if work.configuration == "valgrind":
            prefix.append(f"--log-file={os.path.join(self.folder, 'valgrind', name)}.reports")
        if backend:
            runner = runner[:-1] + [backend]
        command = prefix + [path] + runner + ["--verbose", "-j", str(CORES * built.waits)]
        if options.repeat > 1:
            command += ["--repeat", str(options.repeat), "--shuffle"]
        filters = work.filters_of(program)
        # One that failed may be slow: skipped it would pass.
        if work.configuration == "gcc" and (options.long or (options.failed and filters)):
            command += ["--long", "--timeout", "120"]
        job = Program(work.configuration, name, command + filters,
                      environment=built.environment, seconds=self.program_seconds(work, program))
        job.tests, job.part = number * options.repeat, bool(filters)
        return job

    def listed(self, work, program, path):
        """How many tests it has to run; without a look where that takes an emulator."""
        source = work.programs[program]
        if source and work.built.prefix[:1] == ["qemu-aarch64"] and not work.filters_of(program):
            return names.number_of_tests(source, False)
        prefix = [] if work.configuration == "valgrind" else work.built.prefix
        done = subprocess.run(prefix + [path, "--list"] + work.built.runner + work.filters_of(program), check=False,
                              capture_output=True, text=True)
        return len(done.stdout.splitlines()) if done.returncode == 0 else 1

    def script_jobs(self, work):
        environment = {"BUILD": self.build_folder(work), "SCRATCH": os.path.join(self.folder, "scratch"),
                       "QUICK": str(int(not (self.options.whole() or self.options.failed or self.options.names))),
                       "LONG": str(int(self.options.long))}
        jobs = []
        for path in work.checks:
            seconds = self.check_seconds(work, path)
            jobs.append(Script(work.configuration, path, ["./" + path], environment, seconds))
        if work.examples:
            command = [sys.executable, "tests/examples/goldens.py", self.build_folder(work)]
            jobs.append(Script(work.configuration, names.EXAMPLES, command,
                               seconds=self.record.expected(work.configuration, names.EXAMPLES, 10.0)))
        return jobs

    def assurance_job(self, path):
        name = os.path.basename(path)[:-3]
        scratch = os.path.join(self.folder, "assurance", name)
        os.makedirs(scratch, exist_ok=True)
        environment = {"LONG": str(int(self.options.long)), "TEST_FOLDER": self.folder, "SCRATCH": scratch,
                       "CORES": str(CORES)}
        return Assurance(known.ASSURANCE, path, ["./" + path], environment,
                         self.record.expected(known.ASSURANCE, path, 60.0))

    def job_ended(self, job):
        if job.name == "build":
            if not job.failed:
                if job.now.startswith("building"):
                    self.record.job_ended(job, None, job.ended - job.begun)
                return
        self.here[0] += job.passed
        self.here[1] += job.failed
        self.here[2] += job.skipped
        self.times += job.times
        if job.failed:
            self.failures += [f"{job.configuration}: {job.name}: {name}" for name in job.failures] or \
                [f"{job.configuration}: {job.name}"]
        self.record.job_ended(job, job.failures if job.failed else None, job.ended - job.begun)
        if job.failed and job.configuration == "valgrind":
            self.show_reports(job)

    def show_reports(self, job):
        path = os.path.join(self.folder, "valgrind", job.name + ".reports")
        if os.path.exists(path):
            self.progress.say("\n".join(line for line in names.read(path).splitlines()
                                        if not re.search(VALGRIND_SAYS, line)))

    def fails(self, work, name, text):
        self.progress.say(text)
        self.here[1] += 1
        self.failures.append(f"{work.configuration}: {name}")
        job = Program(work.configuration, name, [])
        self.record.job_ended(job, [], 0.0)

    # ---- a configuration, and all of them

    def run_work(self, work):
        self.here = [0, 0, 0]
        begun = self.progress.seconds()
        self.progress.configuration, self.progress.test = work.configuration, ""
        guessed = work.number_of_tests()
        if self.build(work):
            if work.configuration == "valgrind":
                os.makedirs(os.path.join(self.folder, "valgrind"), exist_ok=True)
            jobs = self.program_jobs(work) + self.script_jobs(work) if work.built else []
            later = [self.assurance_job(path) for path in work.assurance]
            self.progress.expected += sum(job.tests for job in jobs + later) - guessed
            others = self.progress.later
            self.progress.later += sum(job.expected for job in later)
            self.pool.run(jobs, CORES + 1)
            for at, job in enumerate(later): # each keeps all cores busy by itself, and some measure
                self.progress.later = others + sum(job.expected for job in later[at + 1:])
                self.pool.run([job], 1)
                self.rows.append(job.row())
        else:
            self.progress.expected -= guessed
        passed, failed, skipped = self.here
        self.progress.say(f"{work.configuration + ':':<16} {passed} passed, {failed} failed, {skipped} skipped "
                          f"({self.progress.seconds() - begun:.0f} s)")
        self.passed, self.failed, self.skipped = self.passed + passed, self.failed + failed, self.skipped + skipped

    def run_all(self):
        works = self.works()
        if not works and self.options.names:
            raise Refused(f"no test has {' or '.join(repr(name) for name in self.options.names)} in it; "
                          "./test --list prints their names")
        self.load()
        self.progress.expected = sum(work.number_of_tests() for work in works)
        for at, work in enumerate(works):
            self.progress.later = self.later_seconds(works[at + 1:])
            self.run_work(work)
        if self.options.names and self.passed + self.failed + self.skipped == 0:
            raise Refused(f"no test has {' or '.join(repr(name) for name in self.options.names)} in it; "
                          "./test --list prints their names")

    def load(self):
        for _ in range(CORES if self.options.load else 0):
            self.hogs.append(subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True))

    def summarize(self):
        say = self.progress.say
        if self.rows:
            table = "| part | | | figures |\n|---|---|---|---|\n" + "\n".join(self.rows)
            say(table)
            with open(os.path.join(self.folder, "assurance.md"), "w", encoding="utf-8") as file:
                file.write(table + "\n")
        slowest = sorted((pair for pair in self.times if pair[0] >= 0.1), reverse=True)[:SLOWEST]
        if slowest:
            say("slowest:\n" + "\n".join(f"{seconds:8.2f} s  {name}" for seconds, name in slowest))
        if self.failures:
            say("failed (./test --failed repeats them):\n" + "\n".join("  " + name for name in self.failures))
        elif self.options.failed and not self.times:
            say("nothing that was run has failed")
        say(f"all in {seconds_text(self.progress.seconds())}")
        say(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")

    def list_tests(self):
        work = Work("gcc", names.Choice(self.options.names))
        self.here = [0, 0, 0]
        built = self.build(work) and self.here[1] == 0
        for program in work.programs:
            path = os.path.join(self.build_folder(work), "tests", program)
            if os.access(path, os.X_OK):
                subprocess.run([path, "--list"] + self.options.names, check=False)
        self.progress.clear()
        print("".join(path + "\n" for path in work.checks), end="")
        return 0 if built else 1


def sources(configuration):
    """Changes when a file appears or goes: meson lists the tests when it configures, and looks for libraries."""
    found = []
    for top in ("src", "tests", "examples", "benchmarks"):
        for folder, _, files in os.walk(top):
            found += [os.path.join(folder, name) for name in files if name.endswith((".c", ".S", "meson.build"))]
    found += [library for library in FOREIGN if shutil.which("pkg-config") and
              subprocess.run(["pkg-config", "--exists", library], check=False).returncode == 0]
    return "\n".join(sorted(found) + [" ".join(configuration.setup)]) + "\n"


def catch_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, Stopped.raise_it)


def raise_stopped(number, _):
    raise Stopped(number)


Stopped.raise_it = staticmethod(raise_stopped)


def main():
    try:
        options = parse(sys.argv[1:])
    except Refused as refused:
        print(f"./test: {refused}", file=sys.stderr)
        return 2
    if options is None:
        return 0
    catch_signals()
    run = Run(options)
    try:
        if options.list:
            return run.list_tests()
        run.run_all()
        run.summarize()
        return 0 if run.failed == 0 else 1
    except Refused as refused:
        run.progress.clear()
        print(f"./test: {refused}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        run.progress.say(f"stopped by {signal.Signals(stopped.number).name} after "
                         f"{seconds_text(run.progress.seconds())}: {run.progress.done} tests had ended")
        return 128 + stopped.number
    except BrokenPipeError: # nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        run.close()
        run.record.save()


if __name__ == "__main__":
    sys.exit(main())
