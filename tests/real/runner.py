# SPDX-License-Identifier: MIT
"""What the scripts that ask programs of others share: each test by itself, its failure printed, the counts at the
end."""
import importlib
import time


class Skipped(Exception):
    """A program or module that the test needs is not there."""


def module(name, *parts):
    """The module of that name, with these parts of it."""
    try:
        for part in parts:
            importlib.import_module(f"{name}.{part}")
        return importlib.import_module(name)
    except ImportError as error:
        raise Skipped(name) from error


def run(tests, timed=False):
    """Of each test its function, what it is given, and what is said behind its name. The exit status."""
    passed = failed = 0
    skipped = set()
    for function, arguments, where in tests:
        begun = time.monotonic()
        try:
            function(*arguments)
            passed += 1
        except Skipped as missing:
            skipped.add(str(missing))
        except Exception as error:  # whatever it is, the others run
            failed += 1
            print(f"FAIL {function.__name__.replace('_', ' ')}{where}\n    {type(error).__name__}: {error}")
        if timed:
            print(f"{function.__name__}: {time.monotonic() - begun:.0f} s")
    for name in sorted(skipped):
        print(f"skip {name}: it is not installed")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return failed > 0
