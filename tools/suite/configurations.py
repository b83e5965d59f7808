# SPDX-License-Identifier: MIT
"""The configurations of ./test: how each is built and how its tests are run."""
from dataclasses import dataclass, field

# The examples and what replays scripts are run as gcc and clang-sanitized build them: with all warnings of both
# compilers. The others are built with line numbers and no more of what a debugger wants.
LEAN = ["-Dexamples=false", "-Dfuzz=none", "-Ddebug=false"]
CORE = ["-Dweb=disabled", "-Dtls=disabled"]
WATCHED = ["-Db_lundef=false", "-Doptimization=1", "-Dwerror=false"]
# A sanitizer's own code makes gcc guess at values that may be uninitialized or truncated. What UBSan finds ends the
# test: it would only be printed otherwise, and what a test that passes prints is not shown.
ADDRESS = ["-Db_sanitize=address,undefined"] + WATCHED + ["-Dc_args=['-g1','-fno-sanitize-recover=all']"]
# Unsigned numbers may wrap: hashes, distances and "while (n-- > 0)" are written so.
INTEGER = "'-fsanitize=integer','-fno-sanitize=unsigned-integer-overflow','-fno-sanitize-recover=all'"
SIM = ["--backend", "sim"]


@dataclass
class Configuration:
    """One build and one way to run its tests."""
    name: str
    setup: list = field(default_factory=list)        # arguments of meson setup
    runner: list = field(default_factory=list)       # arguments of each test program
    prefix: list = field(default_factory=list)       # what a test program is run by
    environment: dict = field(default_factory=dict)
    built_by: str = ""                               # the configuration whose build it uses
    examples: bool = False
    checks: bool = False                             # tests/build runs beside it
    as_kinds: bool = False                           # one program for all tests of a kind
    without: tuple = ()                              # kinds of tests that say nothing new here
    waits: int = 1                                   # tests at a time, per core
    packages: list = field(default_factory=list)

    def __post_init__(self):
        if self.as_kinds: # few programs: each runs more tests at a time
            self.setup, self.waits = self.setup + ["-Dkinds=true"], 2
        if self.name != "gcc": # which plays ten thousand programs in all; 02_cancel.sh of tests/assurance more
            self.environment = {"CRANK_MODEL_PROGRAMS": "100", **self.environment}

    @property
    def compiler(self):
        return "clang" if self.name.startswith("clang") else "gcc"

    @property
    def all_backends(self):
        return "--backend" not in self.runner


ALL = [
    Configuration("gcc", examples=True, checks=True),
    # Its build again, the stack of every parked task put away at once.
    Configuration("hibernate", built_by="gcc", runner=["--timeout", "60"] + SIM,
                  environment={"CRANK_HIBERNATE_AFTER": "1e-9"}, without=("http", "tls")),
    Configuration("clang-sanitized", ADDRESS + ["-Ddebug=false"], ["--timeout", "60"] + SIM, examples=True,
                  as_kinds=True),
    Configuration("clang", LEAN + ["-Dc_args=-g1"], ["--timeout", "30"] + SIM, as_kinds=True),
    Configuration("gcc-sanitized", ADDRESS + LEAN, ["--timeout", "60"] + SIM, as_kinds=True),
    Configuration("gcc-O3-lto", ["-Doptimization=3", "-Db_lto=true"] + CORE + LEAN, SIM, as_kinds=True,
                  without=("http", "tls", "explore")),
    Configuration("aarch64", ["--cross-file", "tests/aarch64.ini"] + CORE + LEAN + ["-Dc_args=-g1"],
                  ["--timeout", "120", "--fork"] + SIM, ["qemu-aarch64"], {"TEST_EMULATED": "1"}, as_kinds=True,
                  without=("http", "tls", "explore")),
]
# Only when named: 04_tools.sh of tests/assurance runs the clang ones and valgrind; 09_coverage.sh runs all programs
# unoptimised in a build that counts.
NAMED = [
    Configuration("gcc-O0", ["-Doptimization=0"] + LEAN + ["-Dc_args=-g1"], SIM),
    # It knows no address layout as random as newer kernels make it; half of what it does is waiting.
    Configuration("clang-tsan", ["-Db_sanitize=thread"] + WATCHED + LEAN + ["-Dc_args=-g1"],
                  ["--timeout", "60"] + SIM, ["setarch", "-R"], waits=2),
    Configuration("clang-msan", ["-Db_sanitize=memory", "-Dtls=disabled"] + WATCHED + LEAN +
                  ["-Dc_args=['-g1','-fsanitize-memory-track-origins']"], ["--timeout", "60"] + SIM),
    Configuration("clang-integer", ["-Dharden=false"] + WATCHED + LEAN +
                  ["-Dc_link_args=-fsanitize=integer", f"-Dc_args=['-g1',{INTEGER}]"], ["--timeout", "60"] + SIM),
    # The build of gcc again. The runner itself runs under it, and the tests are its forks. Leaks are found by the
    # audit of the other configurations: each fork would search all of its memory for them, and say nothing.
    Configuration("valgrind", built_by="gcc", runner=["--timeout", "600", "--no-audit", "--fork"] + SIM,
                  prefix=["valgrind", "-q", "--leak-check=no", "--error-exitcode=9", "--exit-on-first-error=yes",
                          "--soname-synonyms=somalloc=NONE"], environment={"TEST_EMULATED": "1"}),
]
# No build and no test programs, but the scripts of tests/assurance, which use the others' builds.
ASSURANCE = "assurance"
DEFAULT = ["gcc"]
# The sanitizers of clang stand for gcc's in the matrix, and what tests/build/capture.sh links so for LTO.
MATRIX = [c.name for c in ALL if c.name not in ("gcc-sanitized", "gcc-O3-lto")] + [ASSURANCE]
LONG = [c.name for c in ALL] + ["gcc-O0", ASSURANCE]
BY_NAME = {c.name: c for c in ALL + NAMED}
KNOWN = [c.name for c in ALL] + [ASSURANCE] + [c.name for c in NAMED]
